/* SPDX-License-Identifier: MIT */
/*
 * The platform as public test kernels look at it: modes, priorities and timer of the local APIC, NMIs, the timer's interrupt by its three
 * ways, MSRs and control registers, fw_cfg, the test device. Each check has a line of its own if it fails.
 */
#include "guest.h"

#define APIC 0xfee00000u
#define IOAPIC 0xfec00000u
#define BASE_MSR 0x1bu
#define DEADLINE_MSR 0x6e0u
#define ENABLE 0x800u
#define X2 0x400u
#define MASKED 0x10000u

enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, SVR = 0xf0, CMCI = 0x2f0, ICR = 0x300, ICR_HIGH = 0x310,
       TIMER = 0x320, LINT0 = 0x350, COUNT = 0x380, NOW = 0x390, DIVIDE = 0x3e0 };

static unsigned failed, passed;
static uint32_t base = APIC;
static volatile uint32_t resume, caught, events, last;
static volatile uint8_t order[256];
static void (*inside)(struct registers *r); // of an interrupt

static void check(bool good, const char *what)
{
    passed += good;
    failed += !good;
    if (!good) {
        put("guest: not so: ");
        put(what);
        put("\n");
    }
}

static uint32_t rd(uint32_t reg) { return *(volatile uint32_t *)(base + reg); }
static void wr(uint32_t reg, uint32_t value) { *(volatile uint32_t *)(base + reg) = value; }

static void handle(struct registers *r)
{
    if (r->vector < 32 && r->vector != 2) {
        if (!resume) {
            put("guest: vector ");
            put_number(r->vector);
            put(" at ");
            put_hex(r->eip);
            put("\n");
            finish(false);
        }
        caught = r->vector;
        r->eip = resume;
        return;
    }
    last = r->vector;
    order[events++ & 255] = (uint8_t)r->vector;
    if (inside)
        inside(r);
    else if (r->vector != 2 && (rdmsr(BASE_MSR) & (ENABLE | X2)) == ENABLE)
        wr(EOI, 0);
}

/* The exception that an instruction raises; 0: none. */
#define FAULT(code, ...)                                                                          \
    ({                                                                                            \
        caught = 0;                                                                               \
        __asm__ volatile("movl $1f, %0\n" code "\n1: movl $0, %0" : "+m"(resume) : __VA_ARGS__ : "memory", "cc"); \
        caught;                                                                                   \
    })

static bool write_faults(uint32_t index, uint64_t value)
{
    return FAULT("wrmsr", "c"(index), "A"(value)) == 13;
}

static bool read_faults(uint32_t index)
{
    caught = 0;
    __asm__ volatile("movl $1f, %0\nrdmsr\n1: movl $0, %0" : "+m"(resume) : "c"(index) : "eax", "edx", "memory");
    return caught == 13;
}

static bool keeps(uint32_t index, uint64_t value)
{
    uint64_t before = rdmsr(index);
    bool good = !write_faults(index, value) && rdmsr(index) == value;
    wrmsr(index, before);
    return good;
}

static uint32_t cpuid(uint32_t leaf, unsigned reg)
{
    uint32_t r[4];
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
    return r[reg];
}

static void window(void) { __asm__ volatile("sti; nop; cli" : : : "memory"); }

static void apic_mode(uint32_t bits)
{
    wrmsr(BASE_MSR, (rdmsr(BASE_MSR) & ~(uint64_t)(ENABLE | X2)) | bits);
}

/* Off and on again: everything as after reset, but switched on. */
static void apic_fresh(void)
{
    base = APIC;
    wrmsr(BASE_MSR, 0x100);
    wrmsr(BASE_MSR, APIC | 0x100 | ENABLE);
    wr(SVR, 0x120);
    inside = 0;
    events = last = 0;
}

