# Small guest kernels, 32-bit ELF by Multiboot 1, for tests and benchmarks of the VM process.
guest-sources := tests/guests/boot.S tests/guests/main.c tests/guests/hostile.c tests/guests/events.c \
                 tests/guests/bench.c tests/guests/platform.c tests/guests/smp.c \
                 tests/guests/long.S tests/guests/random.c tests/guests/generate.c tests/guests/wide.c tests/guests/views.c tests/guests/tasks.c \
                 tests/guests/litmus.S tests/guests/litmus.c
guest-flags   := -std=c17 -m32 -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -mgeneral-regs-only \
                 -fno-asynchronous-unwind-tables $(WARN)

$(O)/guests/testguest: $(guest-sources) tests/guests/guest.h tests/guests/generate.h tests/guests/long.h tests/guests/guest.ld
	@mkdir -p $(@D)
	@echo "  CC    guest $@"
	@$(CC) $(guest-flags) -static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-T,tests/guests/guest.ld \
	    -o $@ $(guest-sources)
ALL += $(O)/guests/testguest

# The guest that Bochs judges.
judge-sources := tests/guests/judge.S tests/guests/judge.c tests/guests/judge_code.c
$(O)/guests/judge: $(judge-sources) tests/guests/judge.h tests/guests/guest.ld
	@mkdir -p $(@D)
	@echo "  CC    guest $@"
	@$(CC) $(guest-flags) -static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-T,tests/guests/guest.ld \
	    -o $@ $(judge-sources)
ALL += $(O)/guests/judge
