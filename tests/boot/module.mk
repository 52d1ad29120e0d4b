# Unit tests of kernel loaders, firmware tables, CPUID and MSR policy, paravirtual clock.
#   $(call boot-unit-test,NAME,LIBRARIES' OTHER SOURCES)
boot-unit-test = $(eval $(call unittest,unit-boot-$(1),\
    tests/boot/$(1).c tests/boot/support.c tests/unit/tap.c vmm/memory.c $(2),vmmboot g,\
    vmm lib tests/boot tests/unit))

$(call boot-unit-test,formats)
$(call boot-unit-test,fuzz)
$(call boot-unit-test,acpi)
$(call boot-unit-test,cpuid)
$(call boot-unit-test,msr,vmm/clock.c)
$(call boot-unit-test,linux)
