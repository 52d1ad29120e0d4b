# The machine, its devices and vCPUs. Portable and freestanding; hosts/ brings what it runs on. A VM process links vmm,
# vmmboot (vmm/boot/) and vmmcpu (vmm/cpu/).
$(eval $(call library,vmm,user host,$(wildcard vmm/*.c vmm/devices/*.c),vmm lib))

# CPU engines in software, for hosts without hardware virtualization.
$(eval $(call library,vmmengines,host,$(wildcard vmm/engines/*.c),vmm lib))
