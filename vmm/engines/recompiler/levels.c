/* SPDX-License-Identifier: MIT */
/*
 * Between levels and address spaces without the dispatcher: SYSCALL, SYSRET, IRET, loads of CR3 and
 * INVLPG in 64-bit code as operating systems use them. What is unusual is left to the interpreter.
 */
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/run.h"
#include "vmm/engines/recompiler/translate.h"

#define FLAT_CODE 0xa9bu // P S code readable accessed, L, G
#define FLAT_DATA 0xc93u
#define FLAT_USER 0x060u

/* Descriptors in memory that load as such segments; at level 3 with 3 << 45. */
#define CODE_DESCRIPTOR 0x00af9b000000ffffull
#define DATA_DESCRIPTOR 0x00cf93000000ffffull
#define LEVEL3          (3ull << 45)

#define SYSRET_FLAGS (0x3f7fd7u & ~(uint32_t)(RFLAGS_RF | RFLAGS_VM))
#define IRET_FLAGS   (RFLAGS_STATUS | RFLAGS_IF | RFLAGS_DF | RFLAGS_RF | RFLAGS_1)

static void set_flat(struct cpu_segment *s, unsigned selector, unsigned attr)
{
    *s = (struct cpu_segment){
        .sel = (uint16_t)selector, .attr = (uint16_t)attr, .limit = 0xffffffffu};
}

static bool canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

uint64_t rec_syscall(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    unsigned selector = (unsigned)(s->star >> 32) & 0xfffc;
    uint64_t rflags = run_rflags(cpu);

    if (!(s->efer & EFER_SCE) || !canonical(s->lstar))
        return rec_give_up(cpu);
    s->gpr[CPU_RCX] = cpu->page + cpu->argument;
    s->gpr[CPU_R11] = rflags & ~RFLAGS_RF;
    set_flat(&s->cs, selector, FLAT_CODE);
    set_flat(&s->ss, selector + 8, FLAT_DATA);
    s->rip = s->lstar;
    return run_elsewhere(cpu, (rflags & ~(s->sfmask | RFLAGS_RF)) | RFLAGS_1);
}

uint64_t rec_sysret(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    unsigned selector = (unsigned)(s->star >> 48) | 3;

    if (!(s->efer & EFER_SCE) || !canonical(s->gpr[CPU_RCX]) || (s->gpr[CPU_R11] & RFLAGS_TF))
        return rec_give_up(cpu);
    set_flat(&s->cs, selector + 16, FLAT_CODE | FLAT_USER);
    set_flat(&s->ss, selector + 8, FLAT_DATA | FLAT_USER);
    s->rip = s->gpr[CPU_RCX];
    return run_elsewhere(cpu, (s->gpr[CPU_R11] & SYSRET_FLAGS) | RFLAGS_1);
}

/* MOV to CR3. What follows is fetched by the new tables. */
uint64_t rec_write_cr3(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    unsigned reg = cpu->argument >> 16;
    uint64_t value = reg == CPU_RSP ? s->rsp : s->gpr[reg], cr3 = value;

    if (s->cr4 & CR4_PCIDE)
        cr3 &= ~(1ull << 63);
    if (!(s->efer & EFER_LMA) || cr3 >> vcpu_interp(cpu->vcpu)->physical_bits || cpu->engine->lockstep)
        return rec_give_up(cpu);
    s->cr3 = cpu->cr3 = cpu->walk.cr3 = cr3;
    s->rip = cpu->page + (cpu->argument & 0xffff);
    memory_loaded_cr3(cpu, value);
    return run_elsewhere(cpu, run_rflags(cpu));
}

/* INVLPG of cpu->address. */
uint64_t rec_invlpg(struct rec_cpu *cpu)
{
    if (cpu->engine->lockstep)
        return rec_give_up(cpu);
    cpu->state.rip = cpu->page + cpu->argument;
    memory_flush_page(cpu, cpu->address);
    return run_elsewhere(cpu, run_rflags(cpu));
}

/* Eight-byte words of the guest's that lie in one page of RAM. NULL: the interpreter has to look. */
static const uint64_t *words(struct rec_cpu *cpu, uint64_t linear, unsigned count)
{
    uint64_t addend;

    if (linear % 8 || (linear & 0xfff) + 8 * count > 4096)
        return NULL;
    addend = rec_addend(cpu, linear, false);
    return addend == REC_REFUSED ? NULL : (const uint64_t *)(uintptr_t)(linear + addend);
}

/* Is what the selector means in the GDT just this? */
static bool is_descriptor(struct rec_cpu *cpu, uint64_t selector, uint64_t descriptor)
{
    const struct cpu_segment *gdtr = &cpu->state.gdtr;
    const uint64_t *word;

    if (selector > 0xffff || selector < 8 || (selector & 4) || (selector | 7) > gdtr->limit)
        return false;
    word = words(cpu, gdtr->base + (selector & ~7ull), 1);
    return word && *word == (selector & 3 ? descriptor | LEVEL3 : descriptor);
}

/* Would a return to user code clear this segment register? */
static bool is_lost(const struct cpu_segment *s)
{
    return s->sel && (s->attr & CPU_SEG_DPL) != CPU_SEG_DPL;
}

uint64_t rec_iret(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    const uint64_t *stack;
    uint64_t frame[5];
    unsigned level;
    bool null_stack;

    if (cpu->view != cpu->kernel || s->nmi_blocked || (s->rflags & RFLAGS_NT))
        return rec_give_up(cpu);
    stack = words(cpu, s->rsp, 5);
    if (!stack)
        return rec_give_up(cpu);
    for (unsigned i = 0; i < 5; i++)
        frame[i] = stack[i];
    level = frame[1] & 3;
    null_stack = frame[4] == 0 && level == 0; // as Linux has it until the first process
    if (!canonical(frame[0]) || (frame[2] & ~IRET_FLAGS) || (level && level != 3) ||
        (frame[4] & 3) != level || !is_descriptor(cpu, frame[1], CODE_DESCRIPTOR) ||
        !(null_stack || is_descriptor(cpu, frame[4], DATA_DESCRIPTOR)))
        return rec_give_up(cpu);
    if (level && (is_lost(&s->ds) || is_lost(&s->es) || is_lost(&s->fs) || is_lost(&s->gs)))
        return rec_give_up(cpu);
    set_flat(&s->cs, (unsigned)frame[1], level ? FLAT_CODE | FLAT_USER : FLAT_CODE);
    if (null_stack)
        s->ss = (struct cpu_segment){0};
    else
        set_flat(&s->ss, (unsigned)frame[4], level ? FLAT_DATA | FLAT_USER : FLAT_DATA);
    s->rip = frame[0];
    s->rsp = frame[3];
    return run_elsewhere(cpu, frame[2] | RFLAGS_1);
}
