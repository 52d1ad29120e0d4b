# The kernel's freestanding parts over fake memory.
$(eval $(call unittest,unit-kernel-memory-map,tests/unit/kernel/memory_map.c tests/unit/tap.c kernel/memory_map.c,,kernel abi lib tests/unit))
$(eval $(call unittest,unit-kernel-acpi,tests/unit/kernel/acpi.c tests/unit/tap.c kernel/acpi.c,g,kernel abi lib tests/unit))
$(eval $(call unittest,unit-kernel-derivation,$(addprefix kernel/,pool.c slab.c pd.c node.c space.c page_table.c bitmap_space.c \
    delegate.c revoke.c) tests/unit/kernel/derivation.c tests/unit/tap.c,g,kernel abi lib tests/unit))
