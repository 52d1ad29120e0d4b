/* SPDX-License-Identifier: MIT */
/* The HPET. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/hpet.h"

#define TICK 100u // ns

static struct host *host;
static struct clock clk;
static struct memory_bus memory;
static struct irq_hub hub;
static struct irq_line pit, rtc;
static struct hpet hpet;
static unsigned edges[24];
static bool level[24];

static void heard(void *device, unsigned pin, bool on)
{
    (void)device;
    edges[pin] += on && !level[pin];
    level[pin] = on;
}

static uint64_t get(unsigned reg)
{
    return memory_bus_read(&memory, HPET_BASE + reg, 8);
}

static void set(unsigned reg, uint64_t value)
{
    memory_bus_write(&memory, HPET_BASE + reg, 8, value);
}

static unsigned count(unsigned pin)
{
    unsigned n = edges[pin];

    edges[pin] = 0;
    return n;
}

static void test_counter(void)
{
    is_u64(get(0) >> 32, 100000000, "period in femtoseconds");
    is_u64(get(0) & 0xffffffff, 0x8086a201, "three 64-bit timers, legacy replacement");
    is_u64(get(0x108), UINT64_MAX, "comparator after reset");
    is_u64(memory_bus_read(&memory, HPET_BASE + 4, 4), 100000000, "by halves");
    fake_host_pass(host, &clk, 1000000);
    is_u64(get(0xf0), 0, "stands still");
    set(0xf0, 1000);
    set(0x10, 1);
    fake_host_pass(host, &clk, 1000000);
    is_u64(get(0xf0), 11000, "counts at 10 MHz from what was set");
    set(0xf0, 5);
    is_u64(get(0xf0), 11000, "not writable while counting");
    set(0x10, 0);
    fake_host_pass(host, &clk, 1000000);
    is_u64(get(0xf0), 11000, "stopped");
    memory_bus_write(&memory, HPET_BASE + 0xf4, 4, 7);
    is_u64(get(0xf0), 7ull << 32 | 11000, "half a write");
    set(0xf0, 0);
    set(0x10, 1);
}

static void test_oneshot(void)
{
    set(0x120, 0x14 << 9 | 0x04);
    set(0x128, get(0xf0) + 100);
    fake_host_pass(host, &clk, 99 * TICK);
    is_u64(count(20), 0, "not yet");
    fake_host_pass(host, &clk, TICK);
    is_u64(count(20), 1, "an edge on pin 20");
    fake_host_pass(host, &clk, 1000000);
    is_u64(count(20), 0, "once");
    set(0x140, 0x15 << 9 | 0x06);
    set(0x148, get(0xf0) + 50);
    fake_host_pass(host, &clk, 50 * TICK);
    ok(level[21], "level on pin 21");
    is_u64(get(0x20), 4, "status");
    set(0x20, 4);
    ok(!level[21], "cleared");
    set(0x140, 0);
    set(0x120, 0x104 | 0x14 << 9);
    set(0x128, UINT64_MAX);
    is_u64(get(0x128), 0xffffffff, "32-bit mode");
    set(0x120, 0);
}

static void test_periodic(void)
{
    count(22);
    set(0x100, 0x16 << 9 | 0x4c);
    set(0x108, get(0xf0) + 1000);
    set(0x108, 10000);
    fake_host_pass(host, &clk, 1000 * TICK);
    is_u64(count(22), 1, "the first after the comparator");
    fake_host_pass(host, &clk, 1000000000);
    is_u64(count(22), 1000, "then each period, none lost");
    set(0x108, 1);
    fake_host_pass(host, &clk, 10000000);
    ok(edges[22] > 150 && edges[22] <= 202, "a period of 100 ns is merged (%u)", edges[22]);
    set(0x100, 0);
    count(22);
    fake_host_pass(host, &clk, 10000000);
    is_u64(count(22), 0, "disabled");
}

static void test_legacy(void)
{
    irq_set(&pit, false);
    set(0x10, 3);
    count(2);
    count(8);
    irq_set(&pit, true);
    is_u64(count(2), 0, "legacy: the 8254 is cut off");
    set(0x100, 0x04);
    set(0x108, get(0xf0) + 100);
    set(0x120, 0x04);
    set(0x128, get(0xf0) + 100);
    fake_host_pass(host, &clk, 200 * TICK);
    is_u64(count(2) << 4 | count(8), 0x11, "timers 0 and 1 in their places");
    set(0x10, 1);
    is_u64(count(2), 1, "the 8254 is back");
    device_reset(&hpet.device);
    is_u64(get(0x10), 0, "reset");
}

int main(void)
{
    host = fake_host_new(0);
    memory_bus_init(&memory);
    irq_hub_init(&hub);
    hub.ioapic = heard;
    ok(irq_connect(&hub, &pit, 0) && irq_connect(&hub, &rtc, 8) &&
       clock_init(&clk, host) == VMM_OK &&
       hpet_init(&hpet, &memory, host_mutex_create(host), &clk, &hub, &pit, &rtc) == VMM_OK,
       "there");
    test_counter();
    test_oneshot();
    test_periodic();
    test_legacy();
    fake_host_free(host);
    return tap_done();
}
