# The kernel's freestanding parts over fake memory.
$(eval $(call unittest,unit-kernel-memory-map,tests/unit/kernel/memory_map.c tests/unit/tap.c kernel/memory_map.c,,kernel abi lib tests/unit))
$(eval $(call unittest,unit-kernel-acpi,tests/unit/kernel/acpi.c tests/unit/tap.c kernel/acpi.c,g,kernel abi lib tests/unit))
