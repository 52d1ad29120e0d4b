/* SPDX-License-Identifier: MIT */
/* Each block against the interpreter: the comparison. */
#include "vmm/engines/recompiler/lockstep.h"
#include "vmm/engines/recompiler/lockstep_trial.h"

#include "vmm/cpu/xstate.h"

#include "lib/format.h"
#include "lib/string.h"

static bool registers_agree(const struct lockstep *l, unsigned n, const struct cpu_state *s)
{
    for (unsigned i = 0; i < 16; i++)
        if (l->step[n].gpr[i] != (i == CPU_RSP ? s->rsp : s->gpr[i]))
            return false;
    return l->step[n].rip == s->rip;
}

/* Status flags of MXCSR that the block has and the trial has not. */
static uint32_t more_status(const uint8_t *ours, const uint8_t *theirs)
{
    uint32_t a, b;

    memcpy(&a, ours + XSAVE_MXCSR, sizeof(a));
    memcpy(&b, theirs + XSAVE_MXCSR, sizeof(b));
    return a & ~b & MXCSR_FLAGS;
}

/*
 * An instruction that the processor has refused with #XM (the guest's may be #UD), behind the last
 * one here, has left why in MXCSR; the interpreter will, as it comes next. If it is one of MMX, it
 * has also made the x87 registers MMX's already.
 */
