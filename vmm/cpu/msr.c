/* SPDX-License-Identifier: MIT */
/* The MSR policy. */
#include "vmm/cpu/msr.h"

#include "lib/align.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vmm/vcpu.h"

#define MSR_TSC          0x10u
#define MSR_TSC_ADJUST   0x3bu
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_PLATFORM_INFO 0xceu
#define MSR_MISC_ENABLE  0x1a0u
#define MSR_PAT          0x277u
#define MSR_MTRR_DEFAULT 0x2ffu
#define MSR_EFER         0xc0000080u
#define MSR_TSC_AUX      0xc0000103u

#define LOG_MAX 16u

#define EFER_SCE 0x001ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define EFER_NXE 0x800ull
#define CR0_PG   0x80000000ull

enum kind {
    KIND_STATE,    // a field of the engine's state: `group`, offset `at`
    KIND_STORED,   // bits of `mask` are kept, others raise #GP
    KIND_CONSTANT, // reads as `value`, a write raises #GP
    KIND_IGNORED,  // reads as `value`, writes are lost
    KIND_CODE,     // read and write functions
};

/* What a written value must be. */
enum check {
    CHECK_MASK,      // no bits outside of `mask`
    CHECK_CANONICAL, // a linear address
    CHECK_TYPES,     // eight memory types, one a byte
    CHECK_PAT,       // the same, as the PAT encodes them
};

struct msr_entry {
    uint32_t first, last;
    enum kind kind;
    enum check check;
    uint64_t mask;
    uint64_t value; // constant, or at reset
    uint32_t group;
    size_t   at;
    bool (*read)(struct vcpu *vcpu, uint32_t index, uint64_t *value);
    bool (*write)(struct vcpu *vcpu, uint32_t index, uint64_t value);
};

static bool canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* Memory types: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB; the PAT also has 7, UC-. */
static bool types_valid(uint64_t value, unsigned types)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t type = value >> (8 * i) & 0xff;

        if (type > 7 || !(types >> type & 1))
            return false;
    }
    return true;
}

static bool tsc_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    *value = index == MSR_TSC ? vcpu_tsc(vcpu) : vcpu->msrs->tsc_adjust;
    return true;
}

/* Moving the one by a difference moves the other by the same (SDM volume 3, 18.17.3). */
static bool tsc_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    struct vcpu_msrs *m = vcpu->msrs;
    uint64_t before = vcpu->lapic.tsc_skew, difference = value - m->tsc_adjust;

    if (index == MSR_TSC) {
        vcpu_set_tsc(vcpu, value);
        m->tsc_adjust += vcpu->lapic.tsc_skew - before;
    } else if (difference != 0) {
        lapic_set_tsc_skew(&vcpu->lapic, before + difference);
        vcpu_change(vcpu, CPU_CONTROL)->tsc_offset += difference;
        m->tsc_adjust = value;
    }
    kvmclock_update(&m->kvmclock, m->memory, m->clock, vcpu->lapic.tsc_skew);
    return true;
}

/* What the guest's code cannot do to this processor, because it never runs on it. */
static bool arch_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    if (!cpuid_has(vcpu->msrs->cpuid, 7, 0, 3, CPUID_7_EDX_ARCH_CAPABILITIES))
        return false;
    *value = vcpu->ops->arch_capabilities;
    return true;
}

/*
 * IA32_MISC_ENABLE: fast strings, thermal control, SpeedStep, MONITOR, limit of CPUID, no xTPR, no
 * NX. What they switch is ours to offer, so they are kept without effect; that there are no
 * performance counters (7), branch traces (11) and event samples (12) can only be read.
 */
#define MISC_WRITABLE 0x400c50009ull
#define MISC_FIXED    0x1880ull
#define MISC_RESET    0x1801ull

static bool misc_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu->msrs->misc_enable;
    return true;
}

static bool misc_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t *misc = &vcpu->msrs->misc_enable;

    (void)index;
    if (value & ~(MISC_WRITABLE | MISC_FIXED))
        return false;
    *misc = (value & MISC_WRITABLE) | (*misc & MISC_FIXED);
    return true;
}

/* MSR_PLATFORM_INFO: the TSC's rate in units of 100 MHz, as the highest and the most efficient. */
static bool platform_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    uint64_t ratio = (vcpu->msrs->clock->hz + 50000000) / 100000000 & 0xff;

    (void)index;
    *value = ratio << 40 | ratio << 8;
    return true;
}

static bool no_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)vcpu;
    (void)index;
    (void)value;
    return false;
}

