# Unit tests of the drivers' parts that touch no device.
$(eval $(call unittest,unit-drivers-cmos,tests/drivers/cmos.c tests/unit/tap.c drivers/rtc/cmos.c,g,drivers lib tests/unit))
