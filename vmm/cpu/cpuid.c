/* SPDX-License-Identifier: MIT */
/* The CPUID policy: one table of what passes, and the leaves that this VM process makes up. */
#include "vmm/cpu/cpuid.h"

#include "lib/string.h"

#define B(n) (1u << (n))

enum { EAX, EBX, ECX, EDX };

void cpuid_read_native(void *arg, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
    (void)arg;
    __asm__ volatile("cpuid"
                     : "=a"(out->eax), "=b"(out->ebx), "=c"(out->ecx), "=d"(out->edx)
                     : "a"(leaf), "c"(subleaf));
}

/*
 * What passes from the processor underneath, and what is always there because it is virtualized
 * here. Registers not named are zero. Left out with intent: virtualization
 * itself, performance counters, thermal and power control, SMX, MPX, TSX, PKU, speculation control
 * (its MSRs are not switched), SMM and machine check banks.
 */
struct rule {
    uint32_t leaf;
    uint8_t  subleaf;
    bool     by_subleaf;
    uint8_t  reg;
    uint32_t pass;
    uint32_t set;
};

#define FEATURES_1_EDX                                                                             \
    (B(0) | B(1) | B(2) | B(3) | B(4) | B(5) | B(6) | B(7) | B(8) | B(12) | B(13) | B(14) |        \
     B(15) | B(16) | B(17) | B(23) | B(24))

static const struct rule rules[] = {
    { 0x00000001, 0, false, EAX, 0xffffffff, 0 },
    { 0x00000001, 0, false, EBX, 0x0000ff00, 0 }, // CLFLUSH line
    { 0x00000001, 0, false, ECX,
      B(0) | B(1) | B(9) | B(12) | B(13) | B(17) | B(19) | B(20) | B(22) | B(23) | B(25) | B(26) |
          B(28) | B(29) | B(30),
      B(CPUID_1_ECX_X2APIC) | B(CPUID_1_ECX_TSC_DEADLINE) },
    { 0x00000001, 0, false, EDX, FEATURES_1_EDX | B(11) | B(19) | B(25) | B(26),
      B(CPUID_1_EDX_APIC) },
    { 0x00000002, 0, false, EAX, 0xffffffff, 0 },
    { 0x00000002, 0, false, EBX, 0xffffffff, 0 },
    { 0x00000002, 0, false, ECX, 0xffffffff, 0 },
    { 0x00000002, 0, false, EDX, 0xffffffff, 0 },
    { 0x00000006, 0, false, EAX, 0, B(2) }, // the APIC timer never stops
    /* FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512F DQ RDSEED ADX SMAP IFMA CLFLUSHOPT CLWB CD
       SHA BW VL */
    { 0x00000007, 0, true, EBX,
      B(0) | B(3) | B(5) | B(7) | B(8) | B(9) | B(10) | B(16) | B(17) | B(18) | B(19) | B(20) |
          B(21) | B(23) | B(24) | B(28) | B(29) | B(30) | B(31),
      B(CPUID_7_EBX_TSC_ADJUST) },
    /* VBMI UMIP VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID */
    { 0x00000007, 0, true, ECX,
      B(1) | B(2) | B(6) | B(8) | B(9) | B(10) | B(11) | B(12) | B(14) | B(22), 0 },
    { 0x00000007, 0, true, EDX, B(4) | B(8), 0 }, // FSRM, VP2INTERSECT
    { 0x0000000d, 1, true, EAX, B(0) | B(1) | B(2),
      0 }, // XSAVEOPT, XSAVEC, XGETBV with ECX 1; no supervisor states
    /* LAHF ALTMOVCR8 LZCNT SSE4A MISALIGNSSE PREFETCHW XOP FMA4 TBM TOPOEXT */
    { 0x80000001, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000001, 0, false, EBX, 0xf0000000, 0 },
    { 0x80000001, 0, false, ECX,
      B(0) | B(4) | B(5) | B(6) | B(7) | B(8) | B(11) | B(16) | B(21) | B(22), 0 },
    /* the AMD copy of leaf 1, and SYSCALL NX MMXEXT PDPE1GB RDTSCP LM 3DNOWEXT 3DNOW */
    { 0x80000001, 0, false, EDX,
      FEATURES_1_EDX | B(9) | B(11) | B(20) | B(22) | B(26) | B(27) | B(29) | B(30) | B(31), 0 },
    { 0x80000002, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000002, 0, false, EBX, 0xffffffff, 0 },
    { 0x80000002, 0, false, ECX, 0xffffffff, 0 },
    { 0x80000002, 0, false, EDX, 0xffffffff, 0 },
    { 0x80000003, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000003, 0, false, EBX, 0xffffffff, 0 },
    { 0x80000003, 0, false, ECX, 0xffffffff, 0 },
    { 0x80000003, 0, false, EDX, 0xffffffff, 0 },
    { 0x80000004, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000004, 0, false, EBX, 0xffffffff, 0 },
    { 0x80000004, 0, false, ECX, 0xffffffff, 0 },
    { 0x80000004, 0, false, EDX, 0xffffffff, 0 },
    { 0x80000005, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000005, 0, false, EBX, 0xffffffff, 0 },
    { 0x80000005, 0, false, ECX, 0xffffffff, 0 },
    { 0x80000005, 0, false, EDX, 0xffffffff, 0 },
    { 0x80000006, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000006, 0, false, EBX, 0xffffffff, 0 },
    { 0x80000006, 0, false, ECX, 0xffffffff, 0 },
    { 0x80000006, 0, false, EDX, 0xffffffff, 0 },
    { 0x80000007, 0, false, EDX, 0,
      B(8) }, // invariant TSC: the guest's runs at one rate, whatever the processor does
    { 0x80000008, 0, false, EAX, 0x0000ffff, 0 },
    { 0x80000008, 0, false, EBX, B(0) | B(2), 0 }, // CLZERO, XSAVEERPTR
    { 0x80000019, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000019, 0, false, EBX, 0xffffffff, 0 },
    { 0x8000001a, 0, false, EAX, 0xffffffff, 0 },
    { 0x80000021, 0, false, EAX, B(2) | B(6),
      0 }, // LFENCE serializes; a null selector clears its base
};

