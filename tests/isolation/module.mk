# The components of tests/isolation/*.t: an attacker, its victim.
$(eval $(call component,test-attacker,$(addprefix tests/isolation/,attacker.c hypercalls.c core.c parent.c starve.c)\
    tests/components/check.c,component base g,framework abi lib tests/components tests/isolation tests/unit))
$(eval $(call component,test-victim,tests/isolation/victim.c,component base g,framework abi lib))

.PHONY: test-isolation
test-isolation: $(addprefix $(O)/bin/,test-attacker test-victim core init uart terminal rtc) $(O)/graft.elf32