/* TSC_AUX is there if an instruction reads it: RDTSCP or RDPID. */
static bool has_tsc_aux(const struct vcpu *vcpu)
{
    const struct cpuid_table *t = vcpu->msrs->cpuid;

    return cpuid_has(t, 0x80000001, 0, 3, CPUID_8_EDX_RDTSCP) ||
           cpuid_has(t, 7, 0, 2, CPUID_7_ECX_RDPID);
}

static bool aux_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu->msrs->tsc_aux;
    return has_tsc_aux(vcpu);
}

static bool aux_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    if (!has_tsc_aux(vcpu) || value >> 32)
        return false;
    vcpu->msrs->tsc_aux = (uint32_t)value;
    return true;
}

static bool efer_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu_need(vcpu, CPU_EFER)->efer;
    return true;
}

static bool efer_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    struct cpu_state *s = vcpu_need(vcpu, CPU_EFER | CPU_CR);
    uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

    (void)index;
    if (value & ~allowed)
        return false;
    if (((value ^ s->efer) & EFER_LME) && (s->cr0 & CR0_PG))
        return false;
    vcpu_change(vcpu, CPU_EFER)->efer = (value & ~EFER_LMA) | (s->efer & EFER_LMA);
    return true;
}

static bool kvmclock_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    const struct kvmclock *k = &vcpu->msrs->kvmclock;

    *value = index == KVMCLOCK_MSR_WALL || index == KVMCLOCK_MSR_WALL_OLD ? k->wall : k->system;
    return cpuid_has(vcpu->msrs->cpuid, CPUID_KVM_FEATURES, 0, 0, CPUID_KVM_CLOCK2);
}

static bool kvmclock_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    struct vcpu_msrs *m = vcpu->msrs;

    if (!cpuid_has(m->cpuid, CPUID_KVM_FEATURES, 0, 0, CPUID_KVM_CLOCK2))
        return false;
    if (index == KVMCLOCK_MSR_WALL || index == KVMCLOCK_MSR_WALL_OLD)
        kvmclock_write_wall(&m->kvmclock, m->memory, m->clock, value);
    else
        kvmclock_write_system(&m->kvmclock, m->memory, m->clock, vcpu->lapic.tsc_skew, value);
    return true;
}

/* Variable MTRRs: no address bits that the processor does not have. */
static bool mtrr_write(struct vcpu *vcpu, uint32_t index, uint64_t value);
static bool mtrr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value);

#define STATE(index, rule, bits, in, field) \
    { index, index, KIND_STATE, rule, bits, 0, in, offsetof(struct cpu_state, field), NULL, NULL }
#define STORED(from, to, rule, bits, reset)                                                        \
    {                                                                                              \
        from, to, KIND_STORED, rule, bits, reset, 0, 0, NULL, NULL                                 \
    }
#define CONSTANT(from, to, constant)                                                               \
    {                                                                                              \
        from, to, KIND_CONSTANT, CHECK_MASK, 0, constant, 0, 0, NULL, NULL                         \
    }
#define IGNORED(from, to, constant)                                                                \
    {                                                                                              \
        from, to, KIND_IGNORED, CHECK_MASK, 0, constant, 0, 0, NULL, NULL                          \
    }
#define CODE(from, to, r, w) { from, to, KIND_CODE, CHECK_MASK, 0, 0, 0, 0, r, w }

#define ANY   UINT64_MAX
#define TYPES 0x73u // of an MTRR

/*
 * Stored registers take slots in the order of this table. MTRRs have no effect under nested paging;
 * they start as a BIOS leaves them: write-back, the fixed ones on, and the display and ROM area as
 * it would be.
 */