static void modes(void)
{
    static const uint16_t lvts[] = {CMCI, TIMER, 0x330, 0x340, LINT0, 0x360, 0x370};
    uint32_t version, off = 0;

    apic_fresh();
    version = rd(VERSION);
    check(rdmsr(BASE_MSR) == (APIC | 0x100 | ENABLE), "APIC base");
    check((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15, "APIC version");
    check(write_faults(BASE_MSR, APIC | 0x100 | X2), "xAPIC to the invalid mode: #GP");
    check(write_faults(BASE_MSR, APIC | 0x101 | ENABLE), "reserved bit of the base: #GP");
    check(write_faults(BASE_MSR, 1ull << (cpuid(0x80000008, 0) & 0xff) | APIC | 0x100 | ENABLE), "base beyond the address: #GP");
    wr(SVR, 0x20);
    for (unsigned i = 0; i < 7; i++)
        off += rd(lvts[i]) == MASKED;
    check(off == 7, "LVTs are masked and empty while the APIC is switched off");
    wr(LINT0, 33);
    check(rd(LINT0) == (MASKED | 33), "what is written to one then, but its mask");
    wr(SVR, 0x120);
    wr(LINT0, MASKED);
    for (uint32_t i = 0x802; i <= 0x83f; i++)
        off += read_faults(i) && write_faults(i, 0);
    check(off == 7 + 0x3e, "x2APIC registers in xAPIC mode: #GP");
    apic_mode(0);
    check(!(cpuid(1, 3) & 1u << 9), "APIC off: CPUID says so");
    check(rd(VERSION) == ~0u && rd(TIMER) == ~0u, "and its registers are not there");
    check(write_faults(BASE_MSR, APIC | 0x100 | X2) && write_faults(BASE_MSR, APIC | 0x100 | X2 | ENABLE), "off to x2APIC: #GP");
    wrmsr(BASE_MSR, 0xfed40000 | 0x100 | ENABLE);
    base = 0xfed40000;
    check(rd(VERSION) == version && *(volatile uint32_t *)(APIC + VERSION) == ~0u, "another base");
    apic_fresh();
    check(cpuid(1, 3) & 1u << 9, "on again");
}

static void x2(void)
{
    uint32_t id, readable = 0, kept = 0, seen[0x40];

    if (!(cpuid(1, 2) & 1u << 21))
        return;
    apic_fresh();
    wr(TPR, 0x35);
    id = rd(ID) >> 24;
    for (uint32_t i = 0; i < 0x40; i++)
        seen[i] = rd(i << 4);
    apic_mode(ENABLE | X2);
    check(rd(VERSION) == ~0u, "x2APIC: no registers in memory");
    check(rdmsr(0x802) == id && rdmsr(0x80d) == ((id >> 4) << 16 | 1u << (id & 15)), "identifiers");
    for (uint32_t i = 3; i < 0x3f; i++)
        if (i != 0x0d && i != 0x30 && !read_faults(0x800 + i)) {
            readable++;
            kept += rdmsr(0x800 + i) == seen[i];
        }
    check(readable == 39 && kept == readable, "registers are kept, all of them");
    check(!read_faults(0x82f), "the one of CMCI too");
    check(read_faults(0x80b) && read_faults(0x83f), "EOI and self IPI cannot be read: #GP");
    check(write_faults(0x802, 0) && write_faults(0x803, 0) && write_faults(0x80a, 0) && write_faults(0x810, 0) && write_faults(0x839, 0),
          "what cannot be written: #GP");
    check(write_faults(0x808, 1ull << 32) && write_faults(0x80b, 1ull << 32) && write_faults(0x80f, 1ull << 32) &&
              write_faults(0x828, 1ull << 32) && write_faults(0x82f, 1ull << 32) && write_faults(0x838, 1ull << 32) &&
              write_faults(0x83f, 1ull << 32),
          "the upper half: #GP");
    check(write_faults(BASE_MSR, APIC | 0x100 | ENABLE) && write_faults(BASE_MSR, APIC | 0x100 | X2), "x2APIC to others but off: #GP");
    wrmsr(0x808, 0);
    wrmsr(0x83f, 0x42);
    window();
    check(events == 1 && last == 0x42, "self IPI");
    wrmsr(0x80b, 0);
    uint32_t svr = (uint32_t)rdmsr(0x80f);
    apic_mode(0);
    apic_mode(ENABLE);
    check(rd(ID) >> 24 == id && rd(SVR) == svr && rd(0x350) == 0x10000, "back by off: other registers as after a reset");
    apic_fresh();
}

static void self_ipi(uint32_t vector) { wr(ICR, 0x44000 | vector); }
static void self_nmi(void)
{
    wr(ICR_HIGH, rd(ID));
    wr(ICR, 0x4400);
}

static uint32_t wrong_priorities;
static void priority_inside(struct registers *r)
{
    uint32_t tpr = rd(TPR), want = (r->vector & 0xf0) > (tpr & 0xf0) ? r->vector & 0xf0 : tpr;
    wrong_priorities += rd(PPR) != want;
    wr(EOI, 0);
}

static void priorities(void)
{
    bool good = true;

    apic_fresh();
    inside = priority_inside;
    for (uint32_t v = 33; v < 256; v++)
        self_ipi(v);
    window();
    while (events < 223)
        window();
    for (unsigned i = 0; i < 223; i++)
        good &= order[i] == 255 - i;
    check(good, "the highest vector first");
    for (uint32_t class = 14; class >= 2; class--) {
        events = 0;
        for (uint32_t v = 33; v < 256; v++)
            self_ipi(v);
        wr(TPR, class << 4);
        for (unsigned i = 0; i < 300; i++)
            window();
        good &= events == 256 - (class + 1) * 16;
        wr(TPR, 0);
        while (events < 223)
            window();
    }
    check(good, "TPR holds its class and what is below back");
    check(!wrong_priorities, "PPR");
    apic_fresh();
    wr(TPR, 0xf0);
    self_ipi(255);
    window();
    check(!events, "TPR 15 holds all back");
    wr(TPR, 0);
    window();
    check(events == 1, "until it falls");
}

static void shadows(void)
{
    apic_fresh();
    self_ipi(0x42);
    __asm__ volatile("sti; cli" : : : "memory");
    check(!events, "STI; CLI lets nothing in");
    __asm__ volatile("mov %%ss, %%eax; sti; mov %%eax, %%ss; cli" : : : "eax", "memory");
    check(!events, "STI; MOV SS; CLI neither");
    window();
    check(events == 1, "STI; NOP does");
}

static volatile unsigned nmis;
static void nmi_inside(struct registers *r)
{
    if (r->vector != 2) {
        wr(EOI, 0);
        return;
    }
    if (nmis++ == 0)
        for (unsigned i = 0; i < 10; i++)
            self_nmi();
}

static void nmi_and_interrupt(struct registers *r)
{
    if (r->vector != 2) {
        wr(EOI, 0);
        return;
    }
    if (nmis++ == 0) {
        self_nmi();
        window(); // the interrupt's IRET ends the blocking of NMIs
    }
}

static void nmis_here(void)
{
    apic_fresh();
    inside = nmi_inside;
    self_nmi();
    for (unsigned i = 0; i < 100 && nmis < 2; i++)
        (void)in8(0x80);
    check(nmis == 2, "NMIs within an NMI are one behind it");
    wr(ICR, 0x44400);
    (void)in8(0x80);
    check(nmis == 2, "no NMI by the shorthand for oneself");
    nmis = events = 0;
    inside = nmi_and_interrupt;
    self_ipi(0x50);
    self_nmi();
    for (unsigned i = 0; i < 100 && nmis < 2; i++)
        (void)in8(0x80);
    check(nmis == 2 && events == 3 && order[0] == 2 && order[1] == 0x50 && order[2] == 2, "NMI, interrupt within it, next NMI");
}

static void wait_events(unsigned n)
{
    __asm__ volatile("sti" : : : "memory");
    while (events < n)
        __asm__ volatile("pause");
    __asm__ volatile("cli" : : : "memory");
}

static void timer(void)
{
    uint32_t count, before;
    uint64_t start;

    apic_fresh();
    wr(DIVIDE, 0xb);
    wr(TIMER, 0xee);
    wr(COUNT, 10000);
    wait_events(1);
    check(rd(NOW) == 0, "one-shot: the count ends at 0");
    wr(TIMER, 0x200ee);
    check(rd(NOW) == 0, "and stays there in periodic mode");
    wr(COUNT, 20000);
    wait_events(4);
    wr(TIMER, 0xee | MASKED | 0x20000);
    window();
    events = 0;
    wr(COUNT, 100000000);
    before = rd(NOW);
    wr(TIMER, 0xee);
    count = rd(NOW);
    check(count && count <= before, "periodic to one-shot: the count goes on");
    wr(TIMER, 0x200ee);
    check(rd(NOW) && rd(NOW) <= count, "and back");
    start = tsc();
    count = rd(NOW);
    while (tsc() - start < 2000000)
        ;
    count -= rd(NOW);
    check(count > 2000 && count < 1500000, "it counts slower than the TSC");
    wr(COUNT, 100000);
    wait_events(1);
    wr(TIMER, 0xee);
    events = 0;
    wait_events(1);
    check(rd(NOW) == 0, "periodic to one-shot: one more");
    if (!(cpuid(1, 2) & 1u << 24))
        return;
    wr(TIMER, 0x400ee);
    events = 0;
    wrmsr(DEADLINE_MSR, tsc());
    window();
    check(events == 1 && rdmsr(DEADLINE_MSR) == 0, "a deadline that is past comes at once");
    start = tsc() + 100000;
    wrmsr(DEADLINE_MSR, start);
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    count = (uint32_t)(tsc() - start);
    check(events == 2 && (int32_t)count >= 0, "a deadline is not early");
    figure("deadline_late", count);
    wrmsr(DEADLINE_MSR, tsc() + 100000000000ull);
    wr(TIMER, 0xee);
    check(rd(NOW) == 0 && rdmsr(DEADLINE_MSR) == 0, "leaving the mode disarms it");
}

static uint32_t ioapic(uint32_t reg, bool write, uint32_t value)
{
    *(volatile uint32_t *)IOAPIC = reg;
    if (write)
        *(volatile uint32_t *)(IOAPIC + 0x10) = value;
    return *(volatile uint32_t *)(IOAPIC + 0x10);
}

static void pin(unsigned n, uint32_t low)
{
    ioapic(0x10 + 2 * n, true, MASKED);
    ioapic(0x11 + 2 * n, true, 0);
    ioapic(0x10 + 2 * n, true, low);
}

static uint8_t pic_register(uint8_t which)
{
    out8(0x20, which);
    return in8(0x20);
}

static void pit_once(void)
{
    out8(0x43, 0x30);
    out8(0x40, 100);
    out8(0x40, 0);
}

static void quiet(struct registers *r) { (void)r; }

static void timer_ways(void)
{
    static const uint8_t setup[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x30}, {0xa1, 0x38}, {0x21, 4}, {0xa1, 2}, {0x21, 1}, {0xa1, 1},
                                       {0x21, 0xff}, {0xa1, 0xff}};

    for (unsigned i = 0; i < sizeof setup / sizeof setup[0]; i++)
        out8(setup[i][0], setup[i][1]);
    apic_fresh();
    apic_mode(0);
    inside = quiet;
    out8(0x21, 0xfe);
    pit_once();
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    check(events == 1 && last == 0x30 && pic_register(0x0b) == 1, "PIT by the 8259, without APIC");
    out8(0x20, 0x20);
    check(pic_register(0x0a) == 0 && pic_register(0x0b) == 0, "and its end");
    out8(0x21, 0xff);
    apic_fresh();
    pin(2, 0x61);
    pit_once();
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    check(events == 1 && last == 0x61, "PIT by the IOAPIC");
    pin(2, MASKED);
    check(pic_register(0x0a) == 1, "the 8259 has seen it too");
    out8(0x43, 0x30); // takes it back
    check(pic_register(0x0a) == 0, "until its line falls");
    apic_fresh();
    wr(LINT0, 0x62);
    out8(0x21, 0xfe);
    pit_once();
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    check(events == 1 && last == 0x62 && pic_register(0x0b) == 0, "PIT by LINT0 as a fixed interrupt");
    out8(0x21, 0xff);
    wr(LINT0, MASKED);
}

