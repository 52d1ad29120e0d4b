# Unit tests of the machine and its devices, on a virtual clock.
vmm-unit-test = $(eval $(call unittest,unit-vmm-$(1),tests/vmm/$(1).c tests/vmm/fake_host.c tests/unit/tap.c,\
    vmm vmmboot vmmcpu g,vmm lib tests/vmm tests/unit))

$(foreach t,core pic pit ioapic lapic uart rtc board hpet,$(call vmm-unit-test,$(t)))

# The whole machine: random accesses to everything, and a scripted engine instead of a processor.
$(call vmm-unit-test,fuzz)
$(call vmm-unit-test,machine)