static const struct msr_entry table[] = {
    CODE(MSR_TSC, MSR_TSC, tsc_read, tsc_write),
    CODE(KVMCLOCK_MSR_WALL_OLD, KVMCLOCK_MSR_SYSTEM_OLD, kvmclock_read, kvmclock_write),
    CONSTANT(0x17, 0x17, 0), // PLATFORM_ID
    IGNORED(0x2a, 0x2a, 0),  // EBL_CR_POWERON
    CONSTANT(0x3a, 0x3a, 1), // FEATURE_CONTROL: locked, nothing on
    CODE(MSR_TSC_ADJUST, MSR_TSC_ADJUST, tsc_read, tsc_write),
    IGNORED(0x79, 0x79, 0),                  // BIOS_UPDT_TRIG
    IGNORED(0x8b, 0x8b, 0x0000000101000065), // microcode revision: Intel's half, AMD's half
    CODE(MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, platform_read, no_write),
    CONSTANT(0xfe, 0xfe, 0x508),             // MTRRCAP: 8 variable, fixed, write-combining
    CODE(MSR_ARCH_CAPABILITIES, MSR_ARCH_CAPABILITIES, arch_read, no_write),
    STATE(0x174, CHECK_MASK, 0xffffffff, CPU_SYSENTER, sysenter_cs),
    STATE(0x175, CHECK_CANONICAL, ANY, CPU_SYSENTER, sysenter_esp),
    STATE(0x176, CHECK_CANONICAL, ANY, CPU_SYSENTER, sysenter_eip),
    CONSTANT(0x179, 0x179, 0),                // MCG_CAP: no banks
    STORED(0x17a, 0x17a, CHECK_MASK, 0x7, 0), // MCG_STATUS
    CONSTANT(0x198, 0x198, 0),                // PERF_STATUS
    CODE(MSR_MISC_ENABLE, MSR_MISC_ENABLE, misc_read, misc_write),
    STORED(0x1d9, 0x1d9, CHECK_MASK, 0x3, 0), // DEBUGCTL: LBR, BTF; stored only
    CODE(0x200, 0x20f, mtrr_read, mtrr_write),
    STORED(0x250, 0x250, CHECK_TYPES, TYPES, 0x0606060606060606),
    STORED(0x258, 0x258, CHECK_TYPES, TYPES, 0x0606060606060606),
    STORED(0x259, 0x259, CHECK_TYPES, TYPES, 0),
    STORED(0x268, 0x26f, CHECK_TYPES, TYPES, 0x0505050505050505),
    STATE(MSR_PAT, CHECK_PAT, ANY, CPU_PAT, pat),
    STORED(MSR_MTRR_DEFAULT, MSR_MTRR_DEFAULT, CHECK_MASK, 0xc07, 0xc06),
    CODE(KVMCLOCK_MSR_WALL, KVMCLOCK_MSR_SYSTEM, kvmclock_read, kvmclock_write),
    CODE(MSR_EFER, MSR_EFER, efer_read, efer_write),
    STATE(0xc0000081, CHECK_MASK, ANY, CPU_SYSCALL, star),
    STATE(0xc0000082, CHECK_CANONICAL, ANY, CPU_SYSCALL, lstar),
    STATE(0xc0000083, CHECK_CANONICAL, ANY, CPU_SYSCALL, cstar),
    STATE(0xc0000084, CHECK_MASK, 0xffffffff, CPU_SYSCALL, sfmask),
    STATE(0xc0000100, CHECK_CANONICAL, ANY, CPU_FSGS, fs.base),
    STATE(0xc0000101, CHECK_CANONICAL, ANY, CPU_FSGS, gs.base),
    STATE(0xc0000102, CHECK_CANONICAL, ANY, CPU_SYSCALL, kernel_gs_base),
    CODE(MSR_TSC_AUX, MSR_TSC_AUX, aux_read, aux_write),
    CONSTANT(0xc0010010, 0xc0010010, 0), // SYSCFG
    STORED(0xc0010015, 0xc0010015, CHECK_MASK, 0x3f9ffffff,
           0x1000000),                                  // HWCR: the TSC counts at the P0 rate
    IGNORED(0xc001001f, 0xc001001f, 0),                 // NB_CFG
    IGNORED(0xc0010020, 0xc0010020, 0),                 // PATCH_LOADER
    IGNORED(0xc0010055, 0xc0010055, 0),                 // INT_PENDING
    CONSTANT(0xc0010114, 0xc0010114, 0x18),             // VM_CR: SVM disabled and locked
    IGNORED(0xc0011020, 0xc0011023, 0),                 // LS_CFG, IC_CFG, DC_CFG, BU_CFG
    STORED(0xc0011029, 0xc0011029, CHECK_MASK, ANY, 2), // DE_CFG: LFENCE serializes
    IGNORED(0xc001102a, 0xc001102d, 0),                 // BU_CFG2 to LS_CFG2
};

/* The slot of a stored register: stored registers of all entries before, and its place in its own
 * range. */
static unsigned slot_of(const struct msr_entry *entry, uint32_t index)
{
    unsigned slot = 16; // the variable MTRRs come first

    for (const struct msr_entry *e = table; e != entry; e++)
        slot += e->kind == KIND_STORED ? e->last - e->first + 1 : 0;
    return slot + (index - entry->first);
}

static bool mtrr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    *value = vcpu->msrs->stored[index & 15];
    return true;
}

