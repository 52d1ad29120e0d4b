# What a guest finds before its first instruction and what its processor tells it: kernel loaders,
# firmware tables, CPUID and MSR policy, the paravirtual clock.
vmmboot-sources := $(wildcard vmm/boot/*.c vmm/acpi/*.c vmm/paravirt/*.c) vmm/cpu/cpuid.c vmm/cpu/msr.c

$(eval $(call library,vmmboot,user host,$(vmmboot-sources),vmm lib))
