# The kernel's tests: a root task of its own, with no framework under it.
$(eval $(call component,ktest,$(wildcard tests/kernel/*.c tests/kernel/*.S),g,abi lib))