static uint32_t *reg_of(struct cpuid_regs *r, unsigned reg)
{
    switch (reg & 3) {
    case EAX: return &r->eax;
    case EBX: return &r->ebx;
    case ECX: return &r->ecx;
    default:  return &r->edx;
    }
}

/* A leaf's row in the index: basic, hypervisor, extended. False for leaves that the table cannot
 * hold. */
static bool index_of(uint32_t leaf, unsigned *range, unsigned *column)
{
    *range = leaf >= 0x80000000 ? 2 : leaf >= 0x40000000 ? 1 : 0;
    *column = leaf & 0x3fffffff;
    return *column < CPUID_LEAVES;
}

static const struct cpuid_entry *find(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf)
{
    unsigned range, column;

    if (!index_of(leaf, &range, &column))
        return NULL;
    for (unsigned i = t->first[range][column]; i < t->count && t->entries[i].leaf == leaf; i++)
        if (!t->entries[i].by_subleaf || t->entries[i].subleaf == subleaf)
            return &t->entries[i];
    return NULL;
}

/* The entry of a leaf, made if it is not there. Without room: the last entry, and a count beyond
 * the table that cpuid_build reports. */
static struct cpuid_regs *entry(struct cpuid_table *t, uint32_t leaf, uint32_t subleaf,
                                bool by_subleaf)
{
    for (unsigned i = 0; i < t->count && i < CPUID_MAX_ENTRIES; i++) {
        struct cpuid_entry *e = &t->entries[i];
        if (e->leaf == leaf && e->subleaf == subleaf)
            return &e->regs;
    }
    unsigned i = t->count < CPUID_MAX_ENTRIES ? t->count : CPUID_MAX_ENTRIES - 1;
    t->count++;
    t->entries[i] = (struct cpuid_entry){ .leaf = leaf,
                                          .subleaf = subleaf,
                                          .by_subleaf = by_subleaf };
    return &t->entries[i].regs;
}

struct build {
    struct cpuid_table        *t;
    const struct cpuid_config *config;
    uint32_t                   host_basic, host_extended;
};

/* The processor's answer; leaves that it does not have are zero. */
static struct cpuid_regs host(const struct build *b, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = { 0, 0, 0, 0 };
    uint32_t max = leaf >= 0x80000000 ? b->host_extended : b->host_basic;
    if (leaf <= max)
        b->config->read(b->config->read_arg, leaf, subleaf, &r);
    return r;
}

static unsigned log2_ceil(unsigned n)
{
    unsigned bits = 0;
    while ((1u << bits) < n)
        bits++;
    return bits;
}

