/* SPDX-License-Identifier: MIT */
/* Local APICs: registers, priorities, messages, timer, and the two modes. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/lapic.h"

#include <string.h>

#define COUNT 20u

static struct host *host;
static struct clock clk;
static struct apic_bus bus;
static struct lapic apic[COUNT];
static unsigned signals[COUNT][4];
static uint8_t sipi[COUNT];
static unsigned eois;
static uint8_t eoi_vector;

static void signalled(void *vcpu, enum lapic_signal signal, uint8_t vector)
{
    unsigned id = (unsigned)((struct lapic *)vcpu - apic);

    signals[id][signal]++;
    if (signal == LAPIC_SIPI)
        sipi[id] = vector;
}

static void end_of_interrupt(void *ioapic, uint8_t vector)
{
    (void)ioapic;
    eois++;
    eoi_vector = vector;
}

static void reset(void)
{
    memset(signals, 0, sizeof(signals));
    for (unsigned i = 0; i < COUNT; i++) {
        device_reset(&apic[i].device);
        lapic_mmio_write(&apic[i], 0xf0, 0x1ff);
    }
    eois = 0;
}

static bool wrmsr(unsigned id, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(&apic[id], msr, value);
}

static uint64_t rdmsr(unsigned id, uint32_t msr)
{
    uint64_t value = 0x1badbad;

    return lapic_msr_read(&apic[id], msr, &value) ? value : 0xbad;
}

static void to_x2(unsigned id)
{
    ok(wrmsr(id, MSR_APIC_BASE, apic[id].base | LAPIC_BASE_X2), "APIC %u to x2APIC mode", id);
}

static void icr(unsigned id, uint32_t destination, uint32_t low)
{
    lapic_mmio_write(&apic[id], 0x310, destination << 24);
    lapic_mmio_write(&apic[id], 0x300, low);
}

/* Which of the first eight have the vector pending; clears it. */
static unsigned who(uint8_t vector)
{
    unsigned set = 0;

    for (unsigned i = 0; i < COUNT; i++)
        if (lapic_pending(&apic[i]) == vector) {
            set |= 1u << i;
            lapic_acknowledge(&apic[i], vector);
            lapic_eoi(&apic[i]);
        }
    return set;
}

static void test_registers(void)
{
    reset();
    device_reset(&apic[3].device);
    is_u64(lapic_mmio_read(&apic[3], 0x20), 0x03000000, "identifier");
    is_u64(lapic_mmio_read(&apic[3], 0x30) & 0xff00ff, 0x060014, "version, 7 LVT entries");
    is_u64(lapic_mmio_read(&apic[3], 0xf0), 0xff, "SVR at reset");
    is_u64(lapic_mmio_read(&apic[3], 0xe0), 0xffffffff, "DFR at reset");
    is_u64(lapic_mmio_read(&apic[3], 0x350), 0x10000, "LVT masked at reset");
    lapic_mmio_write(&apic[3], 0x350, 0x700);
    is_u64(lapic_mmio_read(&apic[3], 0x350), 0x10700, "and stays so while the APIC is off");
    lapic_mmio_write(&apic[3], 0xf0, 0x1ff);
    lapic_mmio_write(&apic[3], 0x350, 0xffffffff);
    is_u64(lapic_mmio_read(&apic[3], 0x350), 0x1a7ff, "LINT0: writable bits");
    lapic_mmio_write(&apic[3], 0x320, 0xffffffff);
    is_u64(lapic_mmio_read(&apic[3], 0x320), 0x100ff, "timer LVT: reserved mode reads as one-shot");
    lapic_mmio_write(&apic[3], 0xd0, 0xffffffff);
    is_u64(lapic_mmio_read(&apic[3], 0xd0), 0xff000000, "LDR");
    lapic_mmio_write(&apic[3], 0xe0, 0);
    is_u64(lapic_mmio_read(&apic[3], 0xe0), 0x0fffffff, "DFR");
    lapic_mmio_write(&apic[3], 0x80, 0x1ff);
    is_u64(lapic_mmio_read(&apic[3], 0x80), 0xff, "TPR");
    lapic_mmio_write(&apic[3], 0xf0, 0xff);
    is_u64(lapic_mmio_read(&apic[3], 0x320) >> 16, 1, "switching off masks LVTs");
    lapic_mmio_write(&apic[3], 0x2f0, 0xffffffff);
    is_u64(lapic_mmio_read(&apic[3], 0x2f0), 0x107ff, "that of corrected machine checks too");
    lapic_mmio_write(&apic[3], 0x280, 0);
    is_u64(lapic_mmio_read(&apic[3], 0x280), 0, "no error so far");
    (void)lapic_mmio_read(&apic[3], 0x3c0);
    is_u64(lapic_mmio_read(&apic[3], 0x280), 0, "ESR changes when it is written");
    lapic_mmio_write(&apic[3], 0x280, 0);
    is_u64(lapic_mmio_read(&apic[3], 0x280), 0x80, "illegal register address");
    lapic_mmio_write(&apic[3], 0xf0, 0x1ff);
    lapic_mmio_write(&apic[3], 0x370, 0xfe);
    icr(3, 3, 0x05);
    is_u64((uint64_t)lapic_requested(&apic[3]), 0xfe, "an error interrupt");
    ok(lapic_pending(&apic[3]) == -1, "which TPR holds back");
}