static bool mtrr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    uint64_t limit = 1ull << cpuid_physical_bits(vcpu->msrs->cpuid);
    uint64_t low = index & 1 ? 0x7ff : 0xf00; // reserved below the address: mask and base

    if (value >= limit || (value & low))
        return false;
    if (!(index & 1) && ((value & 0xff) > 7 || !(TYPES >> (value & 7) & 1)))
        return false;
    vcpu->msrs->stored[index & 15] = value;
    return true;
}

static const struct msr_entry *find(uint32_t index)
{
    for (size_t i = 0; i < ARRAY_SIZE(table) && table[i].first <= index; i++)
        if (index <= table[i].last)
            return &table[i];
    return NULL;
}

bool msr_is_apic(uint32_t index)
{
    return (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST) || index == MSR_TSC_DEADLINE ||
           index == MSR_APIC_BASE;
}

static bool acceptable(const struct msr_entry *e, uint64_t value)
{
    switch (e->check) {
    case CHECK_MASK:
        return !(value & ~e->mask);
    case CHECK_CANONICAL:
        return canonical(value);
    case CHECK_TYPES:
        return types_valid(value, TYPES);
    case CHECK_PAT:
        return types_valid(value, TYPES | 0x80);
    }
    return false;
}

static bool refuse(struct vcpu *vcpu, uint32_t index, const char *what)
{
    char line[80];

    if (vcpu->msrs->logged++ < LOG_MAX) {
        format_string(line, sizeof(line), "vcpu %u: %s of unknown MSR 0x%x: #GP", vcpu->id, what,
                      index);
        host_log(vcpu->msrs->clock->host, line);
    }
    return false;
}

void msr_init(struct vcpu_msrs *msrs, struct memory *memory, const struct clock *clock,
              const struct cpuid_table *cpuid)
{
    *msrs = (struct vcpu_msrs){ .memory = memory, .clock = clock, .cpuid = cpuid };
    msr_reset(msrs);
}

void msr_reset(struct vcpu_msrs *msrs)
{
    memset(msrs->stored, 0, sizeof(msrs->stored));
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        for (uint32_t index = table[i].first;
             table[i].kind == KIND_STORED && index <= table[i].last; index++)
            msrs->stored[slot_of(&table[i], index)] = table[i].value;
    msrs->tsc_adjust = 0;
    msrs->misc_enable = MISC_RESET;
    msrs->tsc_aux = 0;
    msrs->kvmclock = (struct kvmclock){ 0, 0 };
    msrs->logged = 0;
}

bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    const struct msr_entry *e;

    if (msr_is_apic(index))
        return lapic_msr_read(&vcpu->lapic, index, value);
    e = find(index);
    if (e == NULL)
        return refuse(vcpu, index, "read");
    switch (e->kind) {
    case KIND_STATE:
        memcpy(value, (const uint8_t *)vcpu_need(vcpu, e->group) + e->at, sizeof(*value));
        return true;
    case KIND_STORED:
        *value = vcpu->msrs->stored[slot_of(e, index)];
        return true;
    case KIND_CONSTANT:
    case KIND_IGNORED:
        *value = e->value;
        return true;
    case KIND_CODE:
        return e->read(vcpu, index, value);
    }
    return false;
}

/* No address bits, and no x2APIC mode, that the processor does not have. */
static bool base_valid(const struct vcpu *vcpu, uint64_t value)
{
    const struct cpuid_table *t = vcpu->msrs->cpuid;

    return !(value >> cpuid_physical_bits(t)) &&
           (!(value & LAPIC_BASE_X2) || cpuid_has(t, 1, 0, 2, CPUID_1_ECX_X2APIC));
}

bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    const struct msr_entry *e;

    if (index == MSR_APIC_BASE && !base_valid(vcpu, value))
        return false;
    if (msr_is_apic(index))
        return lapic_msr_write(&vcpu->lapic, index, value);
    e = find(index);
    if (e == NULL)
        return refuse(vcpu, index, "write");
    switch (e->kind) {
    case KIND_STATE:
        if (!acceptable(e, value))
            return false;
        memcpy((uint8_t *)vcpu_change(vcpu, e->group) + e->at, &value, sizeof(value));
        return true;
    case KIND_STORED:
        if (!acceptable(e, value))
            return false;
        vcpu->msrs->stored[slot_of(e, index)] = value;
        return true;
    case KIND_CONSTANT:
        return false;
    case KIND_IGNORED:
        return true;
    case KIND_CODE:
        return e->write(vcpu, index, value);
    }
    return false;
}
