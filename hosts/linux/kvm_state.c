/* SPDX-License-Identifier: MIT */
/* The registers of a vCPU between struct cpu_state and KVM. */
#include "hosts/linux/kvm_engine.h"

#include <string.h>
#include <sys/ioctl.h>

/* What KVM_GET_SREGS brings. */
#define SREGS (CPU_CSSS | CPU_DSES | CPU_FSGS | CPU_TRLDTR | CPU_TABLES | CPU_CR | CPU_EFER)

#define RFLAGS_IF   0x200u
#define CR4_PGE     0x80ull
#define EFER_LMA    0x400ull
#define XSTATE_BV   512u
#define XSTATE_OURS 0xe7ull // x87, SSE, AVX, AVX-512: all that CPUID can offer

_Static_assert(sizeof(((struct cpu_state *)0)->xsave) <= sizeof(struct kvm_xsave),
               "the image of x87 to AVX-512 lies in the first 4 KiB");

/* --- Segments --- */

static void take_segment(struct cpu_segment *to, const struct kvm_segment *from)
{
    to->sel = from->selector;
    to->base = from->base;
    to->limit = from->limit;
    to->attr = (uint16_t)((from->type & 15) | (from->s & 1) << 4 | (from->dpl & 3) << 5 |
                          (from->present & !from->unusable) << 7 | (from->avl & 1) << 8 |
                          (from->l & 1) << 9 | (from->db & 1) << 10 | (from->g & 1) << 11);
}

static void put_segment(struct kvm_segment *to, const struct cpu_segment *from)
{
    uint16_t attr = from->attr;

    *to = (struct kvm_segment){
        .base = from->base, .limit = from->limit, .selector = from->sel,
        .type = attr & CPU_SEG_TYPE, .s = attr >> 4 & 1, .dpl = attr >> 5 & 3,
        .present = attr >> 7 & 1, .avl = attr >> 8 & 1, .l = attr >> 9 & 1, .db = attr >> 10 & 1,
        .g = attr >> 11 & 1, .unusable = !(attr & CPU_SEG_P),
    };
}

static void take_table(struct cpu_segment *to, const struct kvm_dtable *from)
{
    to->base = from->base;
    to->limit = from->limit;
}

static void put_table(struct kvm_dtable *to, const struct cpu_segment *from)
{
    memset(to, 0, sizeof(*to));
    to->base = from->base;
    to->limit = (uint16_t)from->limit;
}

/* --- Segments, control registers, EFER --- */

static void take_sregs(struct cpu_state *s, const struct kvm_sregs *sregs, uint32_t groups)
{
    if (groups & CPU_CSSS) {
        take_segment(&s->cs, &sregs->cs);
        take_segment(&s->ss, &sregs->ss);
    }
    if (groups & CPU_DSES) {
        take_segment(&s->ds, &sregs->ds);
        take_segment(&s->es, &sregs->es);
    }
    if (groups & CPU_FSGS) {
        take_segment(&s->fs, &sregs->fs);
        take_segment(&s->gs, &sregs->gs);
    }
    if (groups & CPU_TRLDTR) {
        take_segment(&s->tr, &sregs->tr);
        take_segment(&s->ldtr, &sregs->ldt);
    }
    if (groups & CPU_TABLES) {
        take_table(&s->gdtr, &sregs->gdt);
        take_table(&s->idtr, &sregs->idt);
    }
    if (groups & CPU_CR) {
        s->cr0 = sregs->cr0;
        s->cr2 = sregs->cr2;
        s->cr3 = sregs->cr3;
        s->cr4 = sregs->cr4;
    }
    if (groups & CPU_EFER)
        s->efer = sregs->efer;
}

static bool get_sregs(struct kvm_vcpu *v, uint32_t groups)
{
    struct kvm_sregs sregs;

    if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
        return false;
    take_sregs(v->state, &sregs, groups);
    return true;
}

/*
 * All of them at once: those that are not here come from KVM first. KVM refuses CS.L outside of
 * long mode, where it has no meaning. It drops its translations only if a control register changes.
 */
