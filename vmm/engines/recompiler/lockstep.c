/* SPDX-License-Identifier: MIT */
/* Each block against the interpreter. */
#include "vmm/engines/recompiler/lockstep.h"

#include "vmm/engines/recompiler/lockstep_vectors.h"
#include "vmm/engines/recompiler/translate.h"

#include "lib/string.h"

#define STEPS  (2 * BLOCK_INSNS)
#define WRITES 512u
#define BYTES  64u

/* A piece of RAM that the trial wrote to. */
struct write {
    uint8_t *host;
    uint32_t size;
    uint32_t step;
    uint8_t before[BYTES], after[BYTES];
};

struct lockstep {
    struct interp interp;
    struct cpu_state state;
    struct rec_cpu *cpu;
    bool stopped;             // at a device, or too much was written
    unsigned step_count, write_count;
    uint64_t first, gpr[16];  // where it began
    struct {
        uint64_t gpr[16], rip, rflags, undefined;
        struct insn insn;
        uint64_t from;
        unsigned image;       // of its vector registers
    } step[STEPS];
    unsigned image_count;
    uint8_t image[STEPS + 1][LOCKSTEP_IMAGE];
    struct write write[WRITES];
    uint64_t compared;
    enum interp_status ended; // of the trial
};

static uint8_t *ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    struct lockstep *l = arg;
    uint8_t *host = memory_pointer(&l->cpu->engine->vm->memory, gpa, size);
    struct write *w;

    if (!host) {
        l->stopped = true;
        return NULL;
    }
    if (!write)
        return host;
    if (size > BYTES || l->write_count == WRITES) {
        l->stopped = true;
        return host;
    }
    w = &l->write[l->write_count++];
    w->host = host;
    w->size = size;
    w->step = l->step_count;
    memcpy(w->before, host, size);
    return host;
}

static uint64_t no_read(void *arg, uint64_t gpa, unsigned size)
{
    (void)gpa;
    (void)size;
    ((struct lockstep *)arg)->stopped = true;
    return 0;
}

static void no_write(void *arg, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)gpa;
    (void)size;
    (void)value;
    ((struct lockstep *)arg)->stopped = true;
}

static uint32_t no_in(void *arg, uint16_t port, unsigned size)
{
    (void)port;
    (void)size;
    ((struct lockstep *)arg)->stopped = true;
    return 0;
}

static void no_out(void *arg, uint16_t port, unsigned size, uint32_t value)
{
    (void)port;
    (void)size;
    (void)value;
    ((struct lockstep *)arg)->stopped = true;
}

static void need(void *arg, uint32_t groups)
{
    ((struct lockstep *)arg)->state.valid |= groups;
}

static const struct interp_ops trial = {
    .ram = ram, .mmio_read = no_read, .mmio_write = no_write, .port_in = no_in, .port_out = no_out,
    .need = need,
};

/* Flags that an instruction leaves undefined (SDM volume 1, appendix A). */
static unsigned undefined_by(const struct insn *i)
{
    unsigned op = i->opcode, reg = i->modrm >> 3 & 7;

    if (i->map == MAP_1) {
        if (op >= 0xc0 && op <= 0xd3 && (op <= 0xc1 || op >= 0xd0))
            return reg < 4 ? FLAG_O : FLAG_A | FLAG_O | FLAG_C;
        if (op == 0x69 || op == 0x6b)
            return FLAG_S | FLAG_Z | FLAG_A | FLAG_P;
        if ((op == 0xf6 || op == 0xf7) && reg >= 4)
            return reg >= 6 ? FLAG_ALL : FLAG_S | FLAG_Z | FLAG_A | FLAG_P;
        if ((op < 0x40 && (op >> 3 == 1 || op >> 3 == 4 || op >> 3 == 6) && (op & 7) < 6) ||
            op == 0x84 || op == 0x85 || op == 0xa8 || op == 0xa9 ||
            ((op == 0xf6 || op == 0xf7) && reg < 2) ||
            (op >= 0x80 && op <= 0x83 && (reg == 1 || reg == 4 || reg == 6)))
            return FLAG_A;
        return 0;
    }
    if (i->map == MAP_0F) {
        if (op == 0xa3 || op == 0xab || op == 0xb3 || op == 0xbb || op == 0xba)
            return FLAG_ALL & ~(FLAG_C | FLAG_Z);
        if (op == 0xa4 || op == 0xa5 || op == 0xac || op == 0xad)
            return FLAG_A | FLAG_O | FLAG_C;
        if (op == 0xaf)
            return FLAG_S | FLAG_Z | FLAG_A | FLAG_P;
        if (op == 0xbc || op == 0xbd)
            return FLAG_ALL & ~FLAG_Z & ~(i->prefixes & INSN_REP ? FLAG_C : 0);
        return 0;
    }
    if (i->map >= MAP_V1)
        return FLAG_A | FLAG_P | FLAG_S;
    return 0;
}

static void record(struct lockstep *l, uint64_t from)
{
    unsigned n = l->step_count;
    struct effects e = effects_of(&l->interp.insn);
    uint64_t undefined = n ? l->step[n - 1].undefined : 0;

    undefined = (undefined & ~(uint64_t)e.written) | undefined_by(&l->interp.insn);
    memcpy(l->step[n].gpr, l->state.gpr, sizeof(l->state.gpr));
    l->step[n].gpr[CPU_RSP] = l->state.rsp;
    l->step[n].rip = l->state.rip;
    l->step[n].rflags = l->state.rflags;
    l->step[n].undefined = undefined;
    l->step[n].insn = l->interp.insn;
    l->step[n].from = from;
    if (l->state.dirty & CPU_XSTATE) {
        l->state.dirty &= ~CPU_XSTATE;
        memcpy(l->image[l->image_count++], l->state.xsave, LOCKSTEP_IMAGE);
    }
    l->step[n].image = l->image_count - 1;
    l->step_count++;
}