static void test_priority(void)
{
    reset();
    icr(0, 0, 0x31);
    icr(0, 0, 0x51);
    icr(0, 0, 0x52);
    is_u64((uint64_t)lapic_pending(&apic[0]), 0x52, "the highest vector");
    lapic_acknowledge(&apic[0], 0x52);
    is_u64(lapic_mmio_read(&apic[0], 0x120), 1 << 18, "in service");
    is_u64(lapic_mmio_read(&apic[0], 0xa0), 0x50, "processor priority");
    ok(lapic_pending(&apic[0]) == -1, "its class blocks the same class");
    is_u64((uint64_t)lapic_requested(&apic[0]), 0x51, "which waits");
    lapic_eoi(&apic[0]);
    is_u64((uint64_t)lapic_pending(&apic[0]), 0x51, "until EOI");
    lapic_mmio_write(&apic[0], 0x80, 0x50);
    ok(lapic_pending(&apic[0]) == -1, "TPR blocks");
    lapic_set_cr8(&apic[0], 4);
    is_u64(lapic_mmio_read(&apic[0], 0x80), 0x40, "CR8 is TPR");
    is_u64((uint64_t)lapic_pending(&apic[0]), 0x51, "and lets it pass");
    lapic_acknowledge(&apic[0], 0x51);
    lapic_mmio_write(&apic[0], 0xb0, 0);
    lapic_mmio_write(&apic[0], 0xb0, 0);
    is_u64(lapic_mmio_read(&apic[0], 0x120), 0, "EOI by register; one too many is harmless");
    lapic_set_cr8(&apic[0], 0);
    is_u64((uint64_t)lapic_pending(&apic[0]), 0x31, "the last one");
    is_u64(eois, 0, "edge-triggered: the IOAPIC is not told");
}

static void test_level(void)
{
    struct apic_message message = {.destination = 2, .vector = 0x61, .level = true};

    reset();
    ok(apic_bus_send(&bus, &message), "a level-triggered message");
    is_u64(lapic_mmio_read(&apic[2], 0x1b0), 2, "TMR");
    lapic_acknowledge(&apic[2], 0x61);
    lapic_eoi(&apic[2]);
    is_u64(eois * 256 + eoi_vector, 0x161, "the IOAPIC is told of its end");
    lapic_mmio_write(&apic[2], 0xf0, 0x11ff);
    ok(apic_bus_send(&bus, &message), "again");
    lapic_acknowledge(&apic[2], 0x61);
    lapic_eoi(&apic[2]);
    is_u64(eois, 1, "not when the guest suppresses the broadcast");
    message.level = false;
    ok(apic_bus_send(&bus, &message), "edge");
    is_u64(lapic_mmio_read(&apic[2], 0x1b0), 0, "clears TMR");
    message.destination = 40;
    ok(!apic_bus_send(&bus, &message), "nobody there");
    lapic_mmio_write(&apic[1], 0xf0, 0xff);
    message.destination = 1;
    (void)apic_bus_send(&bus, &message);
    ok(lapic_pending(&apic[1]) == -1, "an APIC that is off takes no fixed interrupt");
}

