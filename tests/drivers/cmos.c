/* SPDX-License-Identifier: MIT */
/* The clock's registers against the C library's calendar, in each of its four formats, and with every byte wrong. */
#include "drivers/rtc/cmos.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <stdio.h>
#include <time.h>

static uint8_t code(unsigned value, uint8_t b)
{
    return (uint8_t)(b & CMOS_B_BINARY ? value : value / 10 << 4 | value % 10);
}

static struct cmos_time registers_of(time_t seconds, uint8_t b)
{
    struct tm tm;
    unsigned hour;
    uint8_t pm = 0;

    gmtime_r(&seconds, &tm);
    hour = (unsigned)tm.tm_hour;
    if (!(b & CMOS_B_24_HOURS)) {
        pm = hour >= 12 ? 0x80 : 0;
        hour = hour % 12 ? hour % 12 : 12;
    }
    return (struct cmos_time){
        .second = code((unsigned)tm.tm_sec, b), .minute = code((unsigned)tm.tm_min, b), .hour = code(hour, b) | pm,
        .day = code((unsigned)tm.tm_mday, b), .month = code((unsigned)tm.tm_mon + 1, b),
        .year = code((unsigned)tm.tm_year % 100, b), .century = code(19 + (unsigned)tm.tm_year / 100, b), .control_b = b,
    };
}

static void test_formats(void)
{
    static const uint8_t formats[] = {0, CMOS_B_24_HOURS, CMOS_B_BINARY, CMOS_B_24_HOURS | CMOS_B_BINARY};
    uint64_t random = 1, end = 8520336000; // 2240

    for (unsigned f = 0; f < 4; f++) {
        unsigned good = 0;

        for (unsigned i = 0; i < 100000; i++) {
            time_t seconds = (time_t)random_below(&random, end);
            struct cmos_time time = registers_of(seconds, formats[f]);
            uint64_t got = 0;

            good += cmos_seconds(&time, &got) && got == (uint64_t)seconds;
        }
        is_u64(good, 100000, formats[f] & CMOS_B_24_HOURS ? "24 hours" : "12 hours");
    }
}

static void test_hours(void)
{
    uint64_t got = 0;
    struct cmos_time time = registers_of(0, 0);

    ok(time.hour == 0x12 && cmos_seconds(&time, &got) && got == 0, "12 AM is midnight");
    time.hour = 0x92;
    ok(cmos_seconds(&time, &got) && got == 12 * 3600, "12 PM is noon");
    time.hour = 0x81;
    ok(cmos_seconds(&time, &got) && got == 13 * 3600, "1 PM");
    time.hour = 0;
    ok(!cmos_seconds(&time, &got), "no hour 0 among twelve");
    time.hour = 0x13;
    ok(!cmos_seconds(&time, &got), "nor 13");
}

static void test_century(void)
{
    uint64_t got = 0;
    struct cmos_time time = registers_of(951782400, CMOS_B_24_HOURS); // 2000-02-29

    ok(cmos_seconds(&time, &got) && got == 951782400, "29 February 2000");
    time.century = 0xff;
    ok(cmos_seconds(&time, &got) && got == 951782400, "a year 00 without a century is 2000");
    time.year = 0x98;
    time.day = 0x28;
    ok(cmos_seconds(&time, &got) && got == 888624000, "a year 98 is 1998");
    time.day = 0x29;
    ok(!cmos_seconds(&time, &got), "no 29 February 1998");
    time.century = 0x21, time.year = 0x00;
    ok(!cmos_seconds(&time, &got), "nor 2100");
}

/* One field at a time with every value: what is taken must encode back to the same registers. */
static void test_wrong(void)
{
    unsigned wrong = 0, refused = 0;

    for (unsigned field = 0; field < 6; field++)
        for (unsigned value = 0; value < 256; value++) {
            struct cmos_time time = registers_of(1700000000, CMOS_B_24_HOURS), back;
            uint8_t *fields[] = {&time.second, &time.minute, &time.hour, &time.day, &time.month, &time.year};
            uint64_t got;

            *fields[field] = (uint8_t)value;
            if (!cmos_seconds(&time, &got)) {
                refused++;
                continue;
            }
            back = registers_of((time_t)got, CMOS_B_24_HOURS);
            wrong += back.second != time.second || back.minute != time.minute || back.hour != time.hour ||
                     back.day != time.day || back.month != time.month || back.year != time.year;
        }
    is_u64(wrong, 0, "no impossible date is taken");
    is_u64(6 * 256 - refused, 60 + 60 + 24 + 30 + 12 + 100, "each possible one is");
}

int main(void)
{
    test_formats();
    test_hours();
    test_century();
    test_wrong();
    return tap_done();
}
