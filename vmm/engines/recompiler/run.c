/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher: into translated code, out of it, and the interpreter for what is not translated.
 */
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/find.h"
#include "vmm/engines/recompiler/lockstep.h"
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/mode.h"
#include "vmm/engines/recompiler/monitor.h"
#include "vmm/engines/recompiler/run.h"
#include "vmm/engines/recompiler/stop.h"

#include "vmm/cpu/deliver.h"
#include "vmm/cpu/xstate.h"

#define PAGE 4096ull
#define PF   14u

/* --- Vector registers --- */

/*
 * The guest's x87, SSE and AVX registers stay in the processor until somebody asks for them. Where
 * the last x87 instruction and operand were is this code's own: the guest does not get to see it.
 */
static void save_vectors(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    static const uint32_t mxcsr = 0x1f80;

    if (!cpu->fpu)
        return;
    __asm__ volatile("xsaveq %0" : "=m"(s->xsave) : "a"(7), "d"(0) : "memory");
    __asm__ volatile("fninit\n\tldmxcsr %0\n\tvzeroupper" : : "m"(mxcsr) : "memory");
    for (unsigned i = 6; i < 24; i++)
        s->xsave[i] = 0; // FOP, FIP, FDP
    cpu->fpu = false;
    s->valid = CPU_ALL;
}

static void load_vectors(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;

    if (cpu->fpu)
        return;
    __asm__ volatile("xrstorq %0" : : "m"(s->xsave), "a"(7), "d"(0) : "memory");
    cpu->fpu = true;
    s->valid = CPU_ALL & ~CPU_XSTATE;
}

/* --- In and out --- */

#define STATUS_AH 0xd5u // what LAHF shows of the status flags

static uint16_t flags_to_cpu(uint64_t rflags)
{
    return (uint16_t)((rflags & STATUS_AH) << 8 | (rflags >> 11 & 1));
}

static uint64_t flags_from_cpu(uint16_t flags)
{
    return (flags >> 8 & STATUS_AH) | (uint64_t)(flags & 1) << 11;
}

/* RFLAGS as translated code has them. */
static void split_rflags(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;

    cpu->flags = flags_to_cpu(s->rflags);
    cpu->interrupts = s->rflags >> 9 & 1;
    s->rflags &= ~(RFLAGS_RF | RFLAGS_IF | RFLAGS_STATUS);
}

static void use_view(struct rec_cpu *cpu)
{
    if (cpu->view_base == (uint64_t)(uintptr_t)cpu->view)
        return;
    cpu->view_base = (uint64_t)(uintptr_t)cpu->view;
    __asm__ volatile("wrgsbase %0" : : "r"(cpu->view_base));
}

/*
 * A branch of the kernel to an address that is not canonical: what the stack pointer has gone
 * through is taken back, and the interpreter, which comes next, finds the fault. From the last page
 * below the hole code may have run on into it.
 */
static bool take_branch_back(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    const struct insn *i = &cpu->vcpu->interp.insn;
    uint64_t target = s->rip;

    if (cpu->exit != REC_EXIT_LOOKUP || (uint64_t)((int64_t)(target << 16) >> 16) == target ||
        !(cpu->mode & REC_MODE_64) || (cpu->mode & REC_MODE_USER) || cpu->page == 0x7ffffffff000ull)
        return false;
    s->rip = cpu->page + (uint64_t)(int64_t)cpu->offset;
    if (interp_fetch(vcpu_interp(cpu->vcpu)) != INTERP_DONE || i->map != MAP_1) {
        s->rip = target;
        return false;
    }
    if (i->opcode == 0xc2 || i->opcode == 0xc3)
        s->rsp -= 8 + (i->opcode == 0xc2 ? i->imm & 0xffff : 0);
    else if ((i->modrm >> 3 & 7) == 2) // CALL
        s->rsp += 8;
    return true;
}

