# Test components, run by tests/components/*.t.
TEST_COMPONENTS := hello probe crasher adder client hammer nest line redialer server asker glutton talker scribbler
$(foreach c,$(TEST_COMPONENTS),$(eval $(call component,test-$(c),\
    tests/components/$(c).c tests/components/check.c,component base g,framework abi lib tests/components tests/unit)))

.PHONY: test-components
test-components: $(addprefix $(O)/bin/test-,hello probe crasher adder client hammer nest line redialer) $(O)/bin/core $(O)/bin/init $(O)/graft.elf32

.PHONY: test-sessions test-lives test-terminal
test-sessions: $(addprefix $(O)/bin/,test-asker test-server rtc core init) $(O)/graft.elf32
test-lives: $(addprefix $(O)/bin/,test-glutton test-server core init) $(O)/graft.elf32
test-terminal: $(addprefix $(O)/bin/,test-talker test-scribbler uart terminal core init) $(O)/graft.elf32
