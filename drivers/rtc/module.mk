# Driver for the real-time clock.
$(eval $(call component,rtc,drivers/rtc/rtc.c drivers/rtc/cmos.c,component base g,drivers framework abi lib))