static void registers(void)
{
    uint32_t cr0, cr4;

    check(keeps(0x174, 0x1234) && keeps(0x175, 0x12345678) && keeps(0x176, 0x12345678), "SYSENTER's MSRs");
    check(keeps(0x1a0, 0x400c50009 | (rdmsr(0x1a0) & 0x1880)) && write_faults(0x1a0, 2), "MISC_ENABLE");
    check(keeps(0x277, 0x07070707) && write_faults(0x277, 2), "PAT");
    check(keeps(0xc0000100, 0x123456789abc) && write_faults(0xc0000100, 1ull << 47), "FS base");
    check(keeps(0xc0000102, 0x123456789abc) && write_faults(0xc0000102, 1ull << 63), "kernel GS base");
    check(keeps(0xc0000082, 0x123456789abc) && write_faults(0xc0000082, 1ull << 47), "LSTAR");
    check(keeps(0xc0000083, 0x123456789abc) && write_faults(0xc0000083, 1ull << 47), "CSTAR");
    check(keeps(0xc0000084, 0xffffffff), "SFMASK");
    check(keeps(0xc0000080, 1) && write_faults(0xc0000080, 2) && write_faults(0xc0000080, 1ull << 32), "EFER");
    check(write_faults(0x3a, 5), "FEATURE_CONTROL is locked");
    check(rdmsr(0xce) >> 8 & 0xff, "PLATFORM_INFO has a ratio");
    check((rdmsr(0xfe) & 0xff) == 8 && (rdmsr(0x2ff) & 0xff) == 6 && write_faults(0x250, 2), "MTRRs");
    for (uint32_t i = 0x400 + (rdmsr(0x179) & 0xff) * 4; i < 0x480; i++)
        check(read_faults(i) && write_faults(i, 0), "no bank of machine checks that MCG_CAP does not have");
    check(read_faults(0x12345678) && write_faults(0x12345678, 0), "an unknown MSR");
    if (cpuid(0x80000001, 3) & 1u << 27) {
        uint32_t aux;
        wrmsr(0xc0000103, 0x42);
        __asm__ volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
        check(aux == 0x42 && rdmsr(0xc0000103) == 0x42, "RDTSCP gives TSC_AUX");
    }
    if (cpuid(1, 2) & 1u << 26) {
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1u << 18));
        check(cpuid(1, 2) & 1u << 27, "CPUID shows CR4.OSXSAVE");
        check(FAULT("xsetbv", "a"(0), "d"(0), "c"(0)) == 13 && FAULT("xsetbv", "a"(5), "d"(0), "c"(0)) == 13 &&
                  FAULT("xsetbv", "a"(1), "d"(0), "c"(1)) == 13 && FAULT("xsetbv", "a"(1), "d"(1), "c"(0)) == 13 &&
                  FAULT("xsetbv", "a"(3), "d"(0), "c"(0)) == 0,
              "XSETBV");
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
        check(FAULT("xsetbv", "a"(3), "d"(0), "c"(0)) == 6 && !(cpuid(1, 2) & 1u << 27), "none without CR4.OSXSAVE");
    }
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    check(FAULT("mov %1, %%cr4", "r"(cr4 | 1u << 12)) == 13 && FAULT("mov %1, %%cr4", "r"(cr4 | 1u << 17)) == 13 &&
              FAULT("mov %1, %%cr4", "r"(~0u)) == 13,
          "reserved bits of CR4, PCIDs outside of long mode");
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    check(FAULT("mov %1, %%cr0", "r"((cr0 | 0x80000000) & ~1u)) == 13 && FAULT("mov %1, %%cr0", "r"(cr0 | 0x20000000)) == 13,
          "CR0: paging without protection, NW without CD");
    check(FAULT("mov %1, %%cr0", "r"(cr0 | 0x1ff80000)) == 0, "CR0: reserved bits are ignored");
    check(FAULT(".byte 0x0f, 0x01, 0xfd", "c"(0)) == 6 && FAULT(".byte 0x0f, 0x01, 0xc2", "c"(0)) == 6 &&
              FAULT(".byte 0x0f, 0x78, 0xc0", "c"(0)) == 6 && FAULT(".byte 0x0f, 0x01, 0xd8", "a"(0)) == 6,
          "RDPRU, VMLAUNCH, VMREAD, VMRUN: #UD");
    check(FAULT(".byte 0x66, 0x0f, 0xae, 0xf0", "a"(0)) == 6 && FAULT(".byte 0x66, 0x0f, 0xae, 0xf8", "a"(0)) == 6,
          "CLWB of a register, PCOMMIT: #UD");
    check(FAULT(".byte 0x66, 0x0f, 0xae, 0x3b", "b"(&cr0)) == (cpuid(7, 1) & 1u << 23 ? 0 : 6) &&
              FAULT(".byte 0x66, 0x0f, 0xae, 0x33", "b"(&cr0)) == (cpuid(7, 1) & 1u << 24 ? 0 : 6),
          "CLFLUSHOPT and CLWB as CPUID says");
}

