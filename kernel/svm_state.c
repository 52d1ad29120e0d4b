/* SPDX-License-Identifier: MIT */
/* State transfer by group (abi/vcpu.h). Each field of the page is read once; what only the processor judges goes to it unjudged. */
#include "kernel/svm_state.h"

#include "kernel/msr.h"
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

static void load_segments(struct vcpu *v, uint32_t groups)
{
    const struct abi_vcpu *s = v->state;
    struct vmcb *b = v->vmcb;
    if (groups & ABI_VCPU_CSSS) {
        b->cs = s->cs;
        b->ss = s->ss;
        b->cpl = b->ss.attr >> ATTR_DPL_SHIFT & 3;
    }
    if (groups & ABI_VCPU_DSES) {
        b->ds = s->ds;
        b->es = s->es;
    }
    if (groups & ABI_VCPU_FSGS) {
        b->fs = s->fs;
        b->gs = s->gs;
    }
    if (groups & ABI_VCPU_TRLDTR) {
        b->tr = s->tr;
        b->ldtr = s->ldtr;
    }
    if (groups & ABI_VCPU_TABLES) {
        b->gdtr = s->gdtr;
        b->idtr = s->idtr;
    }
}

static void load_registers(struct vcpu *v, uint32_t groups)
{
    const struct abi_vcpu *s = v->state;
    struct vmcb *b = v->vmcb;
    if (groups & ABI_VCPU_CR) {
        b->cr0 = s->cr0;
        b->cr2 = s->cr2;
        b->cr3 = s->cr3;
        b->cr4 = s->cr4;
    }
    if (groups & ABI_VCPU_DR) {
        for (unsigned i = 0; i < 4; i++)
            v->dr[i] = s->dr[i];
        b->dr6 = s->dr6;
        b->dr7 = s->dr7;
    }
    if (groups & ABI_VCPU_EFER)
        b->efer = s->efer | EFER_SVME; // VMRUN insists on it; the guest's own view of the bit is the VM process's matter
    if (groups & ABI_VCPU_SYSCALL) {
        b->star = s->star;
        b->lstar = s->lstar;
        b->cstar = s->cstar;
        b->sfmask = s->sfmask;
        b->kernel_gs_base = s->kernel_gs_base;
    }
    if (groups & ABI_VCPU_SYSENTER) {
        b->sysenter_cs = s->sysenter_cs;
        b->sysenter_esp = s->sysenter_esp;
        b->sysenter_eip = s->sysenter_eip;
    }
    if (groups & ABI_VCPU_PAT)
        b->pat = s->pat;
    /* What changes address translation behind the guest's back: a new tag instead of a flush. */
    if (groups & (ABI_VCPU_CR | ABI_VCPU_EFER | ABI_VCPU_PAT))
        v->asid_generation = 0;
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
    v->nmi_blocked = s->nmi_blocked || (event & EVENT_VALID && EVENT_TYPE(event) == EVENT_NMI);
    if (requests || v->nmi_blocked || v->windows)
        load_windows(v, requests);
    s->valid = 0;
    s->entries++;
    if (dirty & ABI_VCPU_ALL & ~(ABI_VCPU_GPR | ABI_VCPU_CORE)) {
        load_segments(v, dirty);
        load_registers(v, dirty);
        if (dirty & ABI_VCPU_CONTROL)
            load_control(v);
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

void svm_store_core(struct vcpu *v)
{
    struct abi_vcpu *s = v->state;
    const struct vmcb *b = v->vmcb;
    uint64_t event = b->exit_int_info;
    s->gpr[0] = b->rax;
    s->rip = b->rip;
    s->rsp = b->rsp;
    s->rflags = b->rflags;
    s->shadow = b->shadow & 1;
    s->cr8 = b->vintr & VINTR_TPR;
    s->nmi_blocked = v->nmi_blocked;
    /* A software interrupt or exception is not injected again: RIP is still at its instruction, which repeats it. */
    if (event & EVENT_VALID && (EVENT_TYPE(event) == EVENT_SOFTWARE ||
                                (EVENT_TYPE(event) == EVENT_EXCEPTION && (EVENT_VECTOR(event) == 3 || EVENT_VECTOR(event) == 4))))
        event = 0;
    s->event = event & EVENT_VALID ? event : 0;
}

static void store_segments(struct vcpu *v, uint32_t groups)
{
    struct abi_vcpu *s = v->state;
    const struct vmcb *b = v->vmcb;
    if (groups & ABI_VCPU_CSSS) {
        s->cs = b->cs;
        s->ss = b->ss;
        s->ss.attr = (uint16_t)((b->ss.attr & ~(3u << ATTR_DPL_SHIFT)) | (b->cpl & 3u) << ATTR_DPL_SHIFT);
    }
    if (groups & ABI_VCPU_DSES) {
        s->ds = b->ds;
        s->es = b->es;
    }
    if (groups & ABI_VCPU_FSGS) {
        s->fs = b->fs;
        s->gs = b->gs;
    }
    if (groups & ABI_VCPU_TRLDTR) {
        s->tr = b->tr;
        s->ldtr = b->ldtr;
    }
    if (groups & ABI_VCPU_TABLES) {
        s->gdtr = b->gdtr;
        s->idtr = b->idtr;
    }
}

static void store_registers(struct vcpu *v, uint32_t groups)
{
    struct abi_vcpu *s = v->state;
    const struct vmcb *b = v->vmcb;
    if (groups & ABI_VCPU_CR) {
        s->cr0 = b->cr0;
        s->cr2 = b->cr2;
        s->cr3 = b->cr3;
        s->cr4 = b->cr4;
    }
    if (groups & ABI_VCPU_DR) {
        for (unsigned i = 0; i < 4; i++)
            s->dr[i] = v->dr[i];
        s->dr6 = b->dr6;
        s->dr7 = b->dr7;
    }
    if (groups & ABI_VCPU_EFER)
        s->efer = b->efer & ~(uint64_t)EFER_SVME;
    if (groups & ABI_VCPU_SYSCALL) {
        s->star = b->star;
        s->lstar = b->lstar;
        s->cstar = b->cstar;
        s->sfmask = b->sfmask;
        s->kernel_gs_base = b->kernel_gs_base;
    }
    if (groups & ABI_VCPU_SYSENTER) {
        s->sysenter_cs = b->sysenter_cs;
        s->sysenter_esp = b->sysenter_esp;
        s->sysenter_eip = b->sysenter_eip;
    }
    if (groups & ABI_VCPU_PAT)
        s->pat = b->pat;
}

void svm_store_groups(struct vcpu *v, uint32_t groups)
{
    struct abi_vcpu *s = v->state;
    store_segments(v, groups);
    store_registers(v, groups);
    if (groups & ABI_VCPU_XSTATE)
        s->xcr0 = v->xcr0; // the image is always the guest's present one
    if (groups & ABI_VCPU_CONTROL) {
        s->exception_bitmap = v->exceptions;
        s->tsc_offset = v->vmcb->tsc_offset;
    }
    s->valid |= groups & ABI_VCPU_ALL;
}

uint32_t svm_offending_groups(const struct vmcb *b)
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
    if (b->event & EVENT_VALID && (EVENT_TYPE(b->event) == 1 || EVENT_TYPE(b->event) > 4 ||
                                   (EVENT_TYPE(b->event) == EVENT_EXCEPTION && EVENT_VECTOR(b->event) > 31)))
        groups |= ABI_VCPU_CORE;
    return groups;
}