/* What a vCPU does in the midst of translated code must not need the IOAPIC, which has a lock. */
static void test_unlocked(void)
{
    struct apic_message message = {.destination = 2, .vector = 0x61, .level = true};

    reset();
    ok(!lapic_msr_write_unlocked(&apic[2], 0x80b, 0), "no EOI by MSR before x2APIC mode");
    to_x2(2);
    (void)apic_bus_send(&bus, &message);
    lapic_acknowledge(&apic[2], 0x61);
    ok(!lapic_msr_write_unlocked(&apic[2], 0x80b, 0), "not if the IOAPIC has to be told");
    is_u64(apic[2].isr[3], 2, "nothing is done then");
    lapic_eoi(&apic[2]);
    message.level = false;
    (void)apic_bus_send(&bus, &message);
    lapic_acknowledge(&apic[2], 0x61);
    message.vector = 0x51;
    (void)apic_bus_send(&bus, &message);
    memset(signals, 0, sizeof(signals));
    ok(lapic_msr_write_unlocked(&apic[2], 0x80b, 0), "edge-triggered: done");
    is_u64(signals[2][LAPIC_INTERRUPT], 1, "and the vCPU is told that another one waits");
    is_u64((uint64_t)lapic_pending(&apic[2]), 0x51, "which it gets");
    lapic_acknowledge(&apic[2], 0x51);
    ok(lapic_msr_write_unlocked(&apic[2], 0x80b, 0), "the last one");
    is_u64(signals[2][LAPIC_INTERRUPT], 1, "of which it need not be told");
    ok(!lapic_msr_write_unlocked(&apic[2], 0x80b, 1), "EOI takes nothing but 0");
    ok(!lapic_msr_write_unlocked(&apic[2], 0x808, 0), "the task priority is not among them");
    ok(lapic_msr_write_unlocked(&apic[2], 0x830, 3ull << 32 | 0x40), "a message");
    is_u64(signals[3][LAPIC_INTERRUPT], 1, "arrives");
}

static void test_destinations(void)
{
    reset();
    icr(0, 3, 0x40);
    is_u64(who(0x40), 1 << 3, "physical");
    icr(0, 0xff, 0x40);
    is_u64(who(0x40), (1 << COUNT) - 1, "physical, all");
    icr(5, 0, 0x40040);
    is_u64(who(0x40), 1 << 5, "self");
    icr(5, 0, 0x80040);
    is_u64(who(0x40), (1 << COUNT) - 1, "all including self");
    icr(5, 0, 0xc0040);
    is_u64(who(0x40), ((1 << COUNT) - 1) & ~(1 << 5), "all but self");
    for (unsigned i = 0; i < 8; i++)
        lapic_mmio_write(&apic[i], 0xd0, 1u << (24 + i));
    icr(0, 0x0a, 0x00840);
    is_u64(who(0x40), 0x0a, "logical, flat");
    for (unsigned i = 0; i < 8; i++) {
        lapic_mmio_write(&apic[i], 0xe0, 0);
        lapic_mmio_write(&apic[i], 0xd0, (i / 4) << 28 | 1u << (24 + i % 4));
    }
    icr(0, 0x16, 0x00840);
    is_u64(who(0x40), 0x60, "logical, cluster");
    lapic_mmio_write(&apic[4], 0x80, 0x20);
    lapic_mmio_write(&apic[6], 0x80, 0x20);
    icr(0, 0x17, 0x00940);
    is_u64(who(0x40), 0x20, "lowest priority: the one with the lowest TPR");
    unsigned seen = 0;
    for (unsigned i = 0; i < 8; i++) {
        icr(0, 0x0f, 0x00940);
        seen |= who(0x40);
    }
    is_u64(seen, 0x0f, "equals take turns");
}

static void test_others(void)
{
    reset();
    memset(signals, 0, sizeof(signals));
    icr(0, 0, 0xc4500);
    ok(signals[0][LAPIC_INIT] == 0 && signals[19][LAPIC_INIT] == 1, "INIT to all others");
    icr(0, 0, 0xc8500);
    is_u64(signals[1][LAPIC_INIT], 1, "INIT level de-assert does nothing");
    icr(0, 7, 0x4699);
    ok(signals[7][LAPIC_SIPI] == 1 && sipi[7] == 0x99, "SIPI with its vector");
    icr(0, 7, 0x4400);
    is_u64(signals[7][LAPIC_NMI], 1, "NMI");
    icr(0, 7, 0x4205);
    ok(lapic_pending(&apic[7]) == -1, "SMI is lost");
    icr(0, 7, 0x0f);
    lapic_mmio_write(&apic[0], 0x280, 0);
    is_u64(lapic_mmio_read(&apic[0], 0x280), 0x20, "sending an illegal vector");
    lapic_mmio_write(&apic[0], 0x360, 0x400);
    lapic_mmio_write(&apic[0], 0x350, 0x700);
    ok(lapic_takes_extint(&apic[0]) && !lapic_takes_extint(&apic[1]), "LINT0 as ExtINT");
    unsigned before = signals[0][LAPIC_INTERRUPT];
    lapic_set_lint0(&apic[0], true);
    is_u64(signals[0][LAPIC_INTERRUPT] - before, 1, "the 8259 is heard");
    lapic_mmio_write(&apic[1], 0x350, 0x77);
    lapic_set_lint0(&apic[1], true);
    is_u64((uint64_t)lapic_pending(&apic[1]), 0x77, "LINT0 as a fixed interrupt");
}

