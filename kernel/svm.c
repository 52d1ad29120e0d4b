/* SPDX-License-Identifier: MIT */
/* SVM: set-up, tags, the run loop, exits. */
#include "kernel/assert.h"
#include "kernel/cpu.h"
#include "kernel/msr.h"
#include "kernel/paging.h"
#include "kernel/svm_state.h"
#include "kernel/xstate.h"
#include "lib/string.h"

#define IOPM_SIZE  (3 * PAGE_SIZE)
#define PAT_RESET  0x0007040600070406ull
#define DR7_ENABLED 0xffu
#define DR6_BS     (1ull << 14)
#define VM_CR_SVMDIS 0x10u
#define HAVE_NP    0x1u
#define INSN_MAX   15u

bool svm_enter(struct abi_vcpu *state, uint64_t vmcb_phys, uint64_t host_vmcb_phys);
_Static_assert(offsetof(struct abi_vcpu, recall) == 0xd8 && offsetof(struct abi_vcpu, gpr) == 0, "svm_enter.S");

/* Bitmaps of a guest that was given no port and no MSR. */
static uint8_t intercept_all[IOPM_SIZE] __attribute__((aligned(4096)));
static bool usable; // constant after boot

static bool cpu_has_svm(void)
{
    if (!(cpuid(0x80000001, 0).ecx >> 2 & 1) || cpuid(0x80000000, 0).eax < 0x8000000a)
        return false;
    return (cpuid(0x8000000a, 0).edx & HAVE_NP) && !(msr_read(MSR_VM_CR) & VM_CR_SVMDIS);
}

void vcpu_init_cpu(struct cpu *cpu)
{
    bool have = cpu_has_svm();
    if (cpu->id == 0) {
        usable = have;
        memset(intercept_all, 0xff, sizeof(intercept_all));
    }
    if (!usable)
        return;
    if (!have)
        panic("CPU %u lacks SVM, the boot CPU has it", cpu->id);
    cpu->asid_count = cpuid(0x8000000a, 0).ebx;
    if (ASSERTIONS && cpu->asid_count > CPU_ASID_CHECKED)
        cpu->asid_count = CPU_ASID_CHECKED;
    cpu->asid_generation = 1; // a new vCPU has 0: no tag
    cpu->asid_next = cpu->asid_count;
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SVME);
    msr_write(MSR_VM_HSAVE_PA, cpu->area_phys + 13 * PAGE_SIZE);
    cpu->host_vmcb = cpu->area_phys + 14 * PAGE_SIZE;
    __asm__ volatile("vmsave %0" : : "a"(cpu->host_vmcb) : "memory");
}

static void svm_create(struct vcpu *v, const struct vcpu_memory *m)
{
    uint64_t all = (uint64_t)intercept_all - KERNEL_BASE;
    struct vmcb *b = m->control;
    *v = (struct vcpu){.state = m->state, .vmcb = b, .vmcb_phys = m->control_phys, .xcr0 = XSTATE_X87};
    v->serial = ++cpu_self()->vcpu_serial << 8 | cpu_self()->id;
    b->intercept_misc1 = SVM_MISC1;
    b->intercept_misc2 = INTERCEPT_MISC2;
    b->intercept_exception = SVM_EXCEPTIONS;
    b->iopm_base = m->io_bitmap ? m->io_bitmap : all;
    b->msrpm_base = m->msr_bitmap ? m->msr_bitmap : all;
    b->np_enable = 1;
    b->nested_cr3 = m->nested_root;
    b->pat = PAT_RESET;
    b->efer = EFER_SVME;
    b->dr6 = 0xffff0ff0;
    b->dr7 = 0x400;
    svm_intercept_dr(v);
    xstate_init(m->state->xsave);
}

/*
 * Tags (15.15): numbers are given out in order, and all that a CPU has given out are void once it starts again, which flushes its TLB.
 */
static void take_asid(struct cpu *cpu, struct vcpu *v)
{
    struct vmcb *b = v->vmcb;
    if (v->asid_generation != cpu->asid_generation) {
        if (cpu->asid_next >= cpu->asid_count) {
            cpu->asid_generation++;
            cpu->asid_next = 1;
            cpu->asid_flush = 1; // due until a VMRUN has carried it out
        }
        b->asid = cpu->asid_next++;
        v->asid_generation = cpu->asid_generation;
    }
    b->tlb_control = cpu->asid_flush;
}