static void enter(struct rec_cpu *cpu, const struct block *block)
{
    struct engine *engine = cpu->engine;
    struct cpu_state *s = &cpu->state;
    uint32_t (*go)(struct rec_cpu *, uint64_t) =
        (uint32_t (*)(struct rec_cpu *, uint64_t))(uintptr_t)engine->blocks->stubs.enter;

    load_vectors(cpu);
    cpu->after_store = engine->blocks->stubs.stored; // a store that trapped has not been made
    split_rflags(cpu);
    s->shadow = 0;
    use_view(cpu);
    atomic_store_explicit(&cpu->entries, cpu->entries + 1, memory_order_relaxed);
    go(cpu, blocks_address(engine->blocks, block->entry));
    atomic_store_explicit(&cpu->inside, 0, memory_order_release);
    s->rflags = run_rflags(cpu);
    if (cpu->exit != REC_EXIT_LOOKUP) {
        s->rip = cpu->page + (uint64_t)(int64_t)cpu->offset;
        if (!(cpu->mode & REC_MODE_64))
            s->rip = (uint32_t)s->rip;
    }
    /* One that is behind an STI by chance alone is only executed by the interpreter. */
    s->shadow = cpu->after_sti == (s->rip & (PAGE - 1)) + 1 || take_branch_back(cpu);
    cpu->after_sti = 0;
}

static void fault(struct rec_cpu *cpu)
{
    if (cpu->vcpu->interp.fault.vector == PF)
        memory_flush_page(cpu, cpu->state.cr2);
    if (cpu->state.event & CPU_EVENT_VALID)
        save_vectors(cpu); // a triple fault is reported
    vcpu_fault(cpu->vcpu);
}

/* What an instruction that the interpreter has done means for the views. */
static void after_step(struct rec_cpu *cpu, const struct insn *insn)
{
    struct cpu_state *s = &cpu->state;

    if (insn->map == MAP_0F && insn->opcode == 0x22 && insn->reg == 3) { // MOV CR3
        uint64_t value = insn->rm == CPU_RSP ? s->rsp : s->gpr[insn->rm];

        cpu->cr3 = s->cr3; // for the PCID, and for mode_look()
        memory_loaded_cr3(cpu, value);
    } else if (insn->map == MAP_0F && insn->opcode == 0x01 && insn->memory &&
               (insn->modrm >> 3 & 7) == 7) { // INVLPG
        memory_flush_page(cpu, cpu->vcpu->interp.invalidated);
    } else if (insn->map == MAP_0F && insn->opcode == 0x01 && insn->modrm == 0xc8) { // MONITOR
        monitor_arm(cpu, cpu->vcpu->interp.monitored);
    } else if (insn->map == MAP_38 && insn->opcode == 0x82) { // INVPCID
        memory_flush_all(cpu);
    }
}

/* One instruction by the interpreter. True: the vCPU has to do something. */
static bool step(struct rec_cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    struct interp *interp = vcpu_interp(vcpu);
    enum interp_status status;

    atomic_store_explicit(&cpu->interpreted, cpu->interpreted + 1, memory_order_relaxed);
    status = interp_step(interp);
    stop_written_after(cpu);
    switch (status) {
    case INTERP_DONE:
        after_step(cpu, &interp->insn);
        return false;
    case INTERP_AGAIN:
        return false;
    case INTERP_FAULT:
        fault(cpu);
        return false;
    case INTERP_EXIT:
        if (cpu->state.reason != EXIT_MWAIT || !interp->monitors || monitor_waits(cpu))
            return true;
        vcpu_advance(vcpu, interp->next_rip);
        return false;
    default:
        save_vectors(cpu); // the log uses them
        vcpu_unsupported(vcpu);
        return false;
    }
}

static void deliver(struct rec_cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    enum interp_status status;

    status = interp_deliver(vcpu_interp(vcpu), cpu->state.event);
    stop_written_after(cpu);
    switch (status) {
    case INTERP_DONE:  cpu->state.event = 0; break;
    case INTERP_FAULT: fault(cpu); break;
    default:           vcpu_unsupported(vcpu); break; // tables of a kind that is not walked
    }
}

