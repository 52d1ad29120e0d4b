# Test components, run by tests/components/components.t.
TEST_COMPONENTS := hello probe crasher adder client hammer nest
$(foreach c,$(TEST_COMPONENTS),$(eval $(call component,test-$(c),\
    tests/components/$(c).c tests/components/check.c,component base g,framework abi lib tests/components)))


.PHONY: test-components
test-components: $(addprefix $(O)/bin/test-,$(TEST_COMPONENTS)) $(O)/bin/core $(O)/bin/init $(O)/graft.elf32
