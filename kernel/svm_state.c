/* SPDX-License-Identifier: MIT */
/* State transfer by group (abi/vcpu.h). Each field of the page is read once; what only the processor judges goes to it unjudged. */
#include "kernel/svm_state.h"

#include "kernel/msr.h"
#include "kernel/regs.h"
#include "kernel/xstate.h"

#define CR0_PE 1ull
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define CR4_RESERVED (~0x00f7ffffull)
#define CR3_RESERVED (~0x000fffffffffffffull)
#define EFER_RESERVED (~0x20fd01ull) // SCE LME LMA NXE SVME LMSLE FFXSR TCE AIBRSE
#define ATTR_L 0x200u
#define ATTR_D 0x400u
#define ATTR_DPL_SHIFT 5

static void load_control(struct vcpu *v)
{
    const struct abi_vcpu *s = v->state;
    struct vmcb *b = v->vmcb;
    uint32_t wanted = s->intercepts, misc1 = SVM_MISC1, cr = 0;
    if (wanted & ABI_INTERCEPT_TSC)
        misc1 |= INTERCEPT_RDTSC;
    if (wanted & ABI_INTERCEPT_PAUSE)
        misc1 |= INTERCEPT_PAUSE;
    if (wanted & ABI_INTERCEPT_TABLE)
        misc1 |= INTERCEPT_TABLES;
    if (wanted & ABI_INTERCEPT_INVLPG)
        misc1 |= INTERCEPT_INVLPG;
    if (wanted & ABI_INTERCEPT_CR3)
        cr |= 0x00080008;
    if (wanted & ABI_INTERCEPT_CR0_4)
        cr |= 0x00110000;
    v->own_dr = wanted & ABI_INTERCEPT_DR;
    b->intercept_misc1 = misc1 | (b->intercept_misc1 & (INTERCEPT_VINTR | INTERCEPT_IRET));
    b->intercept_cr = cr;
    v->exceptions = s->exception_bitmap;
    b->intercept_exception = v->exceptions | SVM_EXCEPTIONS;
    b->tsc_offset = s->tsc_offset;
    svm_intercept_dr(v);
}

void svm_intercept_dr(struct vcpu *v)
{
    v->vmcb->intercept_dr = v->dr_live && !v->own_dr ? 0 : 0xffffffff;
}

