/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and exceptions on their way to the guest's handler, and the instructions that make
 * them (SDM volume 2, INT n; volume 3, 6.12 to 6.14 and 20.1.4): through the vector table of real
 * mode and through gates of 16, 32 and 64 bits. Task gates lead to exec_task.c.
 */
#include "vmm/cpu/deliver.h"
#include "vmm/cpu/debug.h"
#include "vmm/cpu/exec.h"

#include "vmm/cpu/atomic.h"
#include "vmm/cpu/gate.h"
#include "vmm/cpu/task.h"

#define IO_MAP_BASE      0x66u // of a 32-bit TSS; the redirection map ends where it points to
#define REDIRECTION_SIZE 32u

#define GATE_TASK      5u
#define GATE_INTERRUPT 6u // bit 0: a trap gate, bit 3: 32 or 64 bits

/* Bits of an error code beside the selector (SDM volume 3, 6.13). */
#define CODE_EXTERNAL 1u
#define CODE_IDT      2u

struct delivery {
    unsigned vector;
    bool checks_dpl;  // INT n, INT3, INTO: the gate's DPL counts
    bool has_code;
    uint32_t code;    // to push
    uint32_t ext;     // CODE_EXTERNAL if the program did not ask for it
};

struct gate {
    uint64_t offset;
    uint16_t selector;
    unsigned type;
    unsigned dpl;
    unsigned ist;  // long mode: 1 to 7, another stack
    unsigned size; // of what is pushed: 2, 4, 8
    bool present;
};

static enum interp_status interrupt_real(struct interp *c, unsigned vector)
{
    uint64_t entry, rflags = c->state->rflags;
    struct access a;

    if (vector * 4 + 3 > c->state->idtr.limit)
        return exec_gp0(c);
    TRY(exec_prepare(c, (uint32_t)(c->state->idtr.base + vector * 4), 4, ACCESS_IMPLICIT, &a));
    entry = exec_load(c, &a);
    TRY(exec_stack_push(c, 2, rflags));
    TRY(exec_stack_push(c, 2, c->state->cs.sel));
    TRY(exec_stack_push(c, 2, c->next_rip));
    c->state->rflags = rflags & ~(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    segment_load_real(c, SEG_CS, (uint16_t)(entry >> 16));
    c->next_rip = entry & 0xffff;
    return INTERP_DONE;
}

static bool long_mode(const struct interp *c)
{
    return c->state->efer & EFER_LMA;
}

/* Reads 4 or 8 bytes of a table of the processor's own. */
static enum interp_status read_implicit(struct interp *c, uint64_t linear, unsigned size,
                                        uint64_t *value)
{
    struct access a;

    TRY(exec_prepare(c, long_mode(c) ? linear : (uint32_t)linear, size, ACCESS_IMPLICIT, &a));
    *value = exec_load(c, &a);
    return INTERP_DONE;
}

/*
 * Where something is in RAM if it can be had at once, else NULL: then its words, each by itself,
 * find the fault, if there is one.
 */
static uint8_t *at_once(struct interp *c, uint64_t linear, unsigned size, uint32_t flags)
{
    struct access a;

    if ((uint64_t)((int64_t)(linear << 16) >> 16) != linear || (linear & 0xfff) + size > 0x1000 ||
        exec_prepare(c, linear, size, flags, &a) != INTERP_DONE)
        return NULL;
    return exec_pointer(&a);
}

static enum interp_status gate_fault(struct interp *c, enum exception fault,
                                     const struct delivery *d)
{
    return exec_fault_code(c, fault, d->vector * 8 + CODE_IDT + d->ext);
}

static enum interp_status read_gate(struct interp *c, const struct delivery *d, struct gate *g)
{
    unsigned size = long_mode(c) ? 16 : 8;
    uint64_t low, high = 0, at = c->state->idtr.base + d->vector * size;
    const uint8_t *host;

