/* SPDX-License-Identifier: MIT */
/* The interpreter's step: fetch, decode, execute, commit. */
#include "vmm/cpu/interp.h"

#include "vmm/cpu/atomic.h"
#include "vmm/cpu/debug.h"
#include "vmm/cpu/exec.h"
#include "vmm/cpu/host_feature.h"

#define PAGE_SIZE 4096u

static exec_fn *const handlers[ROW_COUNT] = {
#define OP(map, byte, select, name, handler, ...) exec_##handler,
#define OR(map, byte, select, name, handler, ...) exec_##handler,
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
};

enum interp_status exec_fault(struct interp *c, enum exception vector)
{
    c->fault = (struct interp_fault){.vector = (uint8_t)vector};
    return INTERP_FAULT;
}

enum interp_status exec_fault_code(struct interp *c, enum exception vector, uint32_t code)
{
    c->fault = (struct interp_fault){.vector = (uint8_t)vector, .has_code = true, .code = code};
    if (!(c->state->cr0 & CR0_PE))
        c->fault.has_code = false; // real mode pushes no error codes
    return INTERP_FAULT;
}

enum interp_status exec_exit(struct interp *c, uint32_t reason, uint64_t q0, uint64_t q1)
{
    c->state->reason = reason;
    c->state->q0 = q0;
    c->state->q1 = q1;
    c->state->insn_len = c->insn.length;
    return INTERP_EXIT;
}

enum interp_status exec_none(struct interp *c)
{
    (void)c;
    return INTERP_UNSUPPORTED;
}

/* Opcodes reserved to be undefined. */
enum interp_status exec_ud(struct interp *c)
{
    return exec_fault(c, EXCEPTION_UD);
}

void interp_init(struct interp *interp, struct cpu_state *state, const struct interp_ops *ops,
                 void *arg, unsigned physical_bits)
{
    *interp = (struct interp){
        .state = state, .ops = ops, .arg = arg, .physical_bits = (uint8_t)physical_bits,
        .share = INTERP_SHARE,
        .host = host_features(),
    };
    interp->walk = (struct walk){.ram = ops->ram, .arg = arg, .physical_bits = physical_bits};
    interp_give_cache(interp, interp->decoded, INTERP_DECODED);
}

void interp_give_cache(struct interp *interp, struct interp_decoded *cache, uint32_t count)
{
    interp->cache = cache;
    interp->cache_mask = count - 1;
}

void interp_give_tlb(struct interp *interp, struct tlb *tlb)
{
    interp->tlb = tlb;
    tlb_flush(tlb);
}

void interp_mask(struct interp *interp, uint64_t masked)
{
    interp->walk.masked = masked;
    walk_forget(&interp->walks);
    if (interp->tlb)
        tlb_flush(interp->tlb);
}

/* What a step's translations depend on; whoever changed it, the TLB is void then. */
static inline void set_paging(struct interp *c)
{
    const struct cpu_state *s = c->state;
    struct walk *w = &c->walk;

    if (c->tlb && ((w->cr0 ^ s->cr0) | (w->cr3 ^ s->cr3) | (w->cr4 ^ s->cr4) | (w->efer ^ s->efer)))
        tlb_flush(c->tlb);
    w->cr0 = s->cr0;
    w->cr3 = s->cr3;
    w->cr4 = s->cr4;
    w->efer = s->efer;
    w->rflags = s->rflags;
}

void interp_begin(struct interp *c)
{
    struct cpu_state *s = c->state;

    exec_need(c, CPU_CSSS | CPU_CR | CPU_EFER);
    if ((s->efer & EFER_LMA) && (s->cs.attr & CPU_SEG_L))
        c->mode = 8;
    else
        c->mode = s->cs.attr & CPU_SEG_DB ? 4 : 2;
    if (!(s->cr0 & CR0_PE))
        c->cpl = 0;
    else
        c->cpl = s->rflags & RFLAGS_VM ? 3 : s->ss.attr >> 5 & 3;
    c->shadow = c->switched = c->task_trap = c->software = false;
    c->watch = debug_watches(s);
    c->hits = 0;
    set_paging(c);
    s->gpr[CPU_RSP] = s->rsp;
}

