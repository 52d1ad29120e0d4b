# The benchmark programs of bench-peers: Linux programs without a C library, the same binary in the guests and natively.
# Its flags are part of what is measured: they are not those of the rest, and stay as they are.

PEERS := $(O)/bench/peers
PEERS_SOURCES := $(addprefix bench/peers/,main.c integer.c memory.c text.c float.c system.c threads.c)
$(PEERS): $(PEERS_SOURCES) bench/peers/sys.h bench/peers/peers.h
	@mkdir -p $(@D)
	@echo "  CC    bench $@"
	@$(CC) -std=c17 -O2 -g0 -march=x86-64 -mtune=generic -fno-strict-aliasing $(filter-out -Wcast-align,$(WARN)) -ffreestanding -fno-stack-protector -fno-pic -fno-pie \
	    -fcf-protection=none -fno-asynchronous-unwind-tables -static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $(PEERS_SOURCES)

# help: make bench-peers     the same work on Graft, in QEMU's TCG and natively; bench/peers.sh --help
.PHONY: peers bench-peers
peers: $(PEERS)
bench-peers: $(PEERS)
	@bench/peers.sh