    if (d->vector * size + size - 1 > c->state->idtr.limit)
        return gate_fault(c, EXCEPTION_GP, d);
    if (long_mode(c) && (host = at_once(c, at, 16, ACCESS_IMPLICIT)) != NULL) {
        low = atomic_load_guest(host, 8);
        high = atomic_load_guest(host + 8, 8);
    } else {
        TRY(read_implicit(c, at, 8, &low));
        if (long_mode(c))
            TRY(read_implicit(c, at + 8, 8, &high));
    }
    *g = (struct gate){
        .offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32,
        .selector = (uint16_t)(low >> 16),
        .type = (unsigned)(low >> 40) & 0x1f,
        .dpl = (unsigned)(low >> 45) & 3,
        .ist = long_mode(c) ? (unsigned)(low >> 32) & 7 : 0,
        .present = low >> 47 & 1,
    };
    g->size = long_mode(c) ? 8 : g->type & 8 ? 4 : 2;
    if (g->size == 2)
        g->offset &= 0xffff;
    return INTERP_DONE;
}

static bool is_task(const struct interp *c, const struct gate *g)
{
    return g->type == GATE_TASK && !long_mode(c);
}

static enum interp_status check_gate(struct interp *c, const struct delivery *d,
                                     const struct gate *g)
{
    unsigned type = g->type & ~1u;

    if (!is_task(c, g) && type != (GATE_INTERRUPT | 8) && (type != GATE_INTERRUPT || long_mode(c)))
        return gate_fault(c, EXCEPTION_GP, d);
    if (d->checks_dpl && g->dpl < c->cpl)
        return gate_fault(c, EXCEPTION_GP, d);
    if (!g->present)
        return gate_fault(c, EXCEPTION_NP, d);
    return INTERP_DONE;
}

/* The handler's code segment; *cpl becomes the level that it runs at. */
static enum interp_status load_code(struct interp *c, const struct gate *g, struct cpu_segment *s,
                                    struct descriptor *d, unsigned *cpl)
{
    uint32_t code = g->selector & 0xfffcu;
    unsigned dpl;

    if (code == 0)
        return exec_gp0(c);
    TRY(segment_descriptor(c, g->selector, d));
    segment_unpack(g->selector, d->raw, s);
    dpl = s->attr >> 5 & 3;
    if ((s->attr & 0x18) != 0x18 || dpl > c->cpl)
        return exec_fault_code(c, EXCEPTION_GP, code);
    if (long_mode(c) && (!(s->attr & CPU_SEG_L) || (s->attr & CPU_SEG_DB)))
        return exec_fault_code(c, EXCEPTION_GP, code);
    if (!(s->attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code);
    *cpl = s->attr & 4 ? c->cpl : dpl;
    if (exec_virtual8086(c) && *cpl != 0)
        return exec_fault_code(c, EXCEPTION_GP, code);
    s->attr |= 1;
    s->sel = (uint16_t)(code | *cpl);
    return INTERP_DONE;
}

/* From virtual-8086 mode the data segments go on the stack and become null. */
static enum interp_status push_virtual8086(struct interp *c, unsigned size)
{
    static const uint8_t order[4] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

    for (unsigned i = 0; i < 4; i++)
        TRY(exec_stack_push(c, size, exec_segment(c, order[i])->sel));
    return INTERP_DONE;
}

/* The frame of 64-bit code; its stack pointer is aligned. */
static enum interp_status push_long(struct interp *c, const struct delivery *d, uint64_t ss, uint64_t rsp)
{
    const uint64_t word[6] = {ss, rsp, c->state->rflags, c->state->cs.sel, c->next_rip, d->code};
    unsigned count = d->has_code ? 6 : 5;
    uint64_t sp = c->state->gpr[CPU_RSP];
    uint8_t *host = at_once(c, sp - 8 * count, 8 * count, ACCESS_WRITE);

