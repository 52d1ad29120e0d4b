/* SPDX-License-Identifier: MIT */
/*
 * What the registers of a MC146818 real-time clock (Motorola data sheet, "Time, calendar and alarm locations" and
 * "Register B") and the century byte of a PC's CMOS memory mean. No access to the device.
 */
#ifndef DRIVERS_RTC_CMOS_H
#define DRIVERS_RTC_CMOS_H

#include <stdbool.h>
#include <stdint.h>

#define CMOS_A_UPDATING 0x80u // register A: an update is going on or begins within 244 us
#define CMOS_B_24_HOURS 0x02u // register B: hours from 0 to 23; else from 1 to 12, and bit 7 is PM
#define CMOS_B_BINARY   0x04u // register B: binary numbers; else BCD

/* The registers as they were read. The clock is taken to run in UTC. */
struct cmos_time {
    uint8_t second, minute, hour, day, month, year;
    uint8_t century;   // of the CMOS memory; used if it says 19 to 22, else years below 70 are 20xx
    uint8_t control_b;
};

/* Seconds since 1970-01-01. False: a field is out of its range (a clock that was never set, or none). */
bool cmos_seconds(const struct cmos_time *time, uint64_t *seconds);

#endif