static void svm_flush(void)
{
    struct cpu *cpu = cpu_self();
    cpu->asid_generation++;
    cpu->asid_next = cpu->asid_count;
}

/* The invariant behind tags: since the TLB was last flushed nobody else has used this one. */
static void check_asid(struct cpu *cpu, const struct vcpu *v)
{
    if (!ASSERTIONS)
        return;
    if (v->vmcb->tlb_control)
        memset(cpu->asid_owner, 0, sizeof(cpu->asid_owner));
    uint64_t *owner = &cpu->asid_owner[v->vmcb->asid];
    ASSERT(v->vmcb->asid && v->vmcb->asid < cpu->asid_count && (!*owner || *owner == v->serial));
    *owner = v->serial;
}

/* DR0 to DR3 are not in the VMCB: they move only when the guest uses them. */
static void dr_take(struct vcpu *v)
{
    __asm__ volatile("movq %0, %%db0; movq %1, %%db1; movq %2, %%db2; movq %3, %%db3"
                     : : "r"(v->dr[0]), "r"(v->dr[1]), "r"(v->dr[2]), "r"(v->dr[3]));
    v->dr_live = true;
    svm_intercept_dr(v);
}

static void dr_release(struct vcpu *v)
{
    __asm__ volatile("movq %%db0, %0; movq %%db1, %1; movq %%db2, %2; movq %%db3, %3"
                     : "=r"(v->dr[0]), "=r"(v->dr[1]), "=r"(v->dr[2]), "=r"(v->dr[3]));
    v->dr_live = false;
    svm_intercept_dr(v);
}

/* Reason and q0 of exits that need no more: q0 is EXITINFO1, or the given constant. */
#define INFO 0xff
static const struct exit_entry {
    uint8_t reason, q0;
} exit_table[EXIT_XSETBV - EXIT_VINTR + 1] = {
#define ENTRY(code, reason, q0) [code - EXIT_VINTR] = {reason, q0}
    ENTRY(EXIT_RDTSC, ABI_EXIT_TSC, 0),        ENTRY(EXIT_RDTSCP, ABI_EXIT_TSC, 1),
    ENTRY(EXIT_RDPMC, ABI_EXIT_PMC, 0),        ENTRY(EXIT_CPUID, ABI_EXIT_CPUID, 0),
    ENTRY(EXIT_INVD, ABI_EXIT_CACHE, 0),       ENTRY(EXIT_WBINVD, ABI_EXIT_CACHE, 1),
    ENTRY(EXIT_PAUSE, ABI_EXIT_PAUSE, 0),      ENTRY(EXIT_HLT, ABI_EXIT_HLT, 0),
    ENTRY(EXIT_INVLPG, ABI_EXIT_INVLPG, INFO), ENTRY(EXIT_IO, ABI_EXIT_IO, INFO),
    ENTRY(EXIT_MSR, ABI_EXIT_MSR, INFO),       ENTRY(EXIT_TASK, ABI_EXIT_TASK, INFO),
    ENTRY(EXIT_SHUTDOWN, ABI_EXIT_SHUTDOWN, 0), ENTRY(EXIT_VMMCALL, ABI_EXIT_HYPERCALL, 0),
    ENTRY(EXIT_MONITOR, ABI_EXIT_MWAIT, 0),    ENTRY(EXIT_MWAIT, ABI_EXIT_MWAIT, 1),
    ENTRY(EXIT_XSETBV, ABI_EXIT_XSETBV, 0),    ENTRY(EXIT_VINTR, ABI_EXIT_WINDOW, 0),
#undef ENTRY
};

/* What the VM process learns of an exit. */
static void describe(struct vcpu *v, uint32_t reason, uint64_t q0, uint64_t q1)
{
    v->state->reason = reason;
    v->state->q0 = q0;
    v->state->q1 = q1;
}

