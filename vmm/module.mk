# The machine, its devices and vCPUs. Portable and freestanding; hosts/ brings what it runs on. A VM process links vmm,
# vmmboot (vmm/boot/) and vmmcpu (vmm/cpu/).
$(eval $(call library,vmm,user host,$(wildcard vmm/*.c vmm/devices/*.c),vmm lib))

# CPU engines in software, for hosts without hardware virtualization.
$(eval $(call library,vmmengines,host,$(wildcard vmm/engines/*.c vmm/engines/recompiler/*.c),vmm lib))

# Translated code calls these with the guest's vector registers in the processor. They depend on this file: an object that was built
# without the flag would destroy them.
LIVE_VECTORS := $(call objs,host,$(wildcard vmm/engines/recompiler/*.c vmm/cpu/*.c) vmm/memory.c vmm/clock.c vmm/vcpu.c vmm/vcpu_emulate.c vmm/record.c vmm/replay.c)
$(LIVE_VECTORS): CFLAGS-extra-host := -mgeneral-regs-only
$(LIVE_VECTORS): vmm/module.mk
# So that no loop of it becomes a call of the C library's memset(), which uses them.
$(call objs,host,vmm/engines/recompiler/view.c): CFLAGS-extra-host += -fno-builtin
