/* SPDX-License-Identifier: MIT */
/* The interpreter does again what was recorded. */
#include "vmm/record.h"

#include "lib/string.h"
#include "vmm/cpu/control.h"
#include "vmm/cpu/deliver.h"
#include "vmm/machine.h"

#include <stdatomic.h>

#define PAGE        4096ull
#define PAGES_SHOWN 8u
#define OPCODE_IRET 0xcfu

static const char *const kind_names[RECORD_KINDS] = {
    "nothing", "start", "in", "out", "read", "write", "clock", "MSR read", "MSR write", "CPUID",
    "RAM", "interrupt", "exception", "pages", "check of RAM", "end",
};

static const char *const register_names[] = {
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13",
    "R14", "R15", "RIP", "RFLAGS", "CR2", "CR3", "FS base", "GS base",
    "hash of segments and control registers", "hash of vector registers",
};
#define REGISTERS (sizeof(register_names) / sizeof(register_names[0]))
#define REGISTER_RFLAGS 17u
_Static_assert(sizeof(struct record_regs) == 8 * REGISTERS, "a name for each");

/* --- The log --- */

static bool has_registers(uint32_t kind)
{
    return kind == RECORD_EVENT || kind == RECORD_FAULT || kind == RECORD_END;
}

/* Is what follows the entry what its kind wants? */
static bool is_sound(const struct record_entry *e)
{
    if (has_registers(e->kind))
        return e->follow == sizeof(struct record_regs);
    if (e->kind == RECORD_RAM)
        return e->extra && e->extra <= RECORD_CHUNK && e->follow == ((e->extra + 7) & ~7ull);
    if (e->kind == RECORD_PAGES)
        return e->follow == 16;
    return e->kind >= RECORD_START && e->kind < RECORD_KINDS && e->follow == 0;
}

/* The next entry, and what follows it. False: there is none, or it makes no sense. */
static bool peek(const struct record *r, struct record_entry *e, const uint8_t **follow)
{
    if (r->size - r->at < sizeof(*e))
        return false;
    memcpy(e, r->log + r->at, sizeof(*e));
    *follow = r->log + r->at + sizeof(*e);
    return is_sound(e) && e->follow <= r->size - r->at - sizeof(*e);
}

static void say_registers(struct record *r, const struct record_regs *log, const struct record_regs *own)
{
    uint64_t a[REGISTERS], b[REGISTERS];

    memcpy(a, log, sizeof(a));
    memcpy(b, own, sizeof(b));
    for (unsigned i = 0; i < REGISTERS; i++) {
        uint64_t mask = i == REGISTER_RFLAGS ? ~(uint64_t)RFLAGS_STATUS : ~0ull;

        if ((a[i] ^ b[i]) & mask)
            vm_log(r->vm, "  %s: %lx recorded, %lx replayed", register_names[i], a[i], b[i]);
    }
}

static void say_entry(struct record *r, const char *what, const struct record_entry *e)
{
    vm_log(r->vm, "  %s: %s %lx, %lx, %lx", what, kind_names[e->kind], e->where, e->value, e->extra);
}

/* The end of a replay that does not agree: what is different, where, and what came before. */
static void fail(struct vcpu *vcpu, const char *what)
{
    struct record *r = vcpu->vm->record;
    struct record_entry e;
    const uint8_t *follow;
    size_t at = r->at;

    if (r->over)
        return;
    r->over = true;
    (void)!interp_fetch(vcpu_interp(vcpu));
    vm_log(vcpu->vm, "replay: %s; at %lx (%s), after %lu instructions, %lu entries, %lu interrupts, %lu "
                     "exceptions, %lu checks", what, vcpu->state->rip, opcode_name(vcpu->interp.insn.op),
           r->steps, r->entries, r->events, r->faults, r->checks);
    for (unsigned i = 0; i < RECORD_PAST; i++) {
        if (i >= r->entries)
            continue;
        r->at = r->past[(r->entries + i) % RECORD_PAST];
        if (peek(r, &e, &follow))
            say_entry(r, "before", &e);
    }
    r->at = at;
    if (peek(r, &e, &follow))
        say_entry(r, "next", &e);
    if (r->waits) {
        vm_log(vcpu->vm, "  it was to come at %lx, which was reached %lu times", r->goal.rip, r->near_count);
        if (r->near_count)
            say_registers(r, &r->goal, &r->near);
    }
    vm_finish(vcpu->vm, VM_END_ENGINE, 0, vcpu->id);
}

/* What the replay has to reach for the entry that is next. */
static void look_ahead(struct record *r)
{
    struct record_entry e;
    const uint8_t *follow;

    r->near_count = 0;
    r->waits = peek(r, &e, &follow) && (e.kind == RECORD_EVENT || e.kind == RECORD_END);
    if (r->waits)
        memcpy(&r->goal, follow, sizeof(r->goal));
}

