# Tests of vmm/cpu: decoder against Zydis, interpreter against this processor, page walk and faults directed.
#   $(call cpu-unit-test,NAME,LINK FLAGS,OTHER SOURCES)
cpu-unit-test = $(eval $(call unittest,unit-cpu-$(1),tests/cpu/$(1).c $(3) tests/unit/tap.c,vmmcpu g,\
    vmm lib tests/cpu tests/unit,$(2)))

$(eval $(call unittest,unit-cpu-length,tests/cpu/length.c tests/cpu/zydis.c tests/guests/generate.c tests/unit/tap.c,vmmcpu g,\
    vmm lib tests/cpu tests/guests tests/unit,-lZydis))

$(call cpu-unit-test,differential,,$(wildcard tests/cpu/forms_*.c) tests/cpu/native.c tests/cpu/values.c)
# The same as a program for a guest (tests/linux/native.soak).
$(eval $(call program,differential-guest,tests/cpu/differential.c $(wildcard tests/cpu/forms_*.c) tests/cpu/native.c tests/cpu/values.c \
    tests/unit/tap.c,vmmcpu g,vmm lib tests/cpu tests/unit,-static))
$(foreach t,mmio walk faults gates tasks debug vector avx deliver privileged segments tlb fuzz,$(call cpu-unit-test,$(t),,tests/cpu/guest.c))
$(call cpu-unit-test,atomic,-pthread,tests/cpu/guest.c)
$(call cpu-unit-test,disasm,-lZydis)

# Who judges which row of the opcode table: it asks the directed tests what they have executed.
DIRECTED := mmio faults gates vector privileged segments
$(call cpu-unit-test,partition,,tests/cpu/forms_rules.c)
$(O)/host/bin/unit-cpu-partition: | $(foreach t,$(DIRECTED),$(O)/host/bin/unit-cpu-$(t))
$(O)/host/tests/cpu/partition.c.o: CFLAGS-extra-host := -DDIRECTED='"$(DIRECTED)"'
$(O)/host/tests/cpu/partition.c.o: tests/cpu/module.mk

# The engines of a VM process, which need more of it.
cpu-engine-test = $(eval $(call unittest,unit-cpu-$(1),tests/cpu/$(1).c tests/cpu/machine.c $(2) tests/vmm/fake_host.c tests/unit/tap.c,\
    linux vmmengines vmm vmmboot vmmcpu g,hosts/linux vmm lib tests/cpu tests/vmm tests/unit))

$(call cpu-engine-test,engines,$(wildcard tests/cpu/forms_*.c) tests/cpu/native.c tests/cpu/values.c)
$(call cpu-engine-test,operands,)
$(call cpu-engine-test,strings,)
$(call cpu-engine-test,ends,tests/cpu/ends_code.c tests/cpu/ends_guest.c)
$(call cpu-engine-test,edges,)
$(call cpu-engine-test,views,)
$(eval $(call unittest,unit-cpu-copied,tests/cpu/copied.c tests/cpu/follow.c tests/vmm/fake_host.c tests/unit/tap.c,\
    linux vmmengines vmm vmmboot vmmcpu g,hosts/linux vmm lib tests/cpu tests/vmm tests/unit,-lZydis))
$(call cpu-engine-test,hidden,tests/cpu/forms_code.c tests/cpu/forms_rules.c tests/cpu/native.c)
$(call cpu-engine-test,sequences,$(wildcard tests/cpu/forms_*.c) tests/cpu/native.c tests/cpu/values.c)