/* Lets the undivided timer count. */
static void pass(uint64_t counts)
{
    fake_host_pass(host, &clk, counts * (FAKE_HZ / LAPIC_TIMER_HZ));
}

static void test_oneshot(void)
{
    reset();
    lapic_mmio_write(&apic[0], 0x320, 0x80);
    lapic_mmio_write(&apic[0], 0x3e0, 0x3);
    lapic_mmio_write(&apic[0], 0x380, 1000);
    pass(8000);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 500, "divided by 16");
    ok(lapic_pending(&apic[0]) == -1, "not yet");
    pass(7999);
    ok(lapic_pending(&apic[0]) == -1, "not one tick early");
    pass(1);
    is_u64(who(0x80), 1, "expired");
    is_u64(lapic_mmio_read(&apic[0], 0x390), 0, "count 0");
    pass(100000);
    is_u64(who(0x80), 0, "once");
    lapic_mmio_write(&apic[0], 0x380, 1000);
    lapic_mmio_write(&apic[0], 0x380, 0);
    pass(100000);
    is_u64(who(0x80), 0, "count 0 stops it");
    lapic_mmio_write(&apic[0], 0x3e0, 0xb);
    lapic_mmio_write(&apic[0], 0x380, 1000);
    pass(500);
    lapic_mmio_write(&apic[0], 0x3e0, 0x0);
    pass(500);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 250, "a new divider goes on from the present count");
    lapic_mmio_write(&apic[0], 0x320, 0x10080);
    pass(100000);
    is_u64(who(0x80), 0, "masked");
}

static void test_periodic(void)
{
    unsigned n = 0;

    reset();
    lapic_mmio_write(&apic[0], 0x320, 0x20081);
    lapic_mmio_write(&apic[0], 0x3e0, 0xb);
    lapic_mmio_write(&apic[0], 0x380, 1000000);
    for (unsigned i = 0; i < 1000; i++) {
        pass(1000000);
        n += who(0x81);
    }
    is_u64(n, 1000, "1,000 periods, none lost");
    pass(250000);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 750000, "no drift");
    lapic_mmio_write(&apic[0], 0x380, 1);
    host->timer_calls = 0;
    fake_host_pass(host, &clk, 10000000);
    is_u64(who(0x81), 1, "a period of one count interrupts");
    ok(host->timer_calls <= 210, "but not without end: %u times", host->timer_calls);
    lapic_mmio_write(&apic[0], 0x380, 0);
}

static void test_change(void)
{
    reset();
    lapic_mmio_write(&apic[0], 0x320, 0x83);
    lapic_mmio_write(&apic[0], 0x3e0, 0xb);
    lapic_mmio_write(&apic[0], 0x380, 100000);
    pass(60000);
    lapic_mmio_write(&apic[0], 0x320, 0x20083);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 40000, "one-shot to periodic: the count goes on");
    pass(40000);
    is_u64(who(0x83), 1, "to its end");
    pass(130000);
    is_u64(who(0x83), 1, "and again");
    lapic_mmio_write(&apic[0], 0x320, 0x83);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 70000, "periodic to one-shot: the same");
    pass(69999);
    is_u64(who(0x83), 0, "not early");
    pass(1);
    is_u64(who(0x83), 1, "once more");
    pass(1000000);
    is_u64(who(0x83), 0, "and no further");
    lapic_mmio_write(&apic[0], 0x320, 0x20083);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 0, "a count that is over starts no periods");
    pass(1000000);
    is_u64(who(0x83), 0, "nor interrupts");
    lapic_mmio_write(&apic[0], 0x380, 10000);
    pass(15000);
    ok(who(0x83) == 1 && lapic_mmio_read(&apic[0], 0x390) == 5000, "until it is written");
    lapic_mmio_write(&apic[0], 0x380, 0);
}