static bool leave(struct cpu_state *state, enum engine_exit reason)
{
    state->reason = reason;
    state->q0 = state->q1 = 0;
    state->insn_len = 0;
    return true;
}

/* Is there a reason to leave before the next instruction? See interpreter.c. */
static bool must_leave(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;

    if (atomic_load_explicit(&cpu->kicked, memory_order_relaxed)) {
        atomic_store(&cpu->kicked, 0);
        return leave(s, EXIT_RECALL);
    }
    if (s->requests == 0 || s->shadow || (s->event & CPU_EVENT_VALID))
        return false;
    if ((s->requests & CPU_REQUEST_NMIWINDOW) && !s->nmi_blocked) {
        s->requests &= ~CPU_REQUEST_NMIWINDOW;
        return leave(s, EXIT_NMIWINDOW);
    }
    if ((s->requests & CPU_REQUEST_WINDOW) && (s->rflags & RFLAGS_IF) &&
        (!s->window_priority || s->window_priority > s->cr8)) {
        s->requests &= ~CPU_REQUEST_WINDOW;
        return leave(s, EXIT_WINDOW);
    }
    return false;
}

static bool after_block(struct rec_cpu *cpu);

/* A block on its own, compared with the interpreter. */
static bool in_lockstep(struct rec_cpu *cpu, const struct block *block)
{
    struct lockstep *l = cpu->engine->lockstep;

    save_vectors(cpu);
    lockstep_begin(l, cpu);
    atomic_store(&cpu->inside, 1);
    enter(cpu, block);
    save_vectors(cpu);
    if (!lockstep_agrees(l, cpu, block)) {
        vm_finish(cpu->engine->vm, VM_END_ENGINE, 0, cpu->vcpu->id);
        return true;
    }
    return after_block(cpu);
}

uint64_t run_rflags(const struct rec_cpu *cpu)
{
    return cpu->state.rflags | flags_from_cpu(cpu->flags) | (uint64_t)cpu->interrupts << 9;
}

uint64_t run_elsewhere(struct rec_cpu *cpu, uint64_t rflags)
{
    struct cpu_state *s = &cpu->state;
    const struct engine *engine = cpu->engine;
    const struct block *block;

    cpu->plain = 0;
    s->rflags = rflags;
    cpu->mode = mode_of(s);
    split_rflags(cpu);
    if (engine->lockstep || cpu->mode == REC_MODE_NONE || s->requests ||
        atomic_load_explicit(&cpu->poll, memory_order_relaxed))
        return engine->blocks->stubs.leave;
    memory_choose_view(cpu);
    block = find_quickly(cpu);
    if (!block)
        return engine->blocks->stubs.leave;
    cpu->page = s->rip & ~(PAGE - 1);
    use_view(cpu);
    return blocks_address(engine->blocks, block->entry);
}

/*
 * Where a group of accesses cannot be checked at once, the way goes on with a block that checks
 * each; as far as jumps in its page lead, if it was the stack's.
 */
static bool after_block(struct rec_cpu *cpu)
{
    enum rec_split split = cpu->split;

    cpu->split = REC_SPLIT_NONE;
    if (cpu->exit == REC_EXIT_LOOKUP)
        cpu->plain = 0;
    if (cpu->exit == REC_EXIT_INTERPRET && split != REC_SPLIT_NONE) {
        if (split == REC_SPLIT_LOOP)
            cpu->plain = REC_MODE_PLAIN;
        else
            cpu->exit = REC_EXIT_PLAIN;
        return false;
    }
    if (cpu->exit != REC_EXIT_INTERPRET)
        return false;
    return must_leave(cpu) || step(cpu);
}

