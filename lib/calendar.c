/* SPDX-License-Identifier: MIT */
/* Days and dates: the year begins in March here, so that the leap day is its last. */
#include "lib/calendar.h"

#define DAYS_TO_1970 719468u // from 0000-03-01

uint64_t calendar_to_days(const struct calendar_date *date)
{
    uint32_t month = date->month ? date->month - 1 : 0;
    uint64_t year = (uint64_t)date->year + month / 12;
    uint64_t days;

    month %= 12;
    if (month < 2)
        year--;
    month = (month + 10) % 12;
    days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    days += date->day ? date->day - 1 : 0;
    return days > DAYS_TO_1970 ? days - DAYS_TO_1970 : 0;
}

struct calendar_date calendar_from_days(uint64_t days)
{
    uint64_t day = days + DAYS_TO_1970;
    uint64_t era = day / 146097;
    uint32_t in_era = (uint32_t)(day % 146097);
    uint32_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * in_year + 2) / 153;
    struct calendar_date date = {
        .year = (uint32_t)(era * 400) + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = in_year - (153 * month + 2) / 5 + 1,
    };

    return date;
}
