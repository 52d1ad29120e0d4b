/* SPDX-License-Identifier: MIT */
/* The IOAPIC, with two local APICs to hear it. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/ioapic.h"

static struct clock clk;
static struct apic_bus bus;
static struct lapic apic[2];
static struct memory_bus memory;
static struct ioapic ioapic;
static unsigned nmis;

static void signalled(void *vcpu, enum lapic_signal signal, uint8_t vector)
{
    (void)vcpu;
    (void)vector;
    nmis += signal == LAPIC_NMI;
}

static uint32_t read_reg(uint8_t reg)
{
    memory_bus_write(&memory, IOAPIC_BASE, 4, reg);
    return (uint32_t)memory_bus_read(&memory, IOAPIC_BASE + 0x10, 4);
}

static void write_reg(uint8_t reg, uint32_t value)
{
    memory_bus_write(&memory, IOAPIC_BASE, 4, reg);
    memory_bus_write(&memory, IOAPIC_BASE + 0x10, 4, value);
}

static void entry(unsigned pin, uint32_t high, uint32_t low)
{
    write_reg((uint8_t)(0x11 + 2 * pin), high);
    write_reg((uint8_t)(0x10 + 2 * pin), low);
}

static int take(unsigned id)
{
    int vector = lapic_pending(&apic[id]);

    if (vector >= 0)
        lapic_acknowledge(&apic[id], (uint8_t)vector);
    return vector;
}

static void test_registers(void)
{
    is_u64(read_reg(0), 0x0a000000, "identifier");
    is_u64(read_reg(1), 0x00170020, "24 entries, version 20h");
    is_u64(read_reg(2), 0x0a000000, "arbitration");
    is_u64(read_reg(0x10), 0x10000, "masked at reset");
    entry(23, 0xffffffff, 0xffffffff);
    is_u64(read_reg(0x3e), 0x0001afff, "low half: status and remote IRR are read-only");
    is_u64(read_reg(0x3f), 0xff000000, "high half");
    is_u64(read_reg(0x40), 0, "no 25th entry");
    write_reg(0x40, 0xffffffff);
    is_u64(read_reg(0xff), 0, "nor a 112th");
    write_reg(0, 0xff000000);
    is_u64(read_reg(0), 0x0f000000, "four bits of identifier");
}

static void test_edge(void)
{
    entry(4, 1u << 24, 0x00041);
    ioapic_set(&ioapic, 4, true);
    is_u64((uint64_t)take(1), 0x41, "an edge, to the second processor");
    ioapic_set(&ioapic, 4, true);
    ok(take(1) == -1, "no edge without a fall");
    lapic_eoi(&apic[1]);
    ok(take(1) == -1, "nor by EOI");
    ioapic_set(&ioapic, 4, false);
    write_reg(0x18, 0x10041);
    ioapic_set(&ioapic, 4, true);
    write_reg(0x18, 0x00041);
    ok(take(1) == -1, "an edge while masked is lost");
    entry(5, 0, 0x00400);
    ioapic_set(&ioapic, 5, true);
    is_u64(nmis, 1, "NMI");
    entry(6, 0xff000000, 0x00842);
    ioapic_set(&ioapic, 6, true);
    ok(take(0) == -1, "logical: nobody has set an LDR");
}

static void test_level(void)
{
    entry(9, 0, 0x08051);
    ioapic_set(&ioapic, 9, true);
    is_u64((uint64_t)take(0), 0x51, "level");
    is_u64(read_reg(0x22), 0x0c051, "remote IRR");
    ioapic_set(&ioapic, 9, true);
    ok(lapic_requested(&apic[0]) == -1, "not again before EOI");
    lapic_eoi(&apic[0]);
    is_u64((uint64_t)take(0), 0x51, "still high: again at EOI");
    ioapic_set(&ioapic, 9, false);
    lapic_eoi(&apic[0]);
    ok(take(0) == -1, "low: no more");
    is_u64(read_reg(0x22), 0x08051, "remote IRR clear");
    write_reg(0x22, 0x18051);
    ioapic_set(&ioapic, 9, true);
    ok(take(0) == -1, "masked");
    write_reg(0x22, 0x08051);
    is_u64((uint64_t)take(0), 0x51, "unmasked while high");
    lapic_mmio_write(&apic[0], 0xf0, 0x11ff);
    lapic_eoi(&apic[0]);
    ok(take(0) == -1, "broadcast suppressed");
    memory_bus_write(&memory, IOAPIC_BASE + 0x40, 4, 0x51);
    is_u64((uint64_t)take(0), 0x51, "directed EOI");
    write_reg(0x22, 0x00051);
    is_u64(read_reg(0x22), 0x00051, "a change to edge clears remote IRR");
    ioapic_set(&ioapic, 24, true);
    ioapic_set(&ioapic, 1000, true);
    ok(take(0) == -1, "pins that are not there");
}

int main(void)
{
    struct host *host = fake_host_new(0);
    struct host_mutex *lock = host_mutex_create(host);

    ok(clock_init(&clk, host) == VMM_OK, "clock");
    memory_bus_init(&memory);
    ok(ioapic_init(&ioapic, &memory, lock, &bus, 10) == VMM_OK, "IOAPIC");
    for (unsigned i = 0; i < 2; i++) {
        apic[i].signal = signalled;
        ok(lapic_init(&apic[i], &bus, &clk, i) == VMM_OK, "local APIC");
        lapic_mmio_write(&apic[i], 0xf0, 0x1ff);
    }
    test_registers();
    test_edge();
    test_level();
    fake_host_free(host);
    return tap_done();
}