static void test_deadline(void)
{
    reset();
    ok(wrmsr(0, MSR_TSC_DEADLINE, 5), "a deadline in another mode");
    is_u64(rdmsr(0, MSR_TSC_DEADLINE), 0, "is ignored");
    lapic_mmio_write(&apic[0], 0x320, 0x40082);
    lapic_set_tsc_skew(&apic[0], 7000000);
    uint64_t tsc = clock_now(&clk) + 7000000;

    ok(wrmsr(0, MSR_TSC_DEADLINE, tsc + 10000), "armed");
    is_u64(rdmsr(0, MSR_TSC_DEADLINE), tsc + 10000, "reads back");
    lapic_mmio_write(&apic[0], 0x380, 5);
    is_u64(lapic_mmio_read(&apic[0], 0x390), 0, "the count registers are dead");
    fake_host_pass(host, &clk, 9999);
    is_u64(who(0x82), 0, "not early");
    fake_host_pass(host, &clk, 1);
    is_u64(who(0x82), 1, "on time");
    is_u64(rdmsr(0, MSR_TSC_DEADLINE), 0, "and disarmed");
    ok(wrmsr(0, MSR_TSC_DEADLINE, tsc + 30000) && lapic_timer_due(&apic[0]) == clock_now(&clk) + 20000,
       "when it is due");
    lapic_timer_run(&apic[0]);
    is_u64(who(0x82), 0, "not before that");
    host->ticks += 20000; // and the device thread is late
    lapic_timer_run(&apic[0]);
    is_u64(who(0x82), 1, "the vCPU itself sees to it");
    fake_host_pass(host, &clk, 1);
    ok(who(0x82) == 0 && lapic_timer_due(&apic[0]) == CLOCK_NEVER, "and nobody again");
    ok(wrmsr(0, MSR_TSC_DEADLINE, tsc), "a deadline that has passed");
    is_u64(who(0x82), 1, "at once");
    ok(wrmsr(0, MSR_TSC_DEADLINE, 5), "one before the machine was switched on");
    is_u64(who(0x82), 1, "at once");
    ok(wrmsr(0, MSR_TSC_DEADLINE, tsc + 50000) && wrmsr(0, MSR_TSC_DEADLINE, 0), "disarmed");
    fake_host_pass(host, &clk, 100000);
    is_u64(who(0x82), 0, "nothing");
    ok(wrmsr(0, MSR_TSC_DEADLINE, tsc + 900000), "armed");
    lapic_set_tsc_skew(&apic[0], 8000000);
    fake_host_pass(host, &clk, 1);
    is_u64(who(0x82), 1, "the TSC has been set beyond it");
    ok(wrmsr(0, MSR_TSC_DEADLINE, UINT64_MAX), "the end of time");
    lapic_mmio_write(&apic[0], 0x320, 0x82);
    is_u64(rdmsr(0, MSR_TSC_DEADLINE), 0, "leaving the mode disarms");
}

static void test_x2(void)
{
    reset();
    is_u64(rdmsr(0, 0x802), 0xbad, "no x2APIC MSR in xAPIC mode");
    for (unsigned i = 0; i < COUNT; i++)
        to_x2(i);
    is_u64(rdmsr(17, 0x802), 17, "identifier");
    is_u64(rdmsr(17, 0x80d), 0x10002, "logical identifier follows from it");
    ok(!wrmsr(17, 0x80d, 5), "and is read-only");
    ok(!wrmsr(0, 0x802, 0) && !wrmsr(0, 0x803, 0) && !wrmsr(0, 0x80a, 0), "read-only registers");
    is_u64(rdmsr(0, 0x80b), 0xbad, "EOI cannot be read");
    ok(!wrmsr(0, 0x80b, 1) && wrmsr(0, 0x80b, 0), "and only 0 can be written");
    ok(!wrmsr(0, 0x808, 0x100) && wrmsr(0, 0x808, 0x10), "reserved bits of TPR");
    ok(wrmsr(0, 0x808, 0), "TPR");
    is_u64(rdmsr(0, 0x80e), 0xbad, "there is no DFR");
    ok(wrmsr(0, 0x835, 0x5700), "read-only bits of LINT0");
    ok(!wrmsr(0, 0x832, 0x5700), "not of the timer");
    is_u64(rdmsr(0, 0x835), 0x700, "are not kept");
    is_u64(rdmsr(0, 0x831), 0xbad, "no second half of ICR");
    ok(!wrmsr(0, 0x828, 1) && wrmsr(0, 0x828, 0), "ESR takes 0");
    ok(!wrmsr(0, 0x840, 0) && rdmsr(0, 0x8ff) == 0xbad, "beyond the registers");
    ok(wrmsr(0, 0x830, 17ull << 32 | 0x40), "ICR");
    is_u64(who(0x40), 1 << 17, "physical");
    ok(wrmsr(0, 0x830, 0xffffffffull << 32 | 0x40), "ICR");
    is_u64(who(0x40), (1 << COUNT) - 1, "broadcast");
    ok(wrmsr(0, 0x830, 0x1000aull << 32 | 0x840), "ICR");
    is_u64(who(0x40), 0xa << 16, "logical: cluster 1");
    ok(!wrmsr(0, 0x830, 0x1000), "reserved bits of ICR");
    ok(wrmsr(4, 0x83f, 0x66), "self IPI");
    is_u64(who(0x66), 1 << 4, "arrives");
    is_u64(rdmsr(0, 0x83f), 0xbad, "and is write-only");
    struct apic_message message = {.destination = 0x06, .vector = 0x70, .logical = true};
    ok(apic_bus_send(&bus, &message), "an IOAPIC's logical message");
    is_u64(who(0x70), 0x06, "reaches cluster 0");
    message = (struct apic_message){.destination = 0xff, .vector = 0x70};
    ok(apic_bus_send(&bus, &message), "an IOAPIC's broadcast");
    is_u64(who(0x70), (1 << COUNT) - 1, "reaches all");
}