static void add_ranges(struct build *b)
{
    struct cpuid_regs r;
    b->config->read(b->config->read_arg, 0, 0, &r);
    b->host_basic = r.eax;
    /* "GenuineIntel", the middle word */
    b->t->intel = r.edx == 0x49656e69;
    b->t->max_basic = 0x16;
    struct cpuid_regs *e = entry(b->t, 0, 0, false);
    *e = r;
    e->eax = b->t->max_basic;
    b->config->read(b->config->read_arg, 0x80000000, 0, &r);
    b->host_extended = r.eax >= 0x80000000 ? r.eax : 0;
    b->t->max_extended = b->host_extended > 0x80000021 ? 0x80000021 : b->host_extended;
    if (b->t->max_extended < 0x80000008)
        b->t->max_extended = 0x80000008;
    e = entry(b->t, 0x80000000, 0, false);
    *e = r;
    e->eax = b->t->max_extended;
}

static void add_rules(struct build *b)
{
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *r = &rules[i];
        struct cpuid_regs h = host(b, r->leaf, r->subleaf);
        *reg_of(entry(b->t, r->leaf, r->subleaf, r->by_subleaf),
                r->reg) = (*reg_of(&h, r->reg) & r->pass) | r->set;
    }
}

/* Extended state (leaf 0xd), and the features that stand on state which the engine does not switch.
 */
static void add_xstate(struct build *b)
{
    struct cpuid_regs *one = entry(b->t, 1, 0, false), *seven = entry(b->t, 7, 0, true);
    struct cpuid_regs *extended = entry(b->t, 0x80000001, 0, false);
    uint64_t xcr0 = one->ecx & B(CPUID_1_ECX_XSAVE) ? b->config->xcr0 : 0;
    struct cpuid_regs h = host(b, 0xd, 0);
    xcr0 &= h.eax & 0xe7; // x87, SSE, AVX, AVX-512
    if (!(xcr0 & 2))
        xcr0 = 0;
    if (!(xcr0 & 4))
        xcr0 &= 3;
    if ((xcr0 & 0xe0) != 0xe0)
        xcr0 &= 7;
    if (xcr0 == 0) {
        one->ecx &= ~B(CPUID_1_ECX_XSAVE);
        entry(b->t, 0xd, 1, true)->eax = 0;
    }
    if (!(xcr0 & 4)) { // FMA AVX F16C; AVX2 VAES VPCLMULQDQ; XOP FMA4
        one->ecx &= ~(B(12) | B(28) | B(29));
        seven->ebx &= ~B(5);
        seven->ecx &= ~(B(9) | B(10));
        extended->ecx &= ~(B(11) | B(16));
    }
    if (!(xcr0 & 0xe0)) {
        seven->ebx &= ~(B(16) | B(17) | B(21) | B(28) | B(30) | B(31));
        seven->ecx &= ~(B(1) | B(6) | B(11) | B(12) | B(14));
        seven->edx &= ~B(8);
    }
    uint32_t size = xcr0 != 0 ? 576 : 0;
    for (unsigned i = 2; i < 8; i++) {
        struct cpuid_regs c = host(b, 0xd, i);
        if (!(xcr0 & B(i)))
            continue;
        *entry(b->t, 0xd, i, true) = (struct cpuid_regs){ c.eax, c.ebx, 0, 0 };
        size = c.eax + c.ebx > size ? c.eax + c.ebx : size;
    }
    *entry(b->t, 0xd, 0, true) = (struct cpuid_regs){ (uint32_t)xcr0, size, size, 0 };
}

/* Cache leaves tell by how many threads a cache is shared: levels 1 and 2 by one, level 3 by the
 * package. */
static void add_caches(struct build *b, uint32_t leaf)
{
    for (unsigned i = 0; i < 4; i++) {
        struct cpuid_regs r = host(b, leaf, i);
        if ((r.eax & 0x1f) == 0)
            break;
        unsigned level = r.eax >> 5 & 7;
        unsigned cores = leaf == 4 ? (1u << log2_ceil(b->config->cpus)) - 1 : 0;
        r.eax = (r.eax & 0x3ff) | (level >= 3 ? b->config->cpus - 1 : 0) << 14 |
                (cores & 0x3f) << 26;
        *entry(b->t, leaf, i, true) = r;
    }
}