/* Does the instruction depend on flags that one before it left undefined? */
static bool reads_undefined(const struct lockstep *l)
{
    const struct insn *i = &l->interp.insn;
    bool jcc = (i->map == MAP_1 && i->opcode >> 4 == 7) || (i->map == MAP_0F && i->opcode >> 4 == 8);
    bool pushf = i->map == MAP_1 && i->opcode == 0x9c;
    unsigned read = jcc     ? effects_condition(i->opcode & 15)
                    : pushf ? FLAG_ALL
                            : effects_of(i).read;

    return l->step_count && (read & l->step[l->step_count - 1].undefined);
}

void lockstep_begin(struct lockstep *l, struct rec_cpu *cpu)
{
    l->cpu = cpu;
    l->step_count = l->write_count = 0;
    l->stopped = false;
    l->first = cpu->state.rip;
    memcpy(l->gpr, cpu->state.gpr, sizeof(l->gpr));
    memcpy(&l->state, &cpu->state, sizeof(l->state));
    l->state.valid = CPU_ALL;
    l->state.dirty = 0;
    memcpy(l->image[0], l->state.xsave, LOCKSTEP_IMAGE);
    l->image_count = 1;
    if (!l->interp.state)
        interp_init(&l->interp, &l->state, &trial, l, cpu->vcpu->interp.physical_bits);
    while (l->step_count < STEPS && !l->stopped) {
        uint64_t from = l->state.rip;

        l->ended = interp_step(&l->interp);
        l->stopped |= l->ended == INTERP_EXIT; // as for the clock, which C code reads
        l->stopped |= reads_undefined(l);
        if (l->ended != INTERP_DONE || l->stopped)
            break;
        record(l, from);
    }
    for (unsigned i = 0; i < l->write_count; i++)
        memcpy(l->write[i].after, l->write[i].host, l->write[i].size);
    for (unsigned i = l->write_count; i-- > 0;)
        memcpy(l->write[i].host, l->write[i].before, l->write[i].size);
}

static bool registers_agree(const struct lockstep *l, unsigned n, const struct cpu_state *s)
{
    for (unsigned i = 0; i < 16; i++)
        if (l->step[n].gpr[i] != (i == CPU_RSP ? s->rsp : s->gpr[i]))
            return false;
    return l->step[n].rip == s->rip;
}

static bool vectors_agree(const struct lockstep *l, unsigned n, const struct cpu_state *s)
{
    return lockstep_vectors_agree(l->image[l->step[n].image], s->xsave);
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
    if (n >= l->step_count) {
        vm_log(vm, "  then %lx: %s, status %u, vector %u", l->state.rip,
               opcode_name(l->interp.insn.op), l->ended, l->interp.fault.vector);
        return;
    }
    for (unsigned i = 0; i < 16; i++)
        if (l->step[n].gpr[i] != (i == CPU_RSP ? s->rsp : s->gpr[i]))
            vm_log(vm, "  register %u: %lx, by the interpreter %lx", i,
                   i == CPU_RSP ? s->rsp : s->gpr[i], l->step[n].gpr[i]);
    if (!vectors_agree(l, n, s))
        say_vectors(vm, s->xsave, l->image[l->step[n].image]);
    vm_log(vm, "  rflags %lx, by the interpreter %lx", s->rflags, l->step[n].rflags);
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

bool lockstep_agrees(struct lockstep *l, struct rec_cpu *cpu, const struct block *block)
{
    const struct cpu_state *s = &cpu->state;
    uint64_t mask;
    unsigned n, near = STEPS;

    if (cpu->exit != REC_EXIT_LOOKUP && l->first == s->rip &&
        (!l->step_count || memcmp(l->gpr, s->gpr, sizeof(l->gpr)) == 0))
        return true; // nothing executed
    for (n = 0; n < l->step_count; n++) {
        if (l->step[n].rip != s->rip)
            continue;
        near = n;
        if (registers_agree(l, n, s) && vectors_agree(l, n, s))
            break;
    }
    if (n == l->step_count && near != STEPS && cpu->exit == REC_EXIT_INTERPRET &&
        is_string(near + 1 < l->step_count ? &l->step[near + 1].insn : &l->interp.insn))
        return true; // left in the middle of its repetitions
    if (n == l->step_count) {
        if (near == STEPS && (l->stopped || (cpu->exit == REC_EXIT_LOOKUP && !is_canonical(s->rip))))
            return true; // the fault of a branch out of canonical addresses is the target's here
        say(l, near == STEPS ? "another way taken" : "registers differ", near, s, block);
        return false;
    }
    l->compared++;
    mask = (l->step[n].undefined & 0xd5) | (l->step[n].undefined & FLAG_O ? RFLAGS_OF : 0);
    /* Elsewhere they may be dead, and lost. */
    if (cpu->exit == REC_EXIT_LOOKUP && ((l->step[n].rflags ^ s->rflags) & ~mask)) {
        say(l, "flags differ", n, s, block);
        return false;
    }
    for (unsigned i = 0; i < l->write_count; i++) {
        const struct write *w = &l->write[i];
        bool last = w->step <= n;

        for (unsigned k = i + 1; k < l->write_count; k++)
            if (l->write[k].host < w->host + w->size && w->host < l->write[k].host + l->write[k].size)
                last = false;
        if (last && memcmp(w->host, w->after, w->size) != 0) {
            say(l, "memory differs", n, s, block);
            return false;
        }
    }
    return true;
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