/* Where the groups lie in the page and in the VMCB, in words of 8 bytes. */
static const struct field {
    uint16_t group, state, vmcb, words;
} fields[] = {
#define FIELD(group, page, control, count) \
    {ABI_VCPU_##group, offsetof(struct abi_vcpu, page) / 8, offsetof(struct vmcb, control) / 8, count}
    FIELD(CSSS, cs, cs, 4),         FIELD(DSES, ds, ds, 2),       FIELD(DSES, es, es, 2),     FIELD(FSGS, fs, fs, 4),
    FIELD(TRLDTR, tr, tr, 2),       FIELD(TRLDTR, ldtr, ldtr, 2), FIELD(TABLES, gdtr, gdtr, 2), FIELD(TABLES, idtr, idtr, 2),
    FIELD(CR, cr0, cr0, 1),         FIELD(CR, cr2, cr2, 1),       FIELD(CR, cr3, cr3, 1),     FIELD(CR, cr4, cr4, 1),
    FIELD(DR, dr6, dr6, 1),         FIELD(DR, dr7, dr7, 1),       FIELD(EFER, efer, efer, 1), FIELD(SYSCALL, star, star, 5),
    FIELD(SYSENTER, sysenter_cs, sysenter_cs, 3), FIELD(PAT, pat, pat, 1),
#undef FIELD
};

/* Unrolled, so that the table is gone and a test and plain moves are left for each group. */
static inline __attribute__((always_inline)) void copy_fields(uint64_t *page, uint64_t *control, uint32_t groups, bool load)
{
#pragma GCC unroll 32
    for (unsigned k = 0; k < sizeof(fields) / sizeof(fields[0]); k++) {
        const struct field *f = &fields[k];
        if (!(groups & f->group))
            continue;
#pragma GCC unroll 8
        for (unsigned i = 0; i < f->words; i++) {
            if (load)
                control[f->vmcb + i] = page[f->state + i];
            else
                page[f->state + i] = control[f->vmcb + i];
        }
    }
}

/* Groups in which a field breaks a rule of 15.5.1, of those that are rules of their own. */
static uint32_t judge(const struct vmcb *b)
{
    uint32_t groups = 0;
    bool lme = b->efer & EFER_LME, pg = b->cr0 & CR0_PG;
    if ((b->cr0 & CR0_NW && !(b->cr0 & CR0_CD)) || b->cr0 >> 32 || b->cr3 & CR3_RESERVED || b->cr4 & CR4_RESERVED)
        groups |= ABI_VCPU_CR;
    if (lme && pg && (!(b->cr4 & CR4_PAE) || !(b->cr0 & CR0_PE)))
        groups |= ABI_VCPU_CR | ABI_VCPU_EFER;
    if (lme && pg && (b->cs.attr & ATTR_L) && (b->cs.attr & ATTR_D))
        groups |= ABI_VCPU_CSSS;
    if (b->efer & EFER_RESERVED)
        groups |= ABI_VCPU_EFER;
    if (b->dr6 >> 32 || b->dr7 >> 32)
        groups |= ABI_VCPU_DR;
    return groups;
}

static void load_groups(struct vcpu *v, uint32_t groups)
{
    struct vmcb *b = v->vmcb;
    copy_fields((uint64_t *)(void *)v->state, (uint64_t *)(void *)b, groups, true);
    if (groups & ABI_VCPU_CSSS)
        b->cpl = b->ss.attr >> ATTR_DPL_SHIFT & 3;
    if (groups & ABI_VCPU_EFER)
        b->efer |= EFER_SVME; // VMRUN insists on it; the guest's own view of the bit is the VM process's matter
    if (groups & ABI_VCPU_DR)
        __builtin_memcpy(v->dr, v->state->dr, sizeof(v->dr));
    if (groups & ABI_VCPU_CONTROL)
        load_control(v);
    /* What changes address translation behind the guest's back: a new tag instead of a flush. */
    if (groups & (ABI_VCPU_CR | ABI_VCPU_EFER | ABI_VCPU_PAT))
        v->asid_generation = 0;
    v->suspect = judge(b);
}

/* Interrupt and NMI windows, and the end of NMI blocking. */
static void load_windows(struct vcpu *v, uint32_t requests)
{
    struct vmcb *b = v->vmcb;
    unsigned priority = v->state->window_priority & 0xf;
    uint32_t misc1 = b->intercept_misc1 & ~(INTERCEPT_VINTR | INTERCEPT_IRET);
    if (requests & ABI_REQUEST_WINDOW) {
        misc1 |= INTERCEPT_VINTR;
        b->vintr |= VINTR_IRQ | (priority ? (uint64_t)priority << VINTR_PRIO_SHIFT : VINTR_IGNORE_TPR);
    }
    if (v->nmi_blocked)
        misc1 |= INTERCEPT_IRET;
    b->intercept_misc1 = misc1;
    v->windows = requests != 0 || v->nmi_blocked;
}

bool svm_load(struct vcpu *v)
{
    struct abi_vcpu *s = v->state;
    struct vmcb *b = v->vmcb;
    uint32_t dirty = __atomic_load_n(&s->dirty, __ATOMIC_RELAXED), requests = __atomic_load_n(&s->requests, __ATOMIC_RELAXED);
    uint64_t event = __atomic_load_n(&s->event, __ATOMIC_RELAXED);
    b->rax = s->gpr[0];
    b->rip = s->rip;
    b->rsp = s->rsp;
    b->rflags = s->rflags;
    b->event = event;
    b->shadow = s->shadow & 1;
    b->vintr = VINTR_MASKING | (s->cr8 & VINTR_TPR);
    v->nmi_step = v->nmi_step && b->rflags & RFLAGS_TF;
    v->nmi_blocked = s->nmi_blocked || (event & EVENT_VALID && EVENT_TYPE(event) == EVENT_NMI);
    if (requests || v->nmi_blocked || v->windows)
        load_windows(v, requests);
    s->valid = 0;
    s->entries++;
    if (dirty & ABI_VCPU_ALL & ~(ABI_VCPU_GPR | ABI_VCPU_CORE)) {
        load_groups(v, dirty);
        if (dirty & ABI_VCPU_XSTATE) {
            uint64_t xcr0 = __atomic_load_n(&s->xcr0, __ATOMIC_RELAXED);
            if (!xstate_valid_xcr0(xcr0))
                return false;
            v->xcr0 = xcr0;
        }
    }
    s->dirty = 0;
    return true;
}

uint64_t svm_interrupted_event(const struct vmcb *b)
{
    uint64_t event = b->exit_int_info;
    unsigned type = EVENT_TYPE(event), vector = EVENT_VECTOR(event);
    bool software = type == EVENT_SOFTWARE || (type == EVENT_EXCEPTION && (vector == 3 || vector == 4));
    return event & EVENT_VALID && !software ? event : 0;
}

void svm_store_core(struct vcpu *v)
{
    struct abi_vcpu *s = v->state;
    const struct vmcb *b = v->vmcb;
    s->gpr[0] = b->rax;
    s->rip = b->rip;
    s->rsp = b->rsp;
    s->rflags = b->rflags;
    s->shadow = b->shadow & 1;
    s->cr8 = b->vintr & VINTR_TPR;
    s->nmi_blocked = v->nmi_blocked;
}

void svm_store_groups(struct vcpu *v, uint32_t groups)
{
    struct abi_vcpu *s = v->state;
    struct vmcb *b = v->vmcb;
    copy_fields((uint64_t *)(void *)s, (uint64_t *)(void *)b, groups, false);
    /* The processor keeps the privilege level in a field of its own. */
    if (groups & ABI_VCPU_CSSS)
        s->ss.attr = (uint16_t)((b->ss.attr & ~(3u << ATTR_DPL_SHIFT)) | (b->cpl & 3u) << ATTR_DPL_SHIFT);
    if (groups & ABI_VCPU_EFER)
        s->efer &= ~(uint64_t)EFER_SVME;
    if (groups & ABI_VCPU_DR)
        __builtin_memcpy(s->dr, v->dr, sizeof(v->dr));
    if (groups & ABI_VCPU_XSTATE)
        s->xcr0 = v->xcr0; // the image is always the guest's present one
    if (groups & ABI_VCPU_CONTROL) {
        s->exception_bitmap = v->exceptions;
        s->tsc_offset = b->tsc_offset;
    }
    s->valid |= groups & ABI_VCPU_ALL;
}

uint32_t svm_judge_event(uint64_t event)
{
    unsigned type = EVENT_TYPE(event);
    bool good = type == EVENT_INTERRUPT || type == EVENT_NMI || type == EVENT_SOFTWARE ||
                (type == EVENT_EXCEPTION && EVENT_VECTOR(event) < 32 && EVENT_VECTOR(event) != 2);
    return event & EVENT_VALID && !good ? ABI_VCPU_CORE : 0;
}
