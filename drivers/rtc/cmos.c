/* SPDX-License-Identifier: MIT */
/* From the clock's registers to seconds. */
#include "drivers/rtc/cmos.h"
#include "lib/calendar.h"

#define HOUR_PM 0x80u

/* A number of the clock; one that is not BCD where it should be comes out above every range. */
static uint32_t number(const struct cmos_time *time, uint8_t value)
{
    if (time->control_b & CMOS_B_BINARY)
        return value;
    return (value & 0xf) > 9 || value > 0x99 ? UINT32_MAX : (value >> 4) * 10u + (value & 0xf);
}

static uint32_t hour_of(const struct cmos_time *time)
{
    uint32_t hour;

    if (time->control_b & CMOS_B_24_HOURS)
        return number(time, time->hour);
    hour = number(time, time->hour & (uint8_t)~HOUR_PM);
    if (hour < 1 || hour > 12)
        return UINT32_MAX;
    return hour % 12 + (time->hour & HOUR_PM ? 12 : 0); // 12 AM is midnight
}

static uint32_t year_of(const struct cmos_time *time)
{
    uint32_t year = number(time, time->year), century = number(time, time->century);

    if (year > 99)
        return 0;
    if (century >= 19 && century <= 22)
        return century * 100 + year;
    return year + (year < 70 ? 2000 : 1900);
}

static uint32_t days_of_month(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : days[month - 1];
}

bool cmos_seconds(const struct cmos_time *time, uint64_t *seconds)
{
    struct calendar_date date = {year_of(time), number(time, time->month), number(time, time->day)};
    uint32_t second = number(time, time->second), minute = number(time, time->minute), hour = hour_of(time);

    if (second > 59 || minute > 59 || hour > 23 || date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_of_month(date.year, date.month))
        return false;
    *seconds = ((calendar_to_days(&date) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}