static bool canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* Copies up to 15 bytes of code from one page at `linear`; *got becomes how many. */
static enum interp_status fetch_part(struct interp *c, uint64_t linear, unsigned limit, uint8_t *to,
                                     unsigned *got)
{
    unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1)),
             size = limit < room ? limit : room;
    struct access a;

    if (c->mode == 8 && !canonical(linear))
        return exec_gp0(c);
    TRY(exec_prepare(c, linear, size, WALK_FETCH, &a));
    exec_load_bytes(c, &a, to);
    *got = size;
    return INTERP_DONE;
}

/* How many bytes the code segment still holds, at most 15; 0 if none. */
static unsigned code_room(const struct interp *c)
{
    const struct cpu_state *s = c->state;
    uint64_t left;

    if (c->mode == 8)
        return INSN_MAX;
    if ((uint32_t)s->rip > s->cs.limit)
        return 0;
    left = s->cs.limit - (uint64_t)(uint32_t)s->rip + 1;
    return left < INSN_MAX ? (unsigned)left : INSN_MAX;
}

/* The general way: over pages, limits and devices. */
static enum interp_status fetch_bytes(struct interp *c, uint64_t linear)
{
    uint8_t bytes[16];
    unsigned room = code_room(c), size;
    enum decode_status status;

    if (room == 0)
        return exec_gp0(c);
    TRY(fetch_part(c, linear, room, bytes, &size));
    status = decode(bytes, size, c->mode, &c->insn);
    if (status == DECODE_SHORT && size < room) {
        unsigned more;
        uint64_t next = linear + size;

        TRY(fetch_part(c, c->mode == 8 ? next : (uint32_t)next, room - size, bytes + size, &more));
        status = decode(bytes, size + more, c->mode, &c->insn);
    }
    if (status == DECODE_INVALID)
        return exec_fault(c, EXCEPTION_UD);
    return status == DECODE_OK ? INTERP_DONE : exec_gp0(c);
}

static void remember(struct interp *c, struct interp_decoded *d, uint64_t low, uint64_t high)
{
    unsigned length = c->insn.length;

    d->bytes[0] = low;
    d->bytes[1] = high;
    d->mask[0] = length >= 8 ? ~0ull : (1ull << 8 * length) - 1;
    d->mask[1] = length > 8 ? (1ull << 8 * (length - 8)) - 1 : 0;
    d->insn = c->insn;
    d->mode = c->mode;
}

/* The quick way: 16 bytes of RAM in one page. False where the general one is needed. */
static bool fetch_quickly(struct interp *c, uint64_t linear, enum interp_status *status)
{
    struct interp_decoded *d = &c->cache[(linear ^ linear >> 12) & c->cache_mask];
    uint64_t gpa, low, high, bytes[2];
    uint8_t *p;

    *status = exec_page(c, linear, WALK_FETCH | (c->cpl == 3 ? WALK_USER : 0), 16, &gpa, &p);
    if (*status != INTERP_DONE)
        return true;
    if (!p)
        return false;
    low = atomic_load_guest(p, 8);
    high = atomic_load_guest(p + 8, 8);
    if (d->mode == c->mode &&
        (((low ^ d->bytes[0]) & d->mask[0]) | ((high ^ d->bytes[1]) & d->mask[1])) == 0) {
        c->insn = d->insn;
        return true;
    }
    bytes[0] = low;
    bytes[1] = high;
    if (decode((const uint8_t *)bytes, INSN_MAX, c->mode, &c->insn) != DECODE_OK)
        return false;
    remember(c, d, low, high);
    return true;
}