    if (host) {
        for (unsigned i = 0; i < count; i++)
            atomic_store_guest(host + 8 * (count - 1 - i), 8, word[i]);
        c->state->gpr[CPU_RSP] = sp - 8 * count;
        return INTERP_DONE;
    }
    for (unsigned i = 0; i < count; i++)
        TRY(exec_stack_push(c, 8, word[i]));
    return INTERP_DONE;
}

static enum interp_status push_frame(struct interp *c, const struct delivery *d,
                                     const struct gate *g, unsigned cpl, bool virtual8086)
{
    bool inner = cpl != c->cpl;
    uint64_t ss = c->state->ss.sel, rsp = c->state->gpr[CPU_RSP];

    if (inner || g->ist)
        TRY(gate_enter_stack(c, cpl, g->ist));
    if (long_mode(c)) {
        c->mode = 8;
        c->state->gpr[CPU_RSP] &= ~15ull;
        return push_long(c, d, ss, rsp);
    }
    if (virtual8086)
        TRY(push_virtual8086(c, g->size));
    if (inner) {
        TRY(exec_stack_push(c, g->size, ss));
        TRY(exec_stack_push(c, g->size, rsp));
    }
    TRY(exec_stack_push(c, g->size, c->state->rflags));
    TRY(exec_stack_push(c, g->size, c->state->cs.sel));
    TRY(exec_stack_push(c, g->size, c->next_rip));
    return d->has_code ? exec_stack_push(c, g->size, d->code) : INTERP_DONE;
}

static void clear_data_segments(struct interp *c)
{
    struct cpu_state *s = c->state;

    exec_change(c, CPU_DSES | CPU_FSGS);
    s->ds = s->es = s->fs = s->gs = (struct cpu_segment){0};
}

static enum interp_status interrupt_protected(struct interp *c, const struct delivery *d)
{
    bool virtual8086 = exec_virtual8086(c);
    struct gate_saved saved;
    struct cpu_segment code;
    struct gate g = {0};
    struct descriptor target;
    enum interp_status status;
    unsigned cpl = 0;

    TRY(read_gate(c, d, &g));
    TRY(check_gate(c, d, &g));
    if (is_task(c, &g)) {
        TRY(task_gate(c, g.selector, TASK_CALL));
        return d->has_code ? task_push_code(c, d->code) : INTERP_DONE;
    }
    TRY(load_code(c, &g, &code, &target, &cpl));
    if (!(code.attr & CPU_SEG_L) && g.offset > code.limit)
        return exec_gp0(c);
    if ((code.attr & CPU_SEG_L) && (uint64_t)((int64_t)(g.offset << 16) >> 16) != g.offset)
        return exec_gp0(c);
    exec_change(c, CPU_CSSS);
    saved = gate_save(c);
    status = push_frame(c, d, &g, cpl, virtual8086);
    if (status == INTERP_DONE)
        status = segment_mark(c, &target, 1ull << 40); // once nothing else is refused
    if (status != INTERP_DONE) {
        gate_restore(c, &saved);
        return status;
    }
    if (virtual8086)
        clear_data_segments(c);
    c->state->rflags &=
        ~(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | (g.type & 1 ? 0 : RFLAGS_IF));
    c->state->cs = code;
    c->next_rip = g.offset;
    return INTERP_DONE;
}

/* Does the task's redirection map leave INT n to the 8086 program (SDM volume 3, 20.3.3)? */
static enum interp_status redirected(struct interp *c, unsigned vector, bool *result)
{
    const struct cpu_segment *tr = &c->state->tr;
    uint64_t base, bits;
    uint32_t at;

    if (tr->limit < IO_MAP_BASE + 1)
        return exec_gp0(c);
    TRY(read_implicit(c, tr->base + IO_MAP_BASE, 2, &base));
    if (base < REDIRECTION_SIZE)
        return exec_gp0(c);
    at = (uint32_t)base - REDIRECTION_SIZE + vector / 8;
    if (at > tr->limit)
        return exec_gp0(c);
    TRY(read_implicit(c, tr->base + at, 1, &bits));
    *result = !(bits >> vector % 8 & 1);
    return INTERP_DONE;
}

/* INT n to the 8086 program's own handler; with an IOPL below 3 VIF stands for IF. */
static enum interp_status interrupt_virtual8086(struct interp *c, unsigned vector)
{
    uint64_t entry, rsp = c->state->gpr[CPU_RSP], image = c->state->rflags;
    uint64_t cleared = RFLAGS_TF | RFLAGS_RF | RFLAGS_IF;
    enum interp_status status;

    if ((image & RFLAGS_IOPL) != RFLAGS_IOPL) {
        image = (image & ~RFLAGS_IF) | RFLAGS_IOPL | (image & RFLAGS_VIF ? RFLAGS_IF : 0);
        cleared = RFLAGS_TF | RFLAGS_RF | RFLAGS_VIF;
    }
    TRY(read_implicit(c, vector * 4, 4, &entry));
    status = exec_stack_push(c, 2, image);
    if (status == INTERP_DONE)
        status = exec_stack_push(c, 2, c->state->cs.sel);
    if (status == INTERP_DONE)
        status = exec_stack_push(c, 2, c->next_rip);
    if (status != INTERP_DONE) {
        c->state->gpr[CPU_RSP] = rsp;
        return status;
    }
    c->state->rflags &= ~cleared;
    segment_load_real(c, SEG_CS, (uint16_t)(entry >> 16));
    c->next_rip = entry & 0xffff;
    return INTERP_DONE;
}

/* INT n in virtual-8086 mode needs IOPL 3, or VME and its redirection. */
static enum interp_status software_interrupt(struct interp *c, unsigned vector)
{
    bool low_iopl = exec_virtual8086(c) && (c->state->rflags & RFLAGS_IOPL) != RFLAGS_IOPL;

