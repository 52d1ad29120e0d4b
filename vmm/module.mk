# The machine, its devices and vCPUs. Portable and freestanding; hosts/ brings what it runs on. A VM process links vmm,
# vmmboot (vmm/boot/) and vmmcpu (vmm/cpu/).
$(eval $(call library,vmm,user host,$(wildcard vmm/*.c vmm/devices/*.c),vmm lib))

# CPU engines in software, for hosts without hardware virtualization.
$(eval $(call library,vmmengines,host,$(wildcard vmm/engines/*.c vmm/engines/recompiler/*.c),vmm lib))

# Translated code calls these with the guest's vector registers in the processor.
$(call objs,host,$(wildcard vmm/engines/recompiler/*.c) vmm/memory.c vmm/cpu/decode.c vmm/cpu/opcode.c vmm/cpu/walk.c): CFLAGS-extra-host := -mgeneral-regs-only
# So that no loop of it becomes a call of the C library's memset(), which uses them.
$(call objs,host,vmm/engines/recompiler/view.c): CFLAGS-extra-host += -fno-builtin
