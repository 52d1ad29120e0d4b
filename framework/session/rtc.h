/* SPDX-License-Identifier: MIT */
/*
 * The rtc session: what time it is. Service name "rtc"; the label is ignored; no capabilities. The answer belongs
 * to TSC value 0, so that a client asks once and adds what the TSC has counted since; it does not follow the clock
 * when that is set.
 *
 * Answer: word 0 nanoseconds from 1970-01-01 00:00 UTC to TSC value 0, modulo 2^64 (negative on a machine whose
 * clock is wrong), 1 how many nanoseconds that may be off either way.
 */
#ifndef FRAMEWORK_SESSION_RTC_H
#define FRAMEWORK_SESSION_RTC_H

#include "framework/parent.h"

struct rtc_time {
    uint64_t ns;          // at TSC value 0
    uint64_t uncertainty; // in ns
};

/* Opens a session, takes the answer, and closes it. deadline: absolute TSC, 0 for none. */
enum status rtc_ask(struct rtc_time *time, uint64_t deadline) MUST_CHECK;

#endif