static enum interp_status fetch(struct interp *c)
{
    enum interp_status status = INTERP_DONE;
    uint64_t rip = c->state->rip, linear = c->mode == 8 ? rip : (uint32_t)(c->state->cs.base + rip);
    bool quick =
        (linear & (PAGE_SIZE - 1)) <= PAGE_SIZE - 16 &&
        (c->mode == 8 ? canonical(linear) : code_room(c) == INSN_MAX);

    if (!quick || !fetch_quickly(c, linear, &status))
        status = fetch_bytes(c, linear);
    if (status != INTERP_DONE)
        return status;
    c->next_rip = c->mode == 8 ? rip + c->insn.length : (uint32_t)(rip + c->insn.length);
    return INTERP_DONE;
}

static enum interp_status debug_exception(struct interp *c, uint32_t why)
{
    exec_change(c, CPU_DR);
    debug_report(c->state, why);
    return exec_fault(c, EXCEPTION_DB);
}

/* A breakpoint on the instruction, before it is fetched (17.3.1.1). */
static enum interp_status instruction_breakpoint(struct interp *c)
{
    const struct cpu_state *s = c->state;
    uint64_t linear = c->mode == 8 ? s->rip : (uint32_t)(s->cs.base + s->rip);
    uint32_t hits;

    if ((s->rflags & RFLAGS_RF) || (s->shadow && c->held))
        return INTERP_DONE;
    hits = debug_match(s, DEBUG_EXECUTE, linear, 1);
    return hits ? debug_exception(c, hits) : INTERP_DONE;
}

/*
 * Traps after the instruction or one repetition of it: breakpoints on data and ports, single step
 * (17.3.1.2 to 17.3.1.4).
 */
static enum interp_status traps(struct interp *c, enum interp_status status, bool step)
{
    uint32_t why = c->hits | c->pending | (step ? DR6_BS : 0);

    c->pending = 0;
    return why ? debug_exception(c, why) : status;
}

static bool is_sti(const struct insn *i)
{
    return i->map == MAP_1 && i->opcode == 0xfb;
}

/*
 * RF as IRET and task switches have loaded it is good for the next instruction. Without breakpoints
 * nothing but the frame of an interrupt would show it: then IRET drops it, as translated code does.
 */
static bool keeps_rf(const struct interp *c)
{
    const struct insn *i = &c->insn;

    return c->switched || (c->watch && i->map == MAP_1 && i->opcode == 0xcf && i->opsize > 2);
}

static enum interp_status finish(struct interp *c, enum interp_status status, bool trap)
{
    struct cpu_state *s = c->state;

    if (status == INTERP_DONE) {
        s->rip = c->next_rip;
        s->rsp = s->gpr[CPU_RSP];
        if (!keeps_rf(c))
            s->rflags &= ~RFLAGS_RF;
        s->shadow = c->shadow;
        c->held = c->shadow && !is_sti(&c->insn); // STI holds no debug exceptions off
        if (c->task_trap)
            return debug_exception(c, 0); // DR6.BT is set
        if (c->held) {
            c->pending = c->hits;
            return status;
        }
        return traps(c, status, trap && !c->software && !c->switched);
    }
    if (status == INTERP_AGAIN) {
        s->shadow = 0;
        return traps(c, status, trap);
    }
    c->pending = 0;
    return status;
}

enum interp_status interp_fetch(struct interp *c)
{
    interp_begin(c);
    return fetch(c);
}

enum interp_status interp_step(struct interp *c)
{
    bool trap = c->state->rflags & RFLAGS_TF;

    interp_begin(c);
    if (c->watch)
        TRY(instruction_breakpoint(c));
    TRY(fetch(c));
    return finish(c, handlers[c->insn.op](c), trap);
}

void interp_skip(struct interp *c, unsigned length)
{
    struct cpu_state *s = c->state;

    exec_need(c, CPU_CSSS | CPU_EFER);
    s->rip += length;
    if (!((s->efer & EFER_LMA) && (s->cs.attr & CPU_SEG_L)))
        s->rip = (uint32_t)s->rip;
    s->shadow = 0;
    s->rflags &= ~RFLAGS_RF;
}
