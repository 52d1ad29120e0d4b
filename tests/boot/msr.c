/* SPDX-License-Identifier: MIT */
/* The MSR policy and the paravirtual clock, over a vCPU that has only what they use. */
#include "vmm/cpu/msr.h"

#include "tests/boot/support.h"
#include "tests/unit/tap.h"
#include "vmm/paravirt/kvmclock.h"
#include "vmm/vcpu.h"

#include <string.h>

#define MIB (1ull << 20)

static struct host host = { .ticks = 5000, .khz = 2994374, .wall_ns = 1700000000123456789 };
static struct memory memory;
static struct {
    struct clock clock;
} machine;
static struct cpuid_table cpuid;
static struct vcpu_msrs msrs;
static struct cpu_state state;
static struct vcpu vcpu;
static uint32_t apic_index;

/* The parts of the machine that the policy calls. */
uint64_t vcpu_tsc(const struct vcpu *v)
{
    return clock_now(&machine.clock) + v->lapic.tsc_skew;
}

void vcpu_set_tsc(struct vcpu *v, uint64_t value)
{
    lapic_set_tsc_skew(&v->lapic, value - clock_now(&machine.clock));
}

void lapic_set_tsc_skew(struct lapic *lapic, uint64_t skew)
{
    lapic->tsc_skew = skew;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
    (void)lapic;
    apic_index = msr;
    *value = 0x77;
    return true;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
    (void)lapic, (void)value;
    apic_index = msr;
    return true;
}

static void fetch(struct engine *engine, unsigned id, uint32_t groups)
{
    (void)engine, (void)id;
    state.valid |= groups;
}

static const struct engine_ops ops = { .name = "test", .fetch = fetch };

static uint64_t rd(uint32_t index)
{
    uint64_t value = 0;

    return msr_read(&vcpu, index, &value) ? value : 0xdeaddeaddeaddead;
}

static void engine_state(void)
{
    ok(msr_write(&vcpu, 0xc0000082, 0xffffffff81000000), "LSTAR is written");
    is_u64(state.lstar, 0xffffffff81000000, "into the state");
    ok((state.dirty & CPU_SYSCALL) != 0, "which is marked");
    is_u64(rd(0xc0000082), 0xffffffff81000000, "and read back");
    ok(!msr_write(&vcpu, 0xc0000082, 0x8000000000000), "a non-canonical LSTAR is refused");
    ok(!msr_write(&vcpu, 0xc0000100, 1ull << 47), "and an FS base");
    ok(msr_write(&vcpu, 0xc0000101, 0x1234), "GS base is written");
    is_u64(state.gs.base, 0x1234, "into the segment");
    ok(!msr_write(&vcpu, 0x277, 0x0007040600070402), "a PAT with type 2 is refused");
    ok(msr_write(&vcpu, 0x277, 0x0007040600070406), "a right one is taken");
    ok(msr_write(&vcpu, 0xc0000080, 0x901), "EFER: SCE, LME, NXE");
    is_u64(state.efer, 0x901, "are there");
    ok(!msr_write(&vcpu, 0xc0000080, 0x1901), "SVME is refused");
    state.cr0 = 0x80000001;
    state.efer = 0xd01;
    ok(!msr_write(&vcpu, 0xc0000080, 0x801), "LME cannot change while paging is on");
    ok(msr_write(&vcpu, 0xc0000080, 0x900), "SCE can");
    is_u64(state.efer, 0xd00, "and LMA stays");
}

static void table(void)
{
    uint64_t value;
    unsigned refused = 0;

    is_u64(rd(0xfe), 0x508, "MTRRCAP");
    ok(!msr_write(&vcpu, 0xfe, 0), "is read only");
    is_u64(rd(0x26f), 0x0505050505050505, "fixed MTRR of the ROM area");
    is_u64(rd(0x2ff), 0xc06, "default type");
    ok(msr_write(&vcpu, 0x2ff, 0x806) && rd(0x2ff) == 0x806, "is stored");
    ok(!msr_write(&vcpu, 0x2ff, 0x1000), "reserved bits are refused");
    ok(!msr_write(&vcpu, 0x250, 0x0606060606060602), "a fixed MTRR with type 2 is refused");
    ok(msr_write(&vcpu, 0x201, 0xff80000800) && rd(0x201) == 0xff80000800, "variable mask");
    ok(!msr_write(&vcpu, 0x201, 1ull << 62), "beyond the physical address is refused");
    ok(!msr_write(&vcpu, 0x200, 2), "a variable MTRR with type 2 is refused");
    is_u64(rd(0x200), 0, "and stays");
    ok(msr_write(&vcpu, 0x79, 1), "a microcode update is ignored");
    is_u64(rd(0x80b), 0x77, "x2APIC registers go to the local APIC");
    ok(msr_write(&vcpu, 0x6e0, 1) && apic_index == 0x6e0, "TSC deadline too");
    for (uint32_t i = 0; i < 100; i++)
        refused += !msr_read(&vcpu, 0xc0020000 + i, &value);
    is_u64(refused, 100, "unknown MSRs are refused");
    is_u64(host.lines, 16, "and 16 of them logged");
    msr_reset(&msrs);
    is_u64(rd(0x2ff), 0xc06, "reset brings values back");
    is_u64(rd(0xc0011029), 2, "of the last slot too");
}

