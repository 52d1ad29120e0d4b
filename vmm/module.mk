# The VM process: machine, devices, vCPUs, loaders, tables. Portable and freestanding; hosts/ brings what it runs on, and
# vmm/cpu/ has a module of its own for the interpreter.
vmm-sources := $(sort $(wildcard vmm/*.c vmm/devices/*.c vmm/boot/*.c vmm/acpi/*.c vmm/paravirt/*.c) \
    vmm/cpu/cpuid.c vmm/cpu/msr.c)

$(eval $(call library,vmm,user host,$(vmm-sources),vmm lib))
