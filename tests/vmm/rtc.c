/* SPDX-License-Identifier: MIT */
/* The real-time clock, against the C library's calendar. */
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "lib/calendar.h"
#include "vmm/devices/rtc.h"

#include <time.h>

#define MS 1000000ull

static struct host *host;
static struct clock clk;
static struct port_bus ports;
static struct irq_hub hub;
static struct memory memory;
static struct rtc rtc;
static bool irq;
static unsigned edges;

static void heard(void *device, unsigned number, bool level)
{
    (void)device;
    (void)number;
    edges += level && !irq;
    irq = level;
}

static void set(uint8_t reg, uint8_t value)
{
    port_bus_write(&ports, 0x70, 1, reg);
    port_bus_write(&ports, 0x71, 1, value);
}

static uint8_t get(uint8_t reg)
{
    port_bus_write(&ports, 0x70, 1, reg);
    return (uint8_t)port_bus_read(&ports, 0x71, 1);
}

static unsigned get_bcd(uint8_t reg)
{
    uint8_t value = get(reg);

    return (value >> 4) * 10u + (value & 15);
}

static uint64_t seconds(void)
{
    struct tm tm = {
        .tm_sec = (int)get_bcd(0), .tm_min = (int)get_bcd(2), .tm_hour = (int)get_bcd(4),
        .tm_mday = (int)get_bcd(7), .tm_mon = (int)get_bcd(8) - 1,
        .tm_year = (int)(get_bcd(9) + get_bcd(0x32) * 100) - 1900,
    };

    return (uint64_t)timegm(&tm);
}

static void test_calendar(void)
{
    uint64_t seed = 42;
    bool right = true;

    for (unsigned i = 0; i < 100000; i++) {
        time_t t = (time_t)(random_below(&seed, 100000) * 86400);
        struct tm tm;
        struct calendar_date date = calendar_from_days((uint64_t)t / 86400);

        gmtime_r(&t, &tm);
        right &= date.year == (uint32_t)tm.tm_year + 1900 &&
                 date.month == (uint32_t)tm.tm_mon + 1 && date.day == (uint32_t)tm.tm_mday;
        right &= calendar_to_days(&date) == (uint64_t)t / 86400;
    }
    ok(right, "100,000 days to dates and back");
}

static void test_time(void)
{
    is_u64(seconds(), FAKE_WALL, "starts at the host's wall clock");
    is_u64(get(6), 3, "a Tuesday");
    fake_host_pass(host, &clk, 1500 * MS);
    is_u64(seconds(), FAKE_WALL + 1, "runs");
    set(11, 0x06);
    is_u64(get(4), 22, "binary");
    set(11, 0x00);
    is_u64(get(4), 0x90, "12 hours: 10 in the afternoon");
    set(11, 0x82);
    set(0, 0x58);
    set(2, 0x59);
    set(4, 0x23);
    set(7, 0x28);
    set(8, 0x02);
    set(9, 0x24);
    set(6, 0x04);
    fake_host_pass(host, &clk, 5000 * MS);
    is_u64(get(0), 0x58, "SET: stands still");
    set(11, 0x02);
    fake_host_pass(host, &clk, 2000 * MS);
    is_u64(get(7) << 8 | get(8), 0x2902, "set: a leap day follows");
    is_u64(get(6), 0x05, "the weekday goes on from what was set");
    fake_host_pass(host, &clk, 86400 * 1000 * MS);
    is_u64(get(7) << 8 | get(8), 0x0103, "then March");
    set(0, 0x99);
    ok(get(0) <= 0x59, "an impossible second is counted on");
    set(8, 0xff);
    set(7, 0xff);
    ok(get(8) >= 1 && get(8) <= 0x12, "an impossible date becomes a possible one");
}