static bool put_sregs(struct kvm_vcpu *v)
{
    struct cpu_state *s = v->state;
    struct kvm_sregs sregs;

    if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
        return false;
    take_sregs(s, &sregs, SREGS & ~s->valid);
    s->valid |= SREGS;
    put_segment(&sregs.cs, &s->cs);
    put_segment(&sregs.ss, &s->ss);
    put_segment(&sregs.ds, &s->ds);
    put_segment(&sregs.es, &s->es);
    put_segment(&sregs.fs, &s->fs);
    put_segment(&sregs.gs, &s->gs);
    put_segment(&sregs.tr, &s->tr);
    put_segment(&sregs.ldt, &s->ldtr);
    put_table(&sregs.gdt, &s->gdtr);
    put_table(&sregs.idt, &s->idtr);
    sregs.cr0 = s->cr0;
    sregs.cr2 = s->cr2;
    sregs.cr3 = s->cr3;
    sregs.cr4 = s->cr4;
    sregs.cr8 = s->cr8;
    sregs.efer = s->efer;
    if (!(s->efer & EFER_LMA))
        sregs.cs.l = 0;
    memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
    if (v->flush) {
        sregs.cr4 ^= CR4_PGE;
        if (ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0)
            return false;
        sregs.cr4 ^= CR4_PGE;
        v->flush = false;
    }
    return ioctl(v->fd, KVM_SET_SREGS, &sregs) == 0;
}

/* --- MSRs --- */

struct state_msr {
    uint32_t index, group;
    size_t at;
};

static const struct state_msr state_msrs[] = {
    {0xc0000081, CPU_SYSCALL, offsetof(struct cpu_state, star)},
    {0xc0000082, CPU_SYSCALL, offsetof(struct cpu_state, lstar)},
    {0xc0000083, CPU_SYSCALL, offsetof(struct cpu_state, cstar)},
    {0xc0000084, CPU_SYSCALL, offsetof(struct cpu_state, sfmask)},
    {0xc0000102, CPU_SYSCALL, offsetof(struct cpu_state, kernel_gs_base)},
    {0x174, CPU_SYSENTER, offsetof(struct cpu_state, sysenter_cs)},
    {0x175, CPU_SYSENTER, offsetof(struct cpu_state, sysenter_esp)},
    {0x176, CPU_SYSENTER, offsetof(struct cpu_state, sysenter_eip)},
    {0x277, CPU_PAT, offsetof(struct cpu_state, pat)},
};
#define STATE_MSRS (sizeof(state_msrs) / sizeof(state_msrs[0]))

/* struct kvm_msrs with its entries. */
struct msr_list {
    uint32_t count, pad;
    struct kvm_msr_entry entry[STATE_MSRS];
};
_Static_assert(offsetof(struct msr_list, entry) == sizeof(struct kvm_msrs), "KVM's layout");

static void list_msrs(const struct kvm_vcpu *v, struct msr_list *list, uint32_t groups)
{
    memset(list, 0, sizeof(*list));
    for (unsigned i = 0; i < STATE_MSRS; i++) {
        struct kvm_msr_entry *entry = &list->entry[list->count];

        if (!(state_msrs[i].group & groups))
            continue;
        entry->index = state_msrs[i].index;
        memcpy(&entry->data, (const uint8_t *)v->state + state_msrs[i].at, sizeof(entry->data));
        list->count++;
    }
}

static bool get_msrs(struct kvm_vcpu *v, uint32_t groups)
{
    struct msr_list list;

    list_msrs(v, &list, groups);
    if (ioctl(v->fd, KVM_GET_MSRS, &list) != (int)list.count)
        return false;
    for (unsigned i = 0, n = 0; i < STATE_MSRS; i++)
        if (state_msrs[i].group & groups)
            memcpy((uint8_t *)v->state + state_msrs[i].at, &list.entry[n++].data, 8);
    return true;
}

static bool put_msrs(struct kvm_vcpu *v, uint32_t groups)
{
    struct msr_list list;

    list_msrs(v, &list, groups);
    return ioctl(v->fd, KVM_SET_MSRS, &list) == (int)list.count;
}

/* --- Debug registers, extended state, TSC --- */

static bool get_debug(struct kvm_vcpu *v)
{
    struct kvm_debugregs regs;

    if (ioctl(v->fd, KVM_GET_DEBUGREGS, &regs) < 0)
        return false;
    memcpy(v->state->dr, regs.db, sizeof(regs.db));
    v->state->dr6 = regs.dr6;
    v->state->dr7 = regs.dr7;
    return true;
}