static void add_topology(struct build *b)
{
    unsigned n = b->config->cpus, shift = log2_ceil(n);
    struct cpuid_regs *one = entry(b->t, 1, 0, false);
    one->ebx |= n << 16;
    if (n > 1) {
        one->edx |= B(CPUID_1_EDX_HTT);
        if (!b->t->intel)
            entry(b->t, 0x80000001, 0, false)->ecx |= B(1); // CmpLegacy: cores, not threads
    }
    if (b->t->intel)
        add_caches(b, 4);
    *entry(b->t, 0xb, 0, true) = (struct cpuid_regs){ 0, 1, 1 << 8 | 0, 0 };
    *entry(b->t, 0xb, 1, true) = (struct cpuid_regs){ shift, n, 2 << 8 | 1, 0 };
    struct cpuid_regs *sizes = entry(b->t, 0x80000008, 0, false);
    if (sizes->eax == 0)
        sizes->eax = 48 << 8 | 36;
    if ((sizes->eax >> 8 & 0xff) > 48)
        sizes->eax = (sizes->eax & 0xff) | 48 << 8; // no five-level paging
    if (!b->t->intel)
        sizes->ecx = (n - 1) | shift << 12;
    if (b->t->max_extended >= 0x8000001e && (entry(b->t, 0x80000001, 0, false)->ecx & B(22))) {
        add_caches(b, 0x8000001d);
        *entry(b->t, 0x8000001e, 0, false) = (struct cpuid_regs){ 0, 0, 0, 0 };
    }
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/*
 * Leaf 0x15: TSC = crystal * EBX / EAX, and the crystal is what the APIC timer counts. Given only
 * where the product of crystal in kHz and numerator fits 32 bits, since guests multiply before they
 * divide.
 */
static void add_frequencies(struct build *b)
{
    uint64_t tsc = b->config->tsc_khz, apic = b->config->apic_khz;
    if (tsc == 0)
        return;
    if (apic != 0 && apic <= UINT32_MAX / 1000) {
        uint64_t g = gcd(tsc, apic);
        if (tsc / g <= UINT32_MAX / apic)
            *entry(b->t, 0x15, 0, false) = (struct cpuid_regs){ (uint32_t)(apic / g),
                                                                (uint32_t)(tsc / g),
                                                                (uint32_t)(apic * 1000), 0 };
    }
    uint32_t mhz = (uint32_t)((tsc + 500) / 1000) & 0xffff;
    *entry(b->t, 0x16, 0, false) = (struct cpuid_regs){ mhz, mhz, (uint32_t)(apic / 1000) & 0xffff,
                                                        0 };
}

/* Leaf 5: lines of 64 bytes; no hints, no power states. */
static void add_monitor(struct build *b)
{
    if (!b->config->monitor)
        return;
    entry(b->t, 1, 0, false)->ecx |= B(CPUID_1_ECX_MONITOR);
    *entry(b->t, 5, 0, false) = (struct cpuid_regs){ 64, 64, 0, 0 };
}

static void add_hypervisor(struct build *b)
{
    if (b->config->hypervisor != CPUID_HYPERVISOR_KVM)
        return;
    entry(b->t, 1, 0, false)->ecx |= B(CPUID_1_ECX_HYPERVISOR);
    b->t->max_hypervisor = 0x40000010;
    /* "KVMKVMKVM\0\0\0" */
    *entry(b->t, CPUID_KVM_SIGNATURE, 0, false) =
        (struct cpuid_regs){ b->t->max_hypervisor, 0x4b4d564b, 0x564b4d56, 0x0000004d };
    uint32_t features = B(CPUID_KVM_NO_IO_DELAY);
    if (b->config->tsc_khz != 0)
        features |= B(CPUID_KVM_CLOCK) | B(CPUID_KVM_CLOCK2) | B(CPUID_KVM_CLOCK_STABLE);
    *entry(b->t, CPUID_KVM_FEATURES, 0, false) = (struct cpuid_regs){ features, 0, 0, 0 };
    *entry(b->t, 0x40000010, 0, false) =
        (struct cpuid_regs){ (uint32_t)b->config->tsc_khz, (uint32_t)b->config->apic_khz, 0, 0 };
}

static bool before(const struct cpuid_entry *a, const struct cpuid_entry *b)
{
    return a->leaf != b->leaf ? a->leaf < b->leaf : a->subleaf < b->subleaf;
}

/* An exit's look-up is a matter of a few instructions: sort by leaf and note where each begins. */
static void sort_and_index(struct cpuid_table *t)
{
    unsigned range, column;

    for (unsigned i = 1; i < t->count; i++) {
        struct cpuid_entry e = t->entries[i];
        unsigned at = i;

        for (; at > 0 && before(&e, &t->entries[at - 1]); at--)
            t->entries[at] = t->entries[at - 1];
        t->entries[at] = e;
    }
    memset(t->first, (int)t->count, sizeof(t->first));
    for (unsigned i = t->count; i-- > 0;)
        if (index_of(t->entries[i].leaf, &range, &column))
            t->first[range][column] = (uint8_t)i;
}

static void apply_overrides(struct cpuid_table *t, const struct cpuid_config *config)
{
    for (size_t i = 0; i < config->override_count; i++) {
        const struct cpuid_override *o = &config->overrides[i];
        uint32_t *r = reg_of(entry(t, o->leaf, o->subleaf, o->subleaf != 0), o->reg);

        *r = (*r & o->keep) | o->set;
    }
}

bool cpuid_build(struct cpuid_table *t, const struct cpuid_config *config)
{
    struct build b = { .t = t, .config = config };
    *t = (struct cpuid_table){ .count = 0 };
    add_ranges(&b);
    add_rules(&b);
    if (!config->tsc_aux) {
        entry(t, 7, 0, true)->ecx &= ~B(22);           // RDPID
        entry(t, 0x80000001, 0, false)->edx &= ~B(27); // RDTSCP
    }
    add_xstate(&b);
    add_topology(&b);
    add_frequencies(&b);
    add_monitor(&b);
    add_hypervisor(&b);
    apply_overrides(t, config);
    if (t->count > CPUID_MAX_ENTRIES)
        return false;
    sort_and_index(t);
    return true;
}

/* The size of the state that XCR0 enables, in the standard format. */
static uint32_t xstate_size(const struct cpuid_table *t, uint64_t xcr0)
{
    uint32_t size = 576;
    for (unsigned i = 2; i < 8; i++) {
        const struct cpuid_entry *e = xcr0 & B(i) ? find(t, 0xd, i) : NULL;
        if (e != NULL && e->regs.eax + e->regs.ebx > size)
            size = e->regs.eax + e->regs.ebx;
    }
    return size;
}

static bool in_range(const struct cpuid_table *t, uint32_t leaf)
{
    if (leaf >= 0x80000000)
        return leaf <= t->max_extended;
    if (leaf >= 0x40000000)
        return leaf <= t->max_hypervisor;
    return leaf <= t->max_basic;
}

void cpuid_query(const struct cpuid_table *t, const struct cpuid_vcpu *vcpu, uint32_t leaf,
                 uint32_t subleaf, struct cpuid_regs *out)
{
    if (!in_range(t, leaf)) {
        *out = (struct cpuid_regs){ 0, 0, 0, 0 };
        if (!t->intel)
            return;
        leaf = t->max_basic;
    }
    const struct cpuid_entry *e = find(t, leaf, subleaf);
    *out = e != NULL ? e->regs : (struct cpuid_regs){ 0, 0, 0, 0 };
    switch (leaf) {
    case 1:
        out->ebx |= vcpu->apic_id << 24;
        if ((out->ecx & B(CPUID_1_ECX_XSAVE)) && (vcpu->cr4 & B(18)))
            out->ecx |= B(CPUID_1_ECX_OSXSAVE);
        if (!vcpu->apic_enabled)
            out->edx &= ~B(CPUID_1_EDX_APIC);
        break;
    case 0xb:
        if (e == NULL)
            out->ecx = subleaf & 0xff; // an invalid level repeats its number
        out->edx = vcpu->apic_id;
        break;
    case 0xd:
        if (e != NULL && out->eax != 0 && subleaf <= 1)
            out->ebx = xstate_size(t, vcpu->xcr0);
        break;
    case 0x80000001:
        if (!t->intel && !vcpu->apic_enabled)
            out->edx &= ~B(CPUID_1_EDX_APIC);
        break;
    case 0x8000001e:
        out->eax = vcpu->apic_id;
        out->ebx = vcpu->apic_id;
        break;
    default:
        break;
    }
}

bool cpuid_has(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, unsigned reg,
               unsigned bit)
{
    const struct cpuid_entry *e = find(t, leaf, subleaf);
    if (e == NULL || bit > 31)
        return false;
    struct cpuid_regs r = e->regs;
    return *reg_of(&r, reg) >> bit & 1;
}

uint64_t cpuid_xcr0(const struct cpuid_table *t)
{
    const struct cpuid_entry *e = find(t, 0xd, 0);
    return e != NULL ? e->regs.eax | (uint64_t)e->regs.edx << 32 : 0;
}

unsigned cpuid_physical_bits(const struct cpuid_table *t)
{
    const struct cpuid_entry *e = find(t, 0x80000008, 0);
    return e != NULL ? e->regs.eax & 0xff : 36;
}

bool cpuid_is_amd(const struct cpuid_table *t)
{
    const struct cpuid_entry *e = find(t, 0, 0);
    return e != NULL && (e->regs.ebx == 0x68747541 || e->regs.ebx == 0x6f677948); // "Auth", "Hygo"
}
