/* SPDX-License-Identifier: MIT */
/*
 * Days and dates of the proleptic Gregorian calendar, counted from 1970-01-01. Any numbers are
 * accepted; results are bounded.
 */
#ifndef LIB_CALENDAR_H
#define LIB_CALENDAR_H

#include <stdint.h>

struct calendar_date {
    uint32_t year, month, day; // month and day from 1
};

/* Years from 1970; an out-of-range month or day counts on into the next ones. */
uint64_t calendar_to_days(const struct calendar_date *date);
struct calendar_date calendar_from_days(uint64_t days);

#endif