/* From one exit of translated code to the next. True: the vCPU has to do something. */
static bool go_on(struct rec_cpu *cpu)
{
    struct engine *engine = cpu->engine;
    uint64_t flushes = 0;
    struct block *block;
    bool global = false, chains = cpu->exit >= REC_EXIT_CHAIN_DIRECT, plain;

    if (!engine->lockstep && !cpu->plain && !chains && cpu->exit != REC_EXIT_PLAIN) {
        stop_go_inside(cpu);
        block = find_quickly(cpu);
        if (block) {
            cpu->flushes = engine->blocks->flushes;
            cpu->page = cpu->state.rip & ~(PAGE - 1);
            enter(cpu, block);
            return after_block(cpu);
        }
        atomic_store(&cpu->inside, 0);
    }
    block = find_block(cpu, &flushes, &global);
    if (!block) {
        cpu->exit = REC_EXIT_LOOKUP; // its jump leads to where nothing is known
        return step(cpu);
    }
    if (engine->lockstep)
        return in_lockstep(cpu, block);
    if (chains)
        find_chain(cpu, block);
    plain = cpu->plain || find_is_once(cpu);
    cpu->exit = REC_EXIT_LOOKUP;
    stop_go_inside(cpu);
    /* A flush, or a write to its page, may have come in between. */
    if (block->dead || engine->blocks->flushes != flushes) {
        atomic_store(&cpu->inside, 0);
        return false;
    }
    cpu->flushes = flushes;
    if (!plain)
        find_enter_jump(cpu, block, global);
    enter(cpu, block);
    return after_block(cpu);
}

bool run_vcpu(struct engine *engine, unsigned n)
{
    struct rec_cpu *cpu = engine->cpu[n];
    struct cpu_state *state = &cpu->state;

    cpu->state.valid = CPU_ALL;
    cpu->state.dirty = 0;
    cpu->exit = REC_EXIT_LOOKUP;
    cpu->view_base = 0;
    stop_written_after(cpu); // by the vCPU itself, between two runs
    if (atomic_load_explicit(&cpu->monitor.waiting, memory_order_relaxed))
        atomic_store(&cpu->monitor.waiting, 0);
    for (;;) {
        if (atomic_load_explicit(&cpu->poll, memory_order_relaxed))
            atomic_store(&cpu->poll, 0); // before the look at what it was for
        if (cpu->wrote_count)
            stop_written_after(cpu);
        if (must_leave(cpu))
            break;
        if (state->event & CPU_EVENT_VALID) {
            deliver(cpu);
            cpu->exit = REC_EXIT_LOOKUP;
            continue;
        }
        mode_look(cpu);
        if (cpu->mode == REC_MODE_NONE || state->shadow) {
            cpu->exit = REC_EXIT_LOOKUP; // the jump that it left by does not lead behind this instruction
            if (step(cpu))
                break;
        } else if (go_on(cpu)) {
            break;
        }
    }
    save_vectors(cpu);
    return true;
}

void run_kick(struct engine *engine, unsigned n)
{
    atomic_store(&engine->cpu[n]->kicked, 1);
    atomic_store(&engine->cpu[n]->poll, 1);
}

void run_fetch(struct engine *engine, unsigned n, uint32_t groups)
{
    if (groups & CPU_XSTATE)
        save_vectors(engine->cpu[n]);
}

uint64_t recompiler_trap(struct engine *engine, uint64_t pc, uint64_t sp, uint64_t flags)
{
    const struct blocks *blocks = engine->blocks;
    const struct block *b = blocks_at(blocks, pc);
    const struct block_trap *trap;
    struct rec_cpu *cpu = NULL;

    for (unsigned i = 0; i < engine->count; i++)
        if (sp == (uint64_t)(uintptr_t)&engine->cpu[i]->state)
            cpu = engine->cpu[i];
    if (!b || !cpu)
        return 0;
    trap = (const struct block_trap *)(const void *)(blocks->code.executable + b->traps);
    for (unsigned i = 0; i < b->trap_count; i++) {
        if (blocks_address(blocks, b->code + trap[i].host) != pc)
            continue;
        cpu->offset = trap[i].guest & (PAGE - 1);
        if (trap[i].guest & BLOCK_TRAP_FLAGS)
            cpu->flags = flags_to_cpu(flags);
        return blocks->stubs.interpret;
    }
    return 0;
}
