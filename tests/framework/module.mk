# Unit tests of the framework's parts that need no kernel.
framework-test = $(eval $(call unittest,unit-framework-$(1),tests/framework/$(1).c tests/unit/tap.c $(2),g,framework abi lib tests/unit))

$(call framework-test,range,framework/base/range.c)
$(call framework-test,config,framework/init/config.c)
$(call framework-test,heap,framework/component/heap.c)