static void times(void)
{
    static const uint64_t values[] = {0x13371337, 0xf000000000, 0xf000000000000000};
    uint64_t before, adjust;

    for (unsigned i = 0; i < 3; i++) {
        wrmsr(0x10, values[i]);
        check(tsc() - values[i] < 1000000000, "the TSC is what was written");
        wrmsr(0x3b, 0);
        wrmsr(0x3b, values[i] - tsc());
        check(tsc() - values[i] < 1000000000, "TSC_ADJUST moves it");
    }
    wrmsr(0x3b, 0);
    before = tsc();
    wrmsr(0x10, 100000000000);
    adjust = rdmsr(0x3b);
    check(before <= 100000000000 - adjust && adjust, "a write to the TSC is in TSC_ADJUST");
    wrmsr(0x3b, 0);
    before = tsc();
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t now = tsc();
        if (now <= before) {
            check(false, "the TSC grows");
            break;
        }
        before = now;
    }
}

/* KVM's hypercalls, if CPUID has its signature; else VMCALL is not there. */
static void hypercalls(void)
{
    uint32_t result;

    if (cpuid(0x40000000, 1) != 0x4b4d564b) {
        check(FAULT("vmcall", "a"(0)) == 6, "VMCALL: #UD");
        return;
    }
    __asm__ volatile("vmcall" : "=a"(result) : "a"(0x1234));
    check(result == 0u - 1000, "an unknown hypercall");
    apic_fresh();
    __asm__ volatile("vmcall" : "=a"(result) : "a"(10), "b"(1), "c"(0), "d"(0), "S"(0x44));
    window();
    check(result == 1 && events == 1 && last == 0x44, "the hypercall for interrupts");
    __asm__ volatile("vmcall" : "=a"(result) : "a"(10), "b"(~0u), "c"(0), "d"(~0u), "S"(0));
    check(result == 0, "to nobody");
}

