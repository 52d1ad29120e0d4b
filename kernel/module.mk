# The microhypervisor: build/MODE/graft.elf64 with symbols, build/MODE/graft.elf32 for boot loaders.
KERNEL_SOURCES := $(filter-out $(if $(filter release,$(MODE)),kernel/debug.c),$(sort $(wildcard kernel/*.c kernel/*.S)))
$(eval $(call compile-rules,kernel,$(KERNEL_SOURCES),kernel abi lib))

$(O)/graft.elf64: $(call objs,kernel,$(KERNEL_SOURCES)) $(O)/kernel/libg.a kernel/kernel.ld
	@mkdir -p $(@D)
	@echo "  LD    $@"
	@$(CC) -static -nostdlib -Wl,--build-id=none -Wl,-z,noexecstack,-z,max-page-size=4096 \
	    -Wl,-T,kernel/kernel.ld -Wl,--gc-sections -o $@ $(filter %.o,$^) $(filter %.a,$^) -lgcc

# Boot loaders take the kernel as a 32-bit ELF: physical addresses count there, and they are low.
$(O)/graft.elf32: $(O)/graft.elf64
	@$(OBJCOPY) -g -O elf32-i386 $< $@

ALL += $(O)/graft.elf32
# help: make kernel          the microhypervisor alone
.PHONY: kernel
kernel: $(O)/graft.elf32