static void processor(void)
{
    struct cpuid_table with_aux;
    struct cpuid_config config = { .read = cpuid_read_native, .cpus = 1, .tsc_khz = 2994374,
                                   .tsc_aux = true };
    uint64_t value;

    is_u64(rd(0x1a0), 0x1801, "MISC_ENABLE: fast strings, no traces, no event samples");
    ok(msr_write(&vcpu, 0x1a0, 0x400c50809), "its bits are written");
    is_u64(rd(0x1a0), 0x400c51809, "those that are read-only stay");
    ok(!msr_write(&vcpu, 0x1a0, 2), "reserved ones are refused");
    is_u64(rd(0xce), 0x1e0000001e00, "PLATFORM_INFO: 30 times 100 MHz");
    ok(!msr_write(&vcpu, 0xce, 0), "is read-only");
    ok(!msr_write(&vcpu, 0x1b, 1ull << cpuid_physical_bits(&cpuid) | 0xfee00800),
       "an APIC base beyond the physical address is refused");
    ok(!msr_read(&vcpu, 0xc0000103, &value), "no TSC_AUX without RDTSCP");
    ok(cpuid_build(&with_aux, &config), "with it");
    msrs.cpuid = &with_aux;
    ok(msr_write(&vcpu, 0xc0000103, 0x12345678) && rd(0xc0000103) == 0x12345678, "it is stored");
    ok(!msr_write(&vcpu, 0xc0000103, 1ull << 32), "32 bits of it");
    msrs.cpuid = &cpuid;
    msr_reset(&msrs);
    ok(msrs.tsc_aux == 0 && rd(0x1a0) == 0x1801, "reset");
}

static void tsc(void)
{
    is_u64(rd(0x10), clock_now(&machine.clock), "TSC is the machine's clock");
    ok(msr_write(&vcpu, 0x3b, 1000), "TSC_ADJUST is written");
    is_u64(rd(0x10), clock_now(&machine.clock) + 1000, "and moves the TSC");
    ok(msr_write(&vcpu, 0x10, 0), "TSC is written");
    is_u64(rd(0x3b), 0 - clock_now(&machine.clock), "and moves TSC_ADJUST");
    ok(msr_write(&vcpu, 0x3b, 0), "TSC_ADJUST goes back");
    is_u64(vcpu.lapic.tsc_skew, 0, "and the TSC with it");
}

/* What a guest computes from its page (Linux, arch/x86/include/asm/pvclock.h). */
static uint64_t guest_ns(uint64_t page, uint64_t guest_tsc)
{
    uint64_t delta = guest_tsc - guest64(&memory, page + 8);
    uint32_t word = guest32(&memory, page + 28);
    int8_t shift = (int8_t)word;

    delta = shift < 0 ? delta >> -shift : delta << shift;
    return (uint64_t)(((unsigned __int128)delta * guest32(&memory, page + 24)) >> 32) +
           guest64(&memory, page + 16);
}

static void paravirt(void)
{
    uint64_t up = 3600ull * host.khz * 1000, ns, drift;

    ok(msr_write(&vcpu, KVMCLOCK_MSR_SYSTEM, 0x5001), "clock page at 0x5000");
    is_u64(rd(KVMCLOCK_MSR_SYSTEM), 0x5001, "reads back");
    is_u64(guest32(&memory, 0x5000) & 1, 0, "version is even");
    is_u64(guest32(&memory, 0x501c) >> 8 & 0xff, 1, "flags: stable");
    host.ticks += up;
    ns = guest_ns(0x5000, rd(0x10));
    drift = ns > 3600000000000 ? ns - 3600000000000 : 3600000000000 - ns;
    ok(drift < 3000, "an hour is an hour, within %lu ns", drift);
    ok(msr_write(&vcpu, 0x10, 12345), "the TSC is moved");
    drift = guest_ns(0x5000, rd(0x10)) - ns;
    is_u64(drift, 0, "time is not");
    is_u64((1000000ull << 32) / guest32(&memory, 0x5018) << 1, host.khz,
           "Linux finds the frequency");
    host.wall_ns += 3600000000000;
    ok(msr_write(&vcpu, KVMCLOCK_MSR_WALL, 0x6000), "wall clock at 0x6000");
    is_u64(guest32(&memory, 0x6004), 1700000000, "second of power-on");
    ok(msr_write(&vcpu, KVMCLOCK_MSR_SYSTEM, 0xffffffffffffff01), "a page that is not RAM");
    ok(msr_write(&vcpu, KVMCLOCK_MSR_SYSTEM, 16 * MIB - 8 + 1), "or runs over its end");
    ok(msr_write(&vcpu, KVMCLOCK_MSR_WALL, 0xffffffffffffffff), "is harmless");
    ok(msr_write(&vcpu, KVMCLOCK_MSR_SYSTEM, 0x7000), "a page without the enable bit");
    is_u64(guest64(&memory, 0x7018), 0, "is not written");
}

static void scale(void)
{
    static const uint64_t hz[] = { 1000000, 999999999, 1000000000, 1000000001, 2000000000,
                                   2000000001, 2994374000, 4294967296, 10000000000 };

    for (unsigned i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
        struct kvmclock_scale s = kvmclock_scale(hz[i]);
        uint64_t ns = kvmclock_ns(s, hz[i] * 1000);

        ok(ns >= 1000000000000 - 2000 && ns <= 1000000000000, "%lu Hz: 1000 s are %lu ns", hz[i],
           ns);
    }
}

int main(void)
{
    const struct cpuid_config config = {
        .read = cpuid_read_native, .cpus = 1, .tsc_khz = 2994374, .apic_khz = 1000000
    };

    support_memory(&memory, 16 * MIB, 0);
    ok(cpuid_build(&cpuid, &config), "CPUID");
    is_u64(clock_init(&machine.clock, &host), VMM_OK, "clock");
    msr_init(&msrs, &memory, &machine.clock, &cpuid);
    vcpu.ops = &ops;
    vcpu.state = &state;
    vcpu.msrs = &msrs;
    engine_state();
    table();
    processor();
    tsc();
    paravirt();
    scale();
    support_memory_free(&memory);
    return tap_done();
}
