/* SPDX-License-Identifier: MIT */
/* C functions that translated code calls: string instructions, the clock, and the local APIC. */
#include "vmm/engines/recompiler/run.h"
#include "vmm/engines/recompiler/translate.h"

#define PAGE   4096ull
#define PAUSES 256u // some ten microseconds

uint64_t rec_give_up(struct rec_cpu *cpu)
{
    return cpu->engine->blocks->stubs.interpret;
}

/*
 * Another vCPU is waited for. If that takes long, its thread may not be running, for want of a CPU:
 * this one's is given away.
 */
uint64_t rec_pause(struct rec_cpu *cpu)
{
    __asm__ volatile("pause");
    if (++cpu->pauses % PAUSES == 0)
        host_yield();
    return 0;
}

uint64_t rec_rdtsc(struct rec_cpu *cpu)
{
    uint64_t now;

    if (cpu->engine->vm->record) // what records may use vector registers
        return rec_give_up(cpu);
    now = vcpu_tsc(cpu->vcpu);
    cpu->state.gpr[CPU_RAX] = (uint32_t)now;
    cpu->state.gpr[CPU_RDX] = now >> 32;
    if (cpu->argument) // RDTSCP
        cpu->state.gpr[CPU_RCX] = cpu->vcpu->msrs->tsc_aux;
    return 0;
}

#define SAVE(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n\t"
#define LOAD(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n\t"
#define EACH(move)                                                                       \
    move(0) move(1) move(2) move(3) move(4) move(5) move(6) move(7) move(8) move(9)      \
    move(10) move(11) move(12) move(13) move(14) move(15)

/*
 * Interrupts sent, ended and timed by MSR. Devices and the C library may use vector registers. What
 * is for this vCPU comes in right behind the instruction, if it can.
 */
uint64_t rec_write_msr(struct rec_cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    struct cpu_state *s = &cpu->state;
    uint64_t value = s->gpr[CPU_RDX] << 32 | (uint32_t)s->gpr[CPU_RAX];
    const struct record *record = vcpu->vm->record;
    uint64_t extra = (lapic_cr8(&vcpu->lapic) + 1ull) << 8 | 1;
    bool done;

    if (cpu->engine->lockstep || vm_traces(vcpu->vm, TRACE_MSR) || s->cr8 != lapic_cr8(&vcpu->lapic))
        return rec_give_up(cpu);
    if (record && !record_room(record))
        return rec_give_up(cpu);
    __asm__ volatile(EACH(SAVE) "vzeroupper" : : "r"(cpu->vectors) : "memory");
    done = lapic_msr_write_unlocked(&vcpu->lapic, (uint32_t)s->gpr[CPU_RCX], value);
    __asm__ volatile(EACH(LOAD) : : "r"(cpu->vectors) : "memory");
    if (!done)
        return rec_give_up(cpu);
    if (record)
        record_access(vcpu, RECORD_MSR_WRITE, (uint32_t)s->gpr[CPU_RCX], &value, &extra);
    if (!atomic_load_explicit(&cpu->poll, memory_order_relaxed))
        return 0;
    s->rip = cpu->page + cpu->argument;
    if (!(cpu->mode & REC_MODE_64))
        s->rip = (uint32_t)s->rip;
    return run_elsewhere(cpu, run_rflags(cpu));
}

uint64_t rec_addend(struct rec_cpu *cpu, uint64_t linear, bool write)
{
    const struct view *view = cpu->view;
    unsigned n = view_index(linear);

    if ((write ? view->write : view->read)[n] == (linear & ~(PAGE - 1)))
        return view->addend[n];
    return rec_fill(cpu, linear, write ? REC_ACCESS_WRITE : 0);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void copy(uint64_t to, uint64_t from, uint64_t count, unsigned size)
{
    switch (size) {
    case 1:  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    case 2:  __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    case 4:  __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    default: __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    }
}

static void fill(uint64_t to, uint64_t value, uint64_t count, unsigned size)
{
    switch (size) {
    case 1:
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
        break;
    case 2:
        __asm__ volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(value) : "memory");
        break;
    case 4:
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "memory");
        break;
    default:
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
        break;
    }
}

static void copy_down(uint64_t to, uint64_t from, uint64_t count, unsigned size)
{
    switch (size) {
    case 1:
        __asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory", "cc");
        break;
    case 2:
        __asm__ volatile("std; rep movsw; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory", "cc");
        break;
    case 4:
        __asm__ volatile("std; rep movsl; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory", "cc");
        break;
    default:
        __asm__ volatile("std; rep movsq; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory", "cc");
        break;
    }
}

/* How many elements from `at` on are in its page; 0: the first is in two. */
static uint64_t elements(uint64_t at, unsigned size, bool down)
{
    uint64_t offset = at & (PAGE - 1);

    if (!down)
        return (PAGE - offset) / size;
    return offset + size > PAGE ? 0 : offset / size + 1;
}

/*
 * Host addresses of the first elements. Downwards and upwards are the same where source and
 * destination have nothing in common, but the latter is faster.
 */
static void move(uint64_t to, uint64_t from, uint64_t count, unsigned size, bool down)
{
    uint64_t back = (count - 1) * size, distance = to > from ? to - from : from - to;

    if (!down)
        copy(to, from, count, size);
    else if (distance >= count * size)
        copy(to - back, from - back, count, size);
    else
        copy_down(to, from, count, size);
}

/*
 * MOVS and STOS, a page's share at a time; between shares, as between two iterations, the guest can
 * be interrupted. RAM that overlaps differently on the host than in linear addresses (two addresses
 * of one page) is copied in elements as well, so that the result is the same.
 */
uint64_t rec_string(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    uint32_t argument = cpu->argument;
    unsigned size = argument & REC_STRING_SIZE;
    bool repeat = argument & REC_STRING_REP, moves = argument & REC_STRING_MOVS,
         down = s->rflags & RFLAGS_DF;
    uint64_t mask = cpu->mode & REC_MODE_64 ? ~0ull : 0xffffffffu;
    uint64_t base = argument & REC_STRING_FS ? s->fs.base : argument & REC_STRING_GS ? s->gs.base : 0;

    for (;;) {
        uint64_t count = repeat ? s->gpr[CPU_RCX] & mask : 1, to = s->gpr[CPU_RDI] & mask,
                 from = ((s->gpr[CPU_RSI] & mask) + base) & mask, share, step, add_to, add_from = 0;

        if (count == 0) {
            if (repeat && mask != ~0ull)
                s->gpr[CPU_RCX] = 0;
            return 0;
        }
        share = least(count, elements(to, size, down));
        if (moves)
            share = least(share, elements(from, size, down));
        if (share == 0) // an element in two pages
            return rec_give_up(cpu);
        if (moves && (add_from = rec_addend(cpu, from, false)) == REC_REFUSED)
            return rec_give_up(cpu);
        if ((add_to = rec_addend(cpu, to, true)) == REC_REFUSED)
            return rec_give_up(cpu);
        step = down ? -(share * size) : share * size;
        if (moves) {
            move(to + add_to, from + add_from, share, size, down);
            s->gpr[CPU_RSI] = (s->gpr[CPU_RSI] + step) & mask;
        } else {
            fill(to + add_to - (down ? (share - 1) * size : 0), s->gpr[CPU_RAX], share, size);
        }
        s->gpr[CPU_RDI] = (to + step) & mask;
        if (!repeat)
            return 0;
        s->gpr[CPU_RCX] = count - share;
        if (atomic_load_explicit(&cpu->poll, memory_order_relaxed) && count != share)
            return cpu->engine->blocks->stubs.poll;
    }
}