static void test_modes(void)
{
    reset();
    is_u64(rdmsr(0, MSR_APIC_BASE), 0xfee00900, "base of the first processor");
    is_u64(rdmsr(1, MSR_APIC_BASE), 0xfee00800, "of another");
    ok(!wrmsr(1, MSR_APIC_BASE, 0xfee00400), "x2APIC without enable");
    ok(wrmsr(1, MSR_APIC_BASE, 0xfee00c00), "xAPIC to x2APIC");
    ok(!wrmsr(1, MSR_APIC_BASE, 0xfee00800), "not back to xAPIC");
    uint64_t svr = rdmsr(1, 0x80f);
    ok(wrmsr(1, MSR_APIC_BASE, 0xfee00000), "x2APIC to off");
    ok(!wrmsr(1, MSR_APIC_BASE, 0xfee00c00), "not from off to x2APIC");
    icr(0, 1, 0x40);
    is_u64(who(0x40), 0, "off: no interrupts");
    ok(wrmsr(1, MSR_APIC_BASE, 0xfee00800), "off to xAPIC");
    is_u64(lapic_mmio_read(&apic[1], 0xf0), svr, "the spurious vector's register is what it was");
    ok(!wrmsr(1, MSR_APIC_BASE, 0xfee00801), "reserved bits");
    ok(lapic_takes_extint(&apic[0]) == false, "LINT0 masked");
    ok(wrmsr(0, MSR_APIC_BASE, 0xfee00100) && lapic_takes_extint(&apic[0]),
       "off: the 8259 directly");
}

static void test_state(void)
{
    uint8_t image[512];
    size_t size, used;

    reset();
    icr(0, 2, 0x91);
    lapic_mmio_write(&apic[2], 0x320, 0x84);
    lapic_mmio_write(&apic[2], 0x3e0, 0xb);
    lapic_mmio_write(&apic[2], 0x380, 5000);
    size = device_save(&apic[2].device, image, sizeof(image));
    device_reset(&apic[2].device);
    ok(device_load(&apic[2].device, image, size, &used) == VMM_OK, "saved and loaded");
    is_u64(who(0x91), 4, "pending interrupt");
    pass(5000);
    is_u64(who(0x84), 4, "running timer");
}

int main(void)
{
    bool made = true;

    host = fake_host_new(0);
    ok(clock_init(&clk, host) == VMM_OK, "clock");
    bus.eoi = end_of_interrupt;
    for (unsigned i = 0; i < COUNT; i++) {
        apic[i].signal = signalled;
        apic[i].vcpu = &apic[i];
        made &= lapic_init(&apic[i], &bus, &clk, i) == VMM_OK;
    }
    ok(made, "twenty local APICs");
    test_registers();
    test_priority();
    test_level();
    test_unlocked();
    test_destinations();
    test_others();
    test_oneshot();
    test_periodic();
    test_change();
    test_deadline();
    test_x2();
    test_modes();
    test_state();
    fake_host_free(host);
    return tap_done();
}
