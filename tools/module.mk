# What runs on the developer's machine: the emulator's runner and the guest's builder.

$(eval $(call program,qemu-run,$(addprefix tools/qemu-run/,main.c child.c frames.c screen.c steps.c),,))
$(eval $(call program,mkcpio,tools/mkcpio.c,,))

# The guest's agent: a Linux program without a C library, so that the guest's image stays small.
AGENT := build/guest/agent
$(AGENT): tools/guest/agent.c
	@mkdir -p $(@D)
	@echo "  CC    guest $<"
	@$(CC) -std=c17 -O2 -g0 $(WARN) -ffreestanding -fno-stack-protector -fno-pic -mno-red-zone \
	    -fno-asynchronous-unwind-tables -fno-builtin -static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

.PHONY: tools
tools: $(O)/host/bin/qemu-run $(O)/host/bin/mkcpio $(AGENT)
# help: make tools           the emulator's runner and the guest's builder