static void pass(struct record *r, const struct record_entry *e)
{
    r->past[r->entries++ % RECORD_PAST] = r->at;
    r->at += sizeof(*e) + e->follow;
    look_ahead(r);
}

/* What devices had written before the next entry was made. */
static void write_ram(struct record *r)
{
    struct record_entry e;
    const uint8_t *follow;

    while (peek(r, &e, &follow) && e.kind == RECORD_RAM) {
        if (!memory_write(&r->vm->memory, e.where, follow, e.extra))
            return; // it stays the next one, which is not what the vCPU expects
        pass(r, &e);
    }
}

/* The next entry, which has to be of this kind. */
static bool take(struct vcpu *vcpu, enum record_kind kind, struct record_entry *e, const uint8_t **follow)
{
    struct record *r = vcpu->vm->record;

    write_ram(r);
    if (r->over)
        return false;
    if (!peek(r, e, follow)) {
        fail(vcpu, r->size - r->at < sizeof(*e) ? "the log ends here" : "the log makes no sense here");
        return false;
    }
    if (e->kind != (uint32_t)kind) {
        vm_log(vcpu->vm, "replay: came to %s", kind_names[kind]);
        fail(vcpu, "another entry is next");
        return false;
    }
    pass(r, e);
    return true;
}

/* --- Checks of RAM --- */

static void page_differs(struct record *r, uint64_t n, uint64_t hash)
{
    (void)hash;
    if (r->differing++ < PAGES_SHOWN)
        vm_log(r->vm, "replay: page %lx of RAM differs", n);
}

/* Hashes that follow in the log, and the look whether they are ours. */
static void check_ram(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;
    struct record_entry e;
    const uint8_t *follow;

    while (peek(r, &e, &follow) && e.kind == RECORD_PAGES) {
        uint64_t pair[2];

        memcpy(pair, follow, sizeof(pair));
        if (pair[0] < r->pages)
            r->page[pair[0]] = pair[1];
        pass(r, &e);
    }
    if (!peek(r, &e, &follow) || e.kind != RECORD_RAM_CHECK)
        return;
    pass(r, &e);
    r->checks++;
    r->differing = 0;
    record_hash_all(r, page_differs);
    if (r->differing)
        fail(vcpu, "RAM differs");
}

/* --- What the vCPU comes to --- */

static bool is_written(enum record_kind kind)
{
    return kind == RECORD_OUT || kind == RECORD_WRITE || kind == RECORD_MSR_WRITE;
}

void replay_access(struct vcpu *vcpu, enum record_kind kind, uint64_t where, uint64_t *value,
                   uint64_t *extra)
{
    bool cpuid = kind == RECORD_CPUID;
    struct record_entry e;
    const uint8_t *follow;

    if (!take(vcpu, kind, &e, &follow))
        return;
    if ((!cpuid && e.where != where) || (is_written(kind) && e.value != *value)) {
        vm_log(vcpu->vm, "replay: %s %lx, %lx; recorded: %lx, %lx", kind_names[kind], where, *value, e.where,
               e.value);
        fail(vcpu, "another access");
        return;
    }
    *value = e.value;
    *extra = e.extra;
}

/* The recorded status flags go into the frame; behind its return there are this engine's again. */
static void lend_flags(struct vcpu *vcpu, const struct record_regs *regs)
{
    struct record *r = vcpu->vm->record;
    struct cpu_state *s = vcpu->state;
    uint64_t recorded = regs->rflags & RFLAGS_STATUS, own = s->rflags & RFLAGS_STATUS;

    if (recorded == own)
        return;
    r->flags++;
    r->frame[r->frames++ % RECORD_FRAMES] = (struct record_frame){s->rip, s->rsp, s->cr3, recorded, own};
    s->rflags = (s->rflags & ~(uint64_t)RFLAGS_STATUS) | recorded;
}

static void give_flags_back(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;
    struct cpu_state *s = vcpu->state;

    for (unsigned i = 0; i < RECORD_FRAMES; i++) {
        struct record_frame *f = &r->frame[i];

        if (f->recorded == f->own || f->rip != s->rip || f->rsp != s->rsp || f->cr3 != s->cr3 ||
            (s->rflags & RFLAGS_STATUS) != f->recorded)
            continue;
        s->rflags = (s->rflags & ~(uint64_t)RFLAGS_STATUS) | f->own;
        f->own = f->recorded;
        return;
    }
}

static bool agree(const struct record_regs *log, const struct record_regs *own)
{
    return memcmp(log->gpr, own->gpr, sizeof(own->gpr)) == 0 && log->rip == own->rip &&
           !((log->rflags ^ own->rflags) & ~(uint64_t)RFLAGS_STATUS) && log->cr2 == own->cr2 &&
           log->cr3 == own->cr3 && log->fs_base == own->fs_base && log->gs_base == own->gs_base &&
           log->others == own->others;
}

