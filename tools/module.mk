# What runs on the developer's machine: the emulator's runner and the guest's builder.

# It decodes the frames of a command's output as `graft run --exec` does.
$(eval $(call program,qemu-run,$(addprefix tools/qemu-run/,main.c child.c screen.c steps.c) hosts/linux/frames.c,,hosts/linux))
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

# help: make iso             build/graft.iso: GRUB starts it under BIOS and UEFI
.PHONY: iso tcb bench bench-kvm soak
iso: all
	@$(MAKE) -s MODE=release tools
	@tools/setup.sh test
	@tools/guest.sh kernel
	@tools/guest.sh initrd
	@mode=$(MODE) tools/image.sh iso build/graft.iso
	@echo "build/graft.iso"

# help: make tcb             the source lines that a VM has to trust, from what is linked
tcb: all
	@tools/tcb.sh $(MODE)

# help: make bench           exact instruction counts, as a table and as lines 'figure NAME VALUE'
bench:
	@bench/run.sh

# help: make bench-kvm       the same guest on Graft and under KVM in Debian, on one emulated CPU
bench-kvm:
	@bench/kvm/run.sh

# help: make soak            the long runs: random hypercalls by the million, Debian's kernels on each CPU engine
soak:
	@tests/soak.sh
