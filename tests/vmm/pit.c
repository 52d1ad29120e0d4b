/* SPDX-License-Identifier: MIT */
/* The 8254, period by period. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/pit.h"

static struct host *host;
static struct clock clk;
static struct port_bus ports;
static struct irq_hub hub;
static struct pit pit;
static unsigned edges;
static bool level;

static void heard(void *device, unsigned irq, bool on)
{
    (void)device;
    (void)irq;
    edges += on && !level;
    level = on;
}

static void out(uint16_t port, uint8_t value)
{
    port_bus_write(&ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
    return (uint8_t)port_bus_read(&ports, port, 1);
}

/* To the beginning of a period of the 8254's clock, `n` periods on. */
static void periods(uint64_t n)
{
    uint64_t t = clock_to_count(&clk, clock_now(&clk), PIT_HZ) + n;

    fake_host_pass(host, &clk, clock_from_count(&clk, t, PIT_HZ) - clock_now(&clk));
}

static void set(unsigned counter, uint8_t mode, uint16_t count)
{
    out(0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
    out((uint16_t)(0x40 + counter), (uint8_t)count);
    out((uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

static uint16_t latched(unsigned counter)
{
    uint16_t low;

    out(0x43, (uint8_t)(counter << 6));
    low = in((uint16_t)(0x40 + counter));
    return (uint16_t)(low | in((uint16_t)(0x40 + counter)) << 8);
}

static uint8_t status(unsigned counter)
{
    out(0x43, (uint8_t)(0xe0 | 2 << counter));
    return in((uint16_t)(0x40 + counter));
}

static void gate(bool on)
{
    out(0x61, on);
}

static bool output2(void)
{
    return in(0x61) & 0x20;
}

static void test_mode0(void)
{
    gate(true);
    periods(1);
    out(0x43, 0xb0);
    ok(!output2(), "mode 0: the control word sets the output low");
    out(0x42, 10);
    out(0x42, 0);
    is_u64(latched(2), 10, "loaded");
    periods(1);
    is_u64(latched(2), 10, "one period to load");
    periods(4);
    is_u64(latched(2), 6, "counts");
    gate(false);
    periods(100);
    is_u64(latched(2), 6, "the gate stops it");
    gate(true);
    periods(5);
    ok(!output2(), "low");
    periods(1);
    ok(output2(), "high at terminal count");
    periods(3);
    is_u64(latched(2), 0xfffd, "and counts on");
    ok(output2(), "stays high");
    out(0x42, 5);
    periods(10);
    is_u64(latched(2), 0xfffd, "the first byte of a new count stops it");
    out(0x42, 0);
    periods(3);
    ok(!output2(), "low again");
    is_u64(latched(2), 3, "new count");
}

static void test_mode1(void)
{
    gate(false);
    set(2, 1, 8);
    periods(20);
    ok(output2(), "mode 1: high until triggered");
    ok(status(2) & 0x40, "null count until then");
    gate(true);
    periods(1);
    ok(!output2(), "low after the trigger");
    periods(7);
    ok(!output2(), "for the count");
    periods(1);
    ok(output2(), "and high again");
    gate(false);
    gate(true);
    periods(4);
    gate(false);
    gate(true);
    periods(8);
    ok(!output2(), "retriggered");
    periods(1);
    ok(output2(), "a whole count later");
}

static void test_mode2(void)
{
    unsigned low = 0;

    gate(true);
    set(2, 2, 5);
    periods(1);
    for (unsigned i = 0; i < 50; i++) {
        low += !output2();
        periods(1);
    }
    is_u64(low, 10, "mode 2: low one period in five");
    set(2, 2, 100);
    periods(31);
    is_u64(latched(2), 70, "the count");
    out(0x42, 50);
    out(0x42, 0);
    periods(10);
    is_u64(latched(2), 60, "a new count waits for the end of the cycle");
    ok(status(2) & 0x40, "null count meanwhile");
    periods(60);
    is_u64(latched(2), 50, "then it counts");
    ok(!(status(2) & 0x40), "loaded");
    gate(false);
    ok(output2(), "the gate sets the output high");
    periods(7);
    gate(true);
    periods(1);
    is_u64(latched(2), 50, "and reloads when it rises");
}

static void test_mode3(void)
{
    unsigned high = 0;

    gate(true);
    set(2, 3, 7);
    periods(1);
    for (unsigned i = 0; i < 70; i++) {
        high += output2();
        periods(1);
    }
    is_u64(high, 40, "mode 3, odd count: high four of seven periods");
    set(2, 3, 100);
    periods(1);
    is_u64(latched(2), 100, "counts by two");
    periods(10);
    is_u64(latched(2), 80, "in the high half");
    periods(45);
    is_u64(latched(2), 90, "and in the low half");
    ok(!output2(), "which is low");
}

static void test_strobes(void)
{
    gate(true);
    set(2, 4, 6);
    periods(6);
    ok(output2(), "mode 4: high");
    periods(1);
    ok(!output2(), "low for one period at the end");
    periods(1);
    ok(output2(), "then high");
    gate(false);
    set(2, 5, 6);
    periods(30);
    ok(output2(), "mode 5: waits for the gate");
    gate(true);
    periods(7);
    ok(!output2(), "strobe");
    periods(1);
    ok(output2(), "over");
}

static void test_access(void)
{
    gate(true);
    out(0x43, 0x90 | 4);
    out(0x42, 200);
    periods(11);
    is_u64(in(0x42), 190, "low byte only");
    out(0x43, 0xa0 | 4);
    out(0x42, 2);
    periods(2);
    is_u64(in(0x42), 1, "high byte only: 200h - 1");
    out(0x43, 0xb1 | 4);
    out(0x42, 0x34);
    out(0x42, 0x12);
    periods(36);
    is_u64(latched(2), 0x1199, "BCD");
    set(2, 2, 0);
    periods(2);
    is_u64(latched(2), 0xffff, "a count of 0 is 65536");
    out(0x43, 0x80);
    periods(10);
    out(0x43, 0x80);
    is_u64(in(0x42), 0xff, "a second latch command is ignored");
    is_u64(in(0x42), 0xff, "high byte");
    out(0x43, 0xc0 | 0x08);
    is_u64(in(0x42) & 0x3f, 0x34, "read-back: status first");
    is_u64(in(0x42), 0xf5, "then the count");
    is_u64(in(0x42), 0xff, "both bytes");
    is_u64(in(0x43), 0xff, "the control word cannot be read");
}

static void test_interrupt(void)
{
    unsigned refresh = 0;

    set(0, 2, 11932);
    edges = 0;
    fake_host_pass(host, &clk, 1000000000);
    is_u64(edges, 99, "mode 2: 100 Hz (the 100th is 15 us later)");
    fake_host_pass(host, &clk, 100000);
    is_u64(edges, 100, "on time");
    set(0, 3, 1193);
    edges = 0;
    fake_host_pass(host, &clk, 100500000);
    is_u64(edges, 100, "mode 3: 1 kHz");
    set(0, 0, 1000);
    edges = 0;
    ok(!level, "mode 0: low");
    fake_host_pass(host, &clk, 837000);
    is_u64(edges, 0, "not yet");
    fake_host_pass(host, &clk, 3000);
    is_u64(edges, 1, "once");
    fake_host_pass(host, &clk, 100000000);
    is_u64(edges, 1, "and not again");
    set(0, 4, 1000);
    edges = 0;
    fake_host_pass(host, &clk, 10000000);
    is_u64(edges, 1, "mode 4: one strobe");
    set(0, 2, 2);
    edges = 0;
    fake_host_pass(host, &clk, 10000000);
    ok(edges > 150 && edges <= 201, "600 kHz are merged: %u in 10 ms", edges);
    for (unsigned i = 0; i < 100; i++) {
        bool before = in(0x61) & 0x10;

        fake_host_pass(host, &clk, 15085);
        refresh += before != (bool)(in(0x61) & 0x10);
    }
    ok(refresh > 95, "port 61h bit 4 toggles every 15 us");
    out(0x61, 0xff);
    is_u64(in(0x61) & 0xcf, 0x0f, "port 61h: four bits are kept");
}

int main(void)
{
    struct host_mutex *lock;

    host = fake_host_new(0);
    lock = host_mutex_create(host);
    port_bus_init(&ports);
    irq_hub_init(&hub);
    hub.pic = heard;
    ok(clock_init(&clk, host) == VMM_OK && pit_init(&pit, &ports, lock, &clk, &hub) == VMM_OK,
       "there");
    test_mode0();
    test_mode1();
    test_mode2();
    test_mode3();
    test_strobes();
    test_access();
    test_interrupt();
    fake_host_free(host);
    return tap_done();
}