static bool put_debug(struct kvm_vcpu *v)
{
    struct kvm_debugregs regs;

    memset(&regs, 0, sizeof(regs));
    memcpy(regs.db, v->state->dr, sizeof(regs.db));
    regs.dr6 = v->state->dr6;
    regs.dr7 = v->state->dr7;
    return ioctl(v->fd, KVM_SET_DEBUGREGS, &regs) == 0;
}

static bool get_xstate(struct kvm_vcpu *v)
{
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;

    if (ioctl(v->fd, KVM_GET_XSAVE, &xsave) < 0 || ioctl(v->fd, KVM_GET_XCRS, &xcrs) < 0)
        return false;
    memcpy(v->state->xsave, &xsave, sizeof(v->state->xsave));
    v->state->xcr0 = 1;
    for (unsigned i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++)
        if (xcrs.xcrs[i].xcr == 0)
            v->state->xcr0 = xcrs.xcrs[i].value;
    return true;
}

static bool put_xstate(struct kvm_vcpu *v)
{
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = v->state->xcr0}}};
    struct kvm_xsave xsave;
    uint64_t present;

    memset(&xsave, 0, sizeof(xsave));
    memcpy(&xsave, v->state->xsave, sizeof(v->state->xsave));
    memcpy(&present, v->state->xsave + XSTATE_BV, sizeof(present));
    present &= XSTATE_OURS;
    memcpy((uint8_t *)&xsave + XSTATE_BV, &present, sizeof(present));
    return ioctl(v->fd, KVM_SET_XCRS, &xcrs) == 0 && ioctl(v->fd, KVM_SET_XSAVE, &xsave) == 0;
}

bool kvm_set_tsc(struct kvm_vcpu *v, uint64_t offset)
{
    struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset,
    };

    return ioctl(v->fd, KVM_SET_DEVICE_ATTR, &attr) == 0;
}

/* --- Events --- */

static uint64_t event_of(const struct kvm_vcpu_events *e)
{
    if (e->exception.injected)
        return CPU_EVENT_VALID | CPU_EVENT_EXCEPTION | e->exception.nr |
               (e->exception.has_error_code
                    ? CPU_EVENT_ERROR | (uint64_t)e->exception.error_code << 32
                    : 0);
    if (e->interrupt.injected)
        return CPU_EVENT_VALID | (e->interrupt.soft ? CPU_EVENT_SOFT : CPU_EVENT_INTR) |
               e->interrupt.nr;
    return e->nmi.injected ? CPU_EVENT_VALID | CPU_EVENT_NMI | 2 : 0;
}

static void set_event(struct kvm_vcpu_events *e, uint64_t event)
{
    if (!(event & CPU_EVENT_VALID))
        return;
    switch (event & CPU_EVENT_TYPE) {
    case CPU_EVENT_EXCEPTION:
        e->exception.injected = 1;
        e->exception.nr = event & 0xff;
        e->exception.has_error_code = (event & CPU_EVENT_ERROR) != 0;
        e->exception.error_code = (uint32_t)(event >> 32);
        break;
    case CPU_EVENT_NMI:
        e->nmi.injected = 1;
        break;
    default:
        e->interrupt.injected = 1;
        e->interrupt.nr = event & 0xff;
        e->interrupt.soft = (event & CPU_EVENT_TYPE) == CPU_EVENT_SOFT;
        break;
    }
}

/* A shadow of STI stands beside a set IF only (SDM volume 3, 27.3.1.5). */
static void put_events(struct kvm_vcpu *v)
{
    struct cpu_state *s = v->state;
    struct kvm_vcpu_events *e = &v->run->s.regs.events;

    if (s->event == v->event && s->shadow == v->shadow && s->nmi_blocked == v->nmi_blocked &&
        !(s->requests & CPU_REQUEST_NMIWINDOW) && s->dirty != CPU_ALL)
        return;
    if (s->dirty == CPU_ALL)
        v->nmi_pending = 0; // power-on
    if (s->requests & CPU_REQUEST_NMIWINDOW)
        v->nmi_pending = 1;
    s->requests &= ~CPU_REQUEST_NMIWINDOW;
    memset(e, 0, sizeof(*e));
    set_event(e, s->event);
    e->interrupt.shadow = s->shadow ? s->rflags & RFLAGS_IF ? KVM_X86_SHADOW_INT_STI
                                                            : KVM_X86_SHADOW_INT_MOV_SS : 0;
    e->nmi.masked = s->nmi_blocked;
    e->nmi.pending = v->nmi_pending;
    e->flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING;
    v->run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
}