static bool vectors_agree(const struct lockstep *l, unsigned n, const struct cpu_state *s)
{
    const uint8_t *image = l->image[l->step[n].image];
    uint8_t copy[LOCKSTEP_IMAGE];
    uint32_t mxcsr;

    if (n + 1 != l->step_count || l->ended != INTERP_FAULT ||
        (l->interp.fault.vector != EXCEPTION_XM && l->interp.fault.vector != EXCEPTION_UD))
        return lockstep_vectors_agree(image, s->xsave);
    memcpy(copy, s->xsave, sizeof(copy));
    memcpy(copy + XSAVE_FSW, image + XSAVE_FSW, XSAVE_FOP - XSAVE_FSW);
    memcpy(&mxcsr, copy + XSAVE_MXCSR, sizeof(mxcsr));
    mxcsr &= ~more_status(copy, image);
    memcpy(copy + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
    return lockstep_vectors_agree(image, copy);
}

/* Registers of two images that differ, 16 bytes each. */
static void say_vectors(struct vm *vm, const uint8_t *ours, const uint8_t *theirs)
{
    for (unsigned at = 0; at < LOCKSTEP_IMAGE; at += 16) {
        uint64_t a[2], b[2];

        memcpy(a, ours + at, 16);
        memcpy(b, theirs + at, 16);
        if (a[0] != b[0] || a[1] != b[1])
            vm_log(vm, "  XSAVE image at %u: %lx %lx, by the interpreter %lx %lx", at, a[1], a[0],
                   b[1], b[0]);
    }
}

static void say(struct lockstep *l, const char *what, unsigned n, const struct cpu_state *s,
                const struct block *block)
{
    struct vm *vm = l->cpu->engine->vm;

    vm_log(vm, "lockstep: %s; block at %lx, mode %x, left at %lx by %u", what,
           l->first, block->mode, s->rip, l->cpu->exit);
    for (unsigned i = 0; i < l->step_count && i <= n; i++)
        vm_log(vm, "  %lx: %s", l->step[i].from, opcode_name(l->step[i].insn.op));
    if (n + 1 < l->step_count)
        vm_log(vm, "  then %lx: %s", l->step[n + 1].from, opcode_name(l->step[n + 1].insn.op));
    else
        vm_log(vm, "  then %lx: %s, status %u, vector %u", l->state.rip,
               opcode_name(l->interp.insn.op), l->ended, l->interp.fault.vector);
    if (n >= l->step_count)
        return;
    for (unsigned i = 0; i < 16; i++)
        if (l->step[n].gpr[i] != (i == CPU_RSP ? s->rsp : s->gpr[i]))
            vm_log(vm, "  register %u: %lx, by the interpreter %lx", i,
                   i == CPU_RSP ? s->rsp : s->gpr[i], l->step[n].gpr[i]);
    if (!vectors_agree(l, n, s))
        say_vectors(vm, s->xsave, l->image[l->step[n].image]);
    vm_log(vm, "  rflags %lx, by the interpreter %lx", s->rflags, l->step[n].rflags);
}

/* RAM as it is, and as the trial left it. */
static void say_memory(struct vm *vm, const struct lockstep_write *w)
{
    char is[3 * LOCKSTEP_BYTES + 1], was[3 * LOCKSTEP_BYTES + 1];

    for (unsigned i = 0; i < w->size; i++) {
        format_string(is + 3 * i, 4, " %02x", w->host[i]);
        format_string(was + 3 * i, 4, " %02x", w->after[i]);
    }
    vm_log(vm, "  at %lx%s, by the interpreter%s", w->gpa, is, was);
}

static bool is_string(const struct insn *i)
{
    return i->map == MAP_1 && (i->opcode == 0xa4 || i->opcode == 0xa5 || i->opcode == 0xaa ||
                               i->opcode == 0xab);
}

static bool is_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* What differs, or NULL. *step: the last one that the block has done, LOCKSTEP_STEPS: none is known. */
static const char *compare(const struct lockstep *l, const struct rec_cpu *cpu, unsigned *step,
                           const struct lockstep_write **at)
{
    const struct cpu_state *s = &cpu->state;
    uint64_t mask;
    unsigned n, near = LOCKSTEP_STEPS, done;

    for (n = 0; n < l->step_count; n++) {
        if (l->step[n].rip != s->rip)
            continue;
        near = n;
        if (registers_agree(l, n, s) && vectors_agree(l, n, s))
            break;
    }
    *step = n < l->step_count ? n : near;
    done = near == LOCKSTEP_STEPS ? 0 : near + 1;
    if (n == l->step_count && (near != LOCKSTEP_STEPS || l->first == s->rip) &&
        (cpu->exit == REC_EXIT_INTERPRET || cpu->exit == REC_EXIT_POLL) &&
        is_string(done < l->step_count ? &l->step[done].insn : &l->interp.insn))
        return NULL; // left in the middle of its repetitions, for a page's sake or something that waits
    if (n == l->step_count) {
        if (near == LOCKSTEP_STEPS && (l->stopped || (cpu->exit == REC_EXIT_LOOKUP && !is_canonical(s->rip))))
            return NULL; // the fault of a branch out of canonical addresses is the target's here
        return near == LOCKSTEP_STEPS ? "another way taken" : "registers differ";
    }
    mask = (l->step[n].undefined & 0xd5) | (l->step[n].undefined & FLAG_O ? RFLAGS_OF : 0);
    /* Elsewhere they may be dead, and lost. */
    if (cpu->exit == REC_EXIT_LOOKUP && ((l->step[n].rflags ^ s->rflags) & ~mask))
        return "flags differ";
    for (unsigned i = 0; i < l->write_count; i++) {
        const struct lockstep_write *w = &l->write[i];
        bool last = w->step <= n;

        for (unsigned k = i + 1; k < l->write_count; k++)
            if (l->write[k].host < w->host + w->size && w->host < l->write[k].host + l->write[k].size)
                last = false;
        if (last && memcmp(w->host, w->after, w->size) != 0) {
            *at = w;
            return "memory differs";
        }
    }
    return NULL;
}

bool lockstep_agrees(struct lockstep *l, struct rec_cpu *cpu, const struct block *block)
{
    const struct cpu_state *s = &cpu->state;
    const struct lockstep_write *at = NULL;
    struct lockstep_write copy = {0};
    const char *what;
    unsigned n;

    if (cpu->exit != REC_EXIT_LOOKUP && l->first == s->rip &&
        (!l->step_count || memcmp(l->gpr, s->gpr, sizeof(l->gpr)) == 0))
        return true; // nothing executed
    what = compare(l, cpu, &n, &at);
    l->compared++;
    if (!what)
        return true;
    if (at)
        copy = *at;
    if (lockstep_is_explained(l))
        return true;
    say(l, what, n, s, block);
    if (at)
        say_memory(cpu->engine->vm, &copy);
    return false;
}

uint64_t lockstep_stale(const struct lockstep *l)
{
    return l->stale;
}

uint64_t lockstep_compared(const struct lockstep *l)
{
    return l->compared;
}

struct lockstep *lockstep_create(struct host *host)
{
    return host_alloc(host, sizeof(struct lockstep), 4096);
}

void lockstep_destroy(struct lockstep *l, struct host *host)
{
    host_free(host, l);
}