static void describe_other(struct vcpu *v, uint64_t code)
{
    const struct vmcb *b = v->vmcb;
    if (code < EXIT_EXCEPTION)
        describe(v, code < EXIT_DR ? ABI_EXIT_CR : ABI_EXIT_DR, (code & 0xf) | (code >> 4 & 1) << 8, b->exit_info1);
    else if (code == EXIT_EXCEPTION + 14)
        describe(v, ABI_EXIT_EXCEPTION, 14 | 1ull << 31 | (b->exit_info1 & 0xffff) << 8, b->exit_info2);
    else if (code < EXIT_INTR)
        describe(v, ABI_EXIT_EXCEPTION, (code - EXIT_EXCEPTION) | (0x27d00u >> (code - EXIT_EXCEPTION) & 1ull) << 31, b->exit_info1);
    else if (code >= EXIT_TABLE_FIRST && code <= EXIT_TABLE_LAST)
        describe(v, ABI_EXIT_TABLE, code, b->exit_info1);
    else if (code >= EXIT_VMRUN && code <= EXIT_SKINIT)
        describe(v, ABI_EXIT_SVM, code, b->exit_info1);
    else
        describe(v, ABI_EXIT_OTHER, code, b->exit_info1);
}

static void describe_exit(struct vcpu *v, uint64_t code)
{
    struct abi_vcpu *s = v->state;
    const struct vmcb *b = v->vmcb;
    uint64_t next = b->next_rip;
    s->fetched = 0;
    if (code == EXIT_NPF) {
        describe(v, ABI_EXIT_MEMORY, b->exit_info1, b->exit_info2);
        s->fetched = b->fetched < INSN_MAX ? b->fetched : INSN_MAX;
        if (s->fetched)
            memcpy(s->bytes, b->bytes, sizeof(s->bytes));
        return;
    }
    if (code >= EXIT_VINTR && code <= EXIT_XSETBV && exit_table[code - EXIT_VINTR].reason) {
        const struct exit_entry *e = &exit_table[code - EXIT_VINTR];
        describe(v, e->reason, e->q0 == INFO ? b->exit_info1 : e->q0, b->exit_info2);
        if (code == EXIT_IO)
            next = b->exit_info2;
        if (code == EXIT_VINTR)
            s->requests &= ~ABI_REQUEST_WINDOW;
    } else {
        describe_other(v, code);
    }
    /* next_rip is 0 where the processor does not give it, and stale or 0 at exits that are not instructions. */
    uint64_t length = next - b->rip;
    s->insn_len = length <= INSN_MAX && code >= EXIT_TABLE_FIRST ? (uint32_t)length : 0;
}

/* Puts an intercepted exception back. */
static void reinject(struct vmcb *b, unsigned vector)
{
    b->event = EVENT_VALID | EVENT_EXCEPTION << 8 | vector | (vector == 17 ? EVENT_ERROR | b->exit_info1 << 32 : 0);
}

/* IRET while NMIs are blocked: the block ends with it. If an NMI waits for that, step over the IRET. */
static void end_nmi(struct vcpu *v)
{
    struct vmcb *b = v->vmcb;
    v->nmi_blocked = false;
    b->intercept_misc1 &= ~INTERCEPT_IRET;
    if (v->state->requests & ABI_REQUEST_NMIWINDOW) {
        v->nmi_step = true;
        b->rflags |= RFLAGS_TF;
    }
}

/* Exits that are the kernel's own business. True: back into the guest. */
static bool handle(struct vcpu *v, uint64_t code)
{
    struct vmcb *b = v->vmcb;
    if (code == EXIT_NMI || code == EXIT_SMI || code == EXIT_INIT)
        return true; // taken when GIF was set again
    if (code == EXIT_IRET) {
        end_nmi(v);
        return true;
    }
    if (code >= EXIT_DR && code < EXIT_EXCEPTION && !v->own_dr) {
        dr_take(v);
        return true;
    }
    if (code < EXIT_EXCEPTION || code >= EXIT_INTR)
        return false;
    unsigned vector = (unsigned)(code - EXIT_EXCEPTION);
    if (vector == 18)
        panic("machine check while a guest ran");
    if (vector == 1 && v->nmi_step && b->dr6 & DR6_BS) {
        v->nmi_step = false;
        b->dr6 &= ~DR6_BS;
        b->rflags &= ~(uint64_t)RFLAGS_TF;
        v->state->requests &= ~ABI_REQUEST_NMIWINDOW;
        b->exit_code = EXIT_NMI_WINDOW;
        return false;
    }
    if (v->exceptions >> vector & 1 || b->event)
        return false;
    reinject(b, vector);
    return true;
}