/* --- General registers --- */

static void put_regs(struct kvm_vcpu *v)
{
    const struct cpu_state *s = v->state;

    v->run->s.regs.regs = (struct kvm_regs){
        .rax = s->gpr[CPU_RAX], .rbx = s->gpr[CPU_RBX], .rcx = s->gpr[CPU_RCX],
        .rdx = s->gpr[CPU_RDX], .rsi = s->gpr[CPU_RSI], .rdi = s->gpr[CPU_RDI],
        .rsp = s->rsp, .rbp = s->gpr[CPU_RBP], .r8 = s->gpr[CPU_R8], .r9 = s->gpr[CPU_R9],
        .r10 = s->gpr[CPU_R10], .r11 = s->gpr[CPU_R11], .r12 = s->gpr[CPU_R12],
        .r13 = s->gpr[CPU_R13], .r14 = s->gpr[CPU_R14], .r15 = s->gpr[CPU_R15],
        .rip = s->rip, .rflags = s->rflags,
    };
    v->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}

static void take_regs(struct cpu_state *s, const struct kvm_regs *r)
{
    s->gpr[CPU_RAX] = r->rax;
    s->gpr[CPU_RCX] = r->rcx;
    s->gpr[CPU_RDX] = r->rdx;
    s->gpr[CPU_RBX] = r->rbx;
    s->gpr[CPU_RBP] = r->rbp;
    s->gpr[CPU_RSI] = r->rsi;
    s->gpr[CPU_RDI] = r->rdi;
    s->gpr[CPU_R8] = r->r8;
    s->gpr[CPU_R9] = r->r9;
    s->gpr[CPU_R10] = r->r10;
    s->gpr[CPU_R11] = r->r11;
    s->gpr[CPU_R12] = r->r12;
    s->gpr[CPU_R13] = r->r13;
    s->gpr[CPU_R14] = r->r14;
    s->gpr[CPU_R15] = r->r15;
    s->rsp = r->rsp;
    s->rip = r->rip;
    s->rflags = r->rflags;
}

/* --- All --- */

void kvm_take(struct kvm_vcpu *v)
{
    const struct kvm_vcpu_events *e = &v->run->s.regs.events;
    struct cpu_state *s = v->state;

    take_regs(s, &v->run->s.regs.regs);
    s->event = v->event = event_of(e);
    s->shadow = v->shadow = e->interrupt.shadow != 0;
    s->nmi_blocked = v->nmi_blocked = e->nmi.masked != 0;
    v->nmi_pending = e->nmi.pending;
    s->cr8 = v->run->cr8 & 15;
    s->valid = s->dirty;
    s->insn_len = 0;
    s->fetched = 0;
}

bool kvm_get(struct kvm_vcpu *v, uint32_t groups)
{
    uint32_t msrs = groups & (CPU_SYSCALL | CPU_SYSENTER | CPU_PAT);

    if (((groups & SREGS) && !get_sregs(v, groups)) || (msrs && !get_msrs(v, msrs)) ||
        ((groups & CPU_DR) && !get_debug(v)) || ((groups & CPU_XSTATE) && !get_xstate(v)))
        return false;
    v->state->valid |= groups;
    return true;
}

bool kvm_put(struct kvm_vcpu *v)
{
    struct cpu_state *s = v->state;
    uint32_t msrs = s->dirty & (CPU_SYSCALL | CPU_SYSENTER | CPU_PAT);

    if ((((s->dirty & SREGS) || v->flush) && !put_sregs(v)) || (msrs && !put_msrs(v, msrs)) ||
        ((s->dirty & CPU_XSTATE) && !put_xstate(v)) || ((s->dirty & CPU_DR) && !put_debug(v)) ||
        ((s->dirty & CPU_CONTROL) && !kvm_set_tsc(v, s->tsc_offset)))
        return false;
    put_events(v);
    put_regs(v);
    v->run->cr8 = s->cr8;
    s->dirty = 0;
    return true;
}
