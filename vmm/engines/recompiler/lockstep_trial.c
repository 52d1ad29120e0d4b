/* SPDX-License-Identifier: MIT */
/* The lockstep's trial: a block's instructions by the interpreter, on a copy of the registers. */
#include "vmm/engines/recompiler/lockstep.h"
#include "vmm/engines/recompiler/lockstep_trial.h"

#include "lib/string.h"

uint8_t *lockstep_ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    struct lockstep *l = arg;
    uint8_t *host = memory_pointer(&l->cpu->engine->vm->memory, gpa, size);
    struct lockstep_write *w;

    if (!host) {
        l->stopped = true;
        return NULL;
    }
    if (!write)
        return host;
    if (size > LOCKSTEP_BYTES || l->write_count == LOCKSTEP_WRITES) {
        l->stopped = true; // nothing is written: it could not be taken back
        return NULL;
    }
    w = &l->write[l->write_count++];
    w->gpa = gpa;
    w->host = host;
    w->size = size;
    w->step = l->step_count;
    memcpy(w->before, host, size);
    return host;
}

void lockstep_undo(struct lockstep *l)
{
    for (unsigned i = l->write_count; i-- > 0;)
        memcpy(l->write[i].host, l->write[i].before, l->write[i].size);
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
    .ram = lockstep_ram, .mmio_read = no_read, .mmio_write = no_write, .port_in = no_in, .port_out = no_out,
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
    bool whole = (i->map == MAP_1 && i->opcode == 0x9c) || (i->map == MAP_0F && i->opcode == 0x05); // PUSHF, SYSCALL
    unsigned read = jcc     ? effects_condition(i->opcode & 15)
                    : whole ? FLAG_ALL
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
    l->interp.amd = cpu->vcpu->interp.amd;
    if (l->interp.walk.masked != cpu->walk.masked)
        interp_mask(&l->interp, cpu->walk.masked);
    while (l->step_count < LOCKSTEP_STEPS && !l->stopped) {
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
    lockstep_undo(l);
}