/* In the guest until something is not for the kernel alone. Returns the exit code. */
static uint64_t run_guest(struct cpu *cpu, struct vcpu *v)
{
    struct vmcb *b = v->vmcb;
    if (v->windows && !v->nmi_blocked && !v->nmi_step && v->state->requests & ABI_REQUEST_NMIWINDOW) {
        v->state->requests &= ~ABI_REQUEST_NMIWINDOW;
        return EXIT_NMI_WINDOW;
    }
    if (b->dr7 & DR7_ENABLED)
        dr_take(v);
    for (;;) {
        take_asid(cpu, v);
        check_asid(cpu, v);
        if (!svm_enter(v->state, v->vmcb_phys, cpu->host_vmcb))
            return EXIT_RECALLED;
        uint64_t code = b->exit_code;
        cpu->asid_flush &= (uint32_t)code == EXIT_INVALID;
        b->event = svm_interrupted_event(b);
        if (code == EXIT_INTR)
            return code;
        if (code == EXIT_NPF || (code > EXIT_IRET && code <= EXIT_XSETBV))
            return code;
        if (!handle(v, code))
            return b->exit_code;
    }
}

static void leave(struct vcpu *v)
{
    struct abi_vcpu *s = v->state;
    v->entered = false;
    s->valid = ABI_VCPU_GPR | ABI_VCPU_CORE;
    s->insn_len = 0;
    s->exits++;
}

/* The reply to the VM process, with the groups it wants at such an exit. */
static void finish(struct vcpu *v, uint64_t code)
{
    struct abi_vcpu *s = v->state;
    leave(v);
    if ((uint32_t)code == EXIT_INVALID) {
        /*
         * The page still holds what was loaded; the VMCB may hold anything: QEMU's has the kernel's own CR3 and descriptor tables in it
         * by now, which are nobody's business.
         */
        memset(&v->vmcb->es, 0, sizeof(struct vmcb) - offsetof(struct vmcb, es));
        v->vmcb->efer = EFER_SVME;
        describe(v, ABI_EXIT_INVALID, v->suspect | svm_judge_event(s->event), 0);
        return;
    }
    svm_store_core(v);
    s->event = v->vmcb->event;
    if (code == EXIT_RECALLED) {
        __atomic_store_n(&s->recall, 0, __ATOMIC_SEQ_CST);
        describe(v, ABI_EXIT_RECALL, 0, 0);
    } else if (code == EXIT_NMI_WINDOW) {
        describe(v, ABI_EXIT_NMIWINDOW, 0, 0);
    } else {
        describe_exit(v, code);
    }
    uint32_t want = s->want[s->reason & 31] & ABI_VCPU_ALL & ~(uint32_t)(ABI_VCPU_GPR | ABI_VCPU_CORE);
    if (want)
        svm_store_groups(v, want);
}

/* The extended state is refused: the guest is left with the initial one. */
static enum vcpu_outcome refuse_xstate(struct vcpu *v)
{
    struct abi_vcpu *s = v->state;
    memset(s->xsave, 0, sizeof(s->xsave));
    xstate_init(s->xsave);
    v->xcr0 = XSTATE_X87;
    s->dirty &= ~ABI_VCPU_XSTATE;
    leave(v);
    describe(v, ABI_EXIT_INVALID, ABI_VCPU_XSTATE, 0);
    return VCPU_EXIT;
}

static void switch_xcr0(struct cpu *cpu, uint64_t xcr0)
{
    if (cpu->xcr0 == xcr0)
        return;
    xstate_load_xcr0(xcr0);
    cpu->xcr0 = xcr0;
}

/*
 * The whole extended state moves under the host's XCR0, whatever the guest's is: SSE registers are there for a guest that has not enabled
 * them in XCR0, too.
 */
static enum vcpu_outcome svm_run(struct vcpu *v)
{
    struct cpu *cpu = cpu_self();
    if ((!v->entered && !svm_load(v)) || !xstate_restore_checked(v->state->xsave))
        return refuse_xstate(v);
    v->entered = true;
    switch_xcr0(cpu, v->xcr0);
    uint64_t code = run_guest(cpu, v);
    switch_xcr0(cpu, xstate_mask());
    xstate_save(v->state->xsave);
    if (v->dr_live)
        dr_release(v);
    if (code == EXIT_INTR)
        return VCPU_INTERRUPT;
    finish(v, code);
    return VCPU_EXIT;
}

const struct vcpu_ops *vcpu_ops(void)
{
    static const struct vcpu_ops ops = {svm_create, svm_run, svm_store_groups, svm_flush};
    return usable ? &ops : NULL;
}
