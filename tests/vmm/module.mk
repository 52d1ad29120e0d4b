# Unit tests of the machine and its devices, on a virtual clock.
#   $(call vmm-unit-test,NAME,LIBRARIES,OTHER SOURCES)
vmm-unit-test = $(eval $(call unittest,unit-vmm-$(1),tests/vmm/$(1).c $(3) tests/vmm/fake_host.c tests/unit/tap.c,\
    $(2) g,vmm lib tests/vmm tests/unit))

$(foreach t,core pic pit ioapic lapic uart rtc board hpet suites,$(call vmm-unit-test,$(t),vmm))

# The whole machine: random accesses to everything, and a scripted engine instead of a processor.
$(foreach t,fuzz machine,$(call vmm-unit-test,$(t),vmm vmmboot vmmcpu,tests/vmm/script.c))

$(eval $(call unittest,unit-vmm-smp,tests/vmm/smp.c tests/vmm/script.c tests/vmm/thread_host.c tests/unit/tap.c,\
    vmm vmmboot vmmcpu g,vmm lib tests/vmm tests/unit,-pthread))