void replay_fault(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;
    struct record_regs log, own;
    struct record_entry e;
    const uint8_t *follow;

    if (!take(vcpu, RECORD_FAULT, &e, &follow))
        return;
    memcpy(&log, follow, sizeof(log));
    record_registers(vcpu, &own, false);
    if (e.where != vcpu->state->event || !agree(&log, &own)) {
        vm_log(vcpu->vm, "replay: exception %lx, recorded: %lx at %lx", vcpu->state->event, e.where, log.rip);
        say_registers(r, &log, &own);
        fail(vcpu, "another exception, or other registers at it");
        return;
    }
    lend_flags(vcpu, &log);
}

/* At the RIP of the next interrupt, or of the end: is it there? */
static bool arrive(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;
    struct cpu_state *s = vcpu->state;
    struct record_entry e;
    const uint8_t *follow;

    if (!peek(r, &e, &follow) || (e.kind == RECORD_EVENT && (s->shadow || (s->event & CPU_EVENT_VALID))))
        return false;
    record_registers(vcpu, &r->near, false);
    r->near.vectors = r->goal.vectors;
    r->near_count++;
    if (!agree(&r->goal, &r->near))
        return false;
    record_registers(vcpu, &r->near, true);
    if (r->near.vectors != r->goal.vectors)
        return false;
    if (e.kind == RECORD_EVENT) {
        r->events++;
        lend_flags(vcpu, &r->goal);
        s->event = e.where;
        vcpu->activity = VCPU_RUNNING;
    }
    pass(r, &e);
    check_ram(vcpu);
    if (e.kind == RECORD_END && !r->over) {
        r->over = true;
        vm_log(vcpu->vm, "replayed: %lu instructions, %lu entries, %lu interrupts, %lu exceptions, %lu checks "
                         "of all RAM; flags lent %lu times; all agrees", r->steps, r->entries, r->events,
               r->faults, r->checks, r->flags);
        vm_finish(vcpu->vm, VM_END_POWEROFF, 0, vcpu->id);
    }
    return true;
}

static void deliver(struct vcpu *vcpu)
{
    switch (interp_deliver(vcpu_interp(vcpu), vcpu->state->event)) {
    case INTERP_DONE:
        vcpu->state->event = 0;
        break;
    case INTERP_FAULT:
        vcpu_fault(vcpu);
        break;
    default:
        vcpu_unsupported(vcpu);
        break;
    }
}

static void step(struct vcpu *vcpu)
{
    struct interp *interp = vcpu_interp(vcpu);

    vcpu->vm->record->steps++;
    switch (interp_step(interp)) {
    case INTERP_DONE:
        if (interp->insn.map == MAP_1 && interp->insn.opcode == OPCODE_IRET)
            give_flags_back(vcpu);
        break;
    case INTERP_AGAIN:
        break;
    case INTERP_FAULT:
        vcpu_fault(vcpu);
        break;
    case INTERP_EXIT:
        vcpu_handle_exit(vcpu);
        break;
    case INTERP_UNSUPPORTED:
        vcpu_unsupported(vcpu);
        break;
    }
}

static bool begin(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    struct record_entry e;
    const uint8_t *follow;

    if (!take(vcpu, RECORD_START, &e, &follow))
        return false;
    if (e.value != RECORD_MAGIC || e.where != vm->memory.size) {
        fail(vcpu, "not a recording of a machine with as much memory");
        return false;
    }
    check_ram(vcpu);
    if (vm->record->over)
        vm_log(vm, "replay: kernel, initrd and options have to be those of the recording");
    return !vm->record->over;
}

void replay_run(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;
    struct cpu_state *s = vcpu->state;
    struct interp *interp = vcpu_interp(vcpu);

    s->valid = CPU_ALL;
    if (!begin(vcpu))
        return;
    while (!r->over && !atomic_load_explicit(&vcpu->vm->ended, memory_order_relaxed)) {
        bool near = r->waits && s->rip == r->goal.rip;

        if (near && arrive(vcpu))
            continue;
        if (s->event & CPU_EVENT_VALID) {
            deliver(vcpu);
            continue;
        }
        if (vcpu->activity != VCPU_RUNNING) {
            fail(vcpu, "HLT, and no interrupt is next");
            return;
        }
        interp->share = near ? 1 : INTERP_SHARE;
        step(vcpu);
    }
    if (!r->over) { // by an end that the guest has come to itself, or for want of time
        struct record_entry e;
        const uint8_t *follow;

        if (!peek(r, &e, &follow) || e.kind != RECORD_END || e.where != vm_end(vcpu->vm).reason)
            fail(vcpu, "it was ended before its recording was through");
    }
}