    exec_need(c, CPU_TABLES | CPU_TRLDTR);
    c->software = true; // its handler begins with TF clear (SDM volume 3, 17.3.1.4)
    if (!(c->state->cr0 & CR0_PE))
        return interrupt_real(c, vector);
    if (exec_virtual8086(c) && c->insn.opcode == 0xcd && (c->state->cr4 & CR4_VME)) {
        bool own = false;

        TRY(redirected(c, vector, &own));
        if (own)
            return interrupt_virtual8086(c, vector);
    }
    if (low_iopl && c->insn.opcode == 0xcd)
        return exec_gp0(c);
    return interrupt_protected(c, &(struct delivery){
        .vector = vector, .checks_dpl = c->insn.opcode != 0xf1,
        .ext = c->insn.opcode == 0xf1 ? CODE_EXTERNAL : 0,
    });
}

enum interp_status exec_int_n(struct interp *c)
{
    return software_interrupt(c, (unsigned)c->insn.imm & 0xff);
}

enum interp_status exec_int3(struct interp *c)
{
    return software_interrupt(c, EXCEPTION_BP);
}

/* A debug exception: what MOV SS has held off comes with it, not after it. */
enum interp_status exec_int1(struct interp *c)
{
    TRY(software_interrupt(c, EXCEPTION_DB));
    if (c->pending) {
        exec_change(c, CPU_DR);
        debug_report(c->state, c->pending);
        c->pending = 0;
    }
    return INTERP_DONE;
}

enum interp_status exec_into(struct interp *c)
{
    return c->state->rflags & RFLAGS_OF ? software_interrupt(c, EXCEPTION_OF) : INTERP_DONE;
}

/*
 * Faults of the segment and stack checks carry EXT as well (SDM volume 3, 6.13): all error codes
 * but those of #PF and #DF name a selector.
 */
static void mark_external(struct interp_fault *fault)
{
    if (fault->has_code && fault->vector != EXCEPTION_PF)
        fault->code |= CODE_EXTERNAL;
}

/* A fault's frame has RF set, so that an instruction breakpoint is not met twice (17.3.1.1). */
static bool is_fault(uint64_t event)
{
    unsigned vector = event & 0xff;

    return (event & CPU_EVENT_TYPE) == CPU_EVENT_EXCEPTION && vector != EXCEPTION_DB &&
           vector != EXCEPTION_BP && vector != EXCEPTION_OF && vector != EXCEPTION_DF;
}

enum interp_status interp_deliver(struct interp *c, uint64_t event)
{
    struct delivery d = {
        .vector = event & 0xff, .has_code = event & CPU_EVENT_ERROR,
        .code = (uint32_t)(event >> 32), .ext = CODE_EXTERNAL,
    };
    struct cpu_state *s = c->state;
    uint64_t rflags = s->rflags;
    enum interp_status status;

    interp_begin(c);
    c->watch = false;
    c->next_rip = s->rip;
    exec_need(c, CPU_TABLES | CPU_TRLDTR);
    if (is_fault(event))
        s->rflags |= RFLAGS_RF;
    if (!(s->cr0 & CR0_PE))
        status = interrupt_real(c, d.vector);
    else
        status = interrupt_protected(c, &d);
    if (status == INTERP_FAULT)
        mark_external(&c->fault);
    if (status != INTERP_DONE && !c->switched) {
        s->rflags = rflags;
        return status;
    }
    s->shadow = 0;
    if ((event & CPU_EVENT_TYPE) == CPU_EVENT_NMI)
        s->nmi_blocked = 1; // in the new task too, if that has a fault
    if (status != INTERP_DONE)
        return status;
    s->rip = c->next_rip;
    s->rsp = s->gpr[CPU_RSP];
    return c->task_trap ? exec_fault(c, EXCEPTION_DB) : INTERP_DONE;
}