static void test_update(void)
{
    unsigned busy = 0;

    set(11, 0x82);
    set(10, 0x76);
    set(0, 0x10);
    set(11, 0x02);
    set(10, 0x26);
    fake_host_pass(host, &clk, 499 * MS);
    is_u64(get(0), 0x10, "divider released: the first update");
    ok(get(10) & 0x80, "UIP before it");
    fake_host_pass(host, &clk, 1 * MS);
    is_u64(get(0), 0x11, "comes after half a second");
    ok(!(get(10) & 0x80), "UIP clear after it");
    for (unsigned i = 0; i < 10000; i++) {
        busy += get(10) >> 7;
        fake_host_pass(host, &clk, MS / 10);
    }
    ok(busy >= 22 && busy <= 23, "UIP for 2.2 ms in a second (%u)", busy);
}

static void test_interrupts(void)
{
    (void)get(12);
    set(11, 0x12);
    edges = 0;
    for (unsigned i = 0; i < 5; i++) {
        fake_host_pass(host, &clk, 1000 * MS);
        is_u64(get(12), 0xd0, "update interrupt (periodic flag too)");
    }
    is_u64(edges, 5, "one a second");
    set(11, 0x02);
    set(1, 0xff);
    set(3, 0xff);
    set(5, 0xff);
    (void)get(12);
    set(11, 0x22);
    fake_host_pass(host, &clk, 1000 * MS);
    is_u64(get(12) & 0xa0, 0xa0, "alarm that matches anything");
    set(11, 0x82);
    set(0, 0);
    set(2, 0);
    set(4, 0);
    set(11, 0x02);
    set(1, 0x30);
    set(3, 0x01);
    set(5, 0x00);
    (void)get(12);
    set(11, 0x22);
    edges = 0;
    fake_host_pass(host, &clk, 89000 * MS);
    is_u64(edges, 0, "alarm at 0:01:30: not yet");
    fake_host_pass(host, &clk, 1000 * MS);
    is_u64(edges, 1, "now");
    set(11, 0x42);
    set(10, 0x26);
    (void)get(12);
    edges = 0;
    for (unsigned i = 0; i < 1000; i++) {
        fake_host_pass(host, &clk, MS);
        (void)get(12);
    }
    ok(edges >= 999 && edges <= 1000, "periodic at 1024 Hz, read each millisecond (%u)", edges);
    edges = 0;
    fake_host_pass(host, &clk, 1000 * MS);
    is_u64(edges, 1, "without a read of C only one");
    is_u64(get(12), 0xd0, "flags");
    is_u64(get(12), 0, "cleared");
    set(10, 0x20);
    fake_host_pass(host, &clk, 1000 * MS);
    is_u64(get(12) & 0x40, 0, "rate 0: none");
    set(11, 0x02);
}

static void test_memory(void)
{
    is_u64(get(13), 0x80, "battery good");
    set(13, 0);
    set(12, 0xff);
    is_u64(get(13), 0x80, "C and D are read-only");
    is_u64(get(0x15) | get(0x16) << 8, 640, "base memory");
    is_u64(get(0x17) | get(0x18) << 8, 15 * 1024, "extended memory in KiB");
    is_u64(get(0x34) | get(0x35) << 8, 0, "above 16 MiB");
    set(0x40, 0x77);
    set(0xc0, 0x78);
    is_u64(get(0x40), 0x78, "bit 7 of the index is not part of it");
    set(11, 0x7e);
    device_reset(&rtc.device);
    is_u64(get(11), 0x06, "reset: interrupts off, format kept");
    is_u64(get(0x40), 0x78, "memory kept");
    is_u64(port_bus_read(&ports, 0x70, 1), 0xff, "the index cannot be read");
}

int main(void)
{
    host = fake_host_new(16 << 20);
    port_bus_init(&ports);
    irq_hub_init(&hub);
    hub.pic = heard;
    ok(memory_init(&memory, host, 16 << 20) == VMM_OK && clock_init(&clk, host) == VMM_OK &&
       rtc_init(&rtc, &ports, host_mutex_create(host), &clk, &hub, &memory) == VMM_OK, "there");
    test_calendar();
    test_time();
    test_update();
    test_interrupts();
    test_memory();
    fake_host_free(host);
    return tap_done();
}