static uint64_t item(uint16_t number, unsigned bytes)
{
    uint64_t value = 0;

    out16(0x510, number);
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in8(0x511) << (8 * i);
    return value;
}

static void devices(void)
{
    if (item(0, 4) == 0x554d4551)
        check(item(5, 2) == option("cpus", 1) && item(3, 8) == 64 << 20, "fw_cfg: CPUs and memory");
    out32(0xe0, 0x12345678);
    if (in32(0xe0) != 0x12345678)
        return;
    put("guest: with the test device\n");
    apic_fresh();
    pin(14, 0x77);
    out8(0x200e, 1);
    out8(0x200e, 0);
    window();
    check(events == 1 && last == 0x77, "the test device's interrupt");
    pin(14, 0x78);
    pin(15, 0x66);
    for (unsigned i = 15; i >= 14; i--) {
        out8((uint16_t)(0x2000 + i), 1);
        out8((uint16_t)(0x2000 + i), 0);
    }
    window();
    check(events == 3 && order[1] == 0x78 && order[2] == 0x66, "two at once, the higher first");
    events = 0;
    inside = quiet;
    pin(14, 0x79 | 0x8000);
    out8(0x200e, 1);
    window();
    check(events == 1 && (ioapic(0x10 + 28, false, 0) & 0x4000), "a level: remote IRR");
    wr(EOI, 0);
    window();
    check(events == 2, "again after its end, while the line is high");
    out8(0x200e, 0);
    wr(EOI, 0);
    window();
    check(events == 2 && !(ioapic(0x10 + 28, false, 0) & 0x4000), "and no more when it is low");
    pin(14, MASKED);
    pin(15, MASKED);
}

bool smp_good(void);

void test_platform(void)
{
    guest_handler = handle;
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    modes();
    x2();
    priorities();
    shadows();
    nmis_here();
    timer();
    timer_ways();
    registers();
    times();
    hypercalls();
    devices();
    if (option("cpus", 1) > 1)
        check(smp_good(), "several CPUs");
    figure("checks", passed);
    figure("failed", failed);
    if (failed)
        finish(false);
}
