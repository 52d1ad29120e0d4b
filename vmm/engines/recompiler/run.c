/* SPDX-License-Identifier: MIT */
/*
 * The dispatcher: into translated code, out of it, and the interpreter for what is not translated.
 */
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/lockstep.h"
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/run.h"

#include "vmm/cpu/deliver.h"
#include "vmm/cpu/xstate.h"

#define PAGE 4096ull
#define GP   13u
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

/* --- Stopping all --- */

static void stop(struct engine *engine, const struct rec_cpu *self)
{
    host_mutex_lock(engine->lock);
    atomic_store(&engine->stopping, 1);
    for (unsigned i = 0; i < engine->count; i++) {
        struct rec_cpu *other = engine->cpu[i];

        if (other == self)
            continue;
        atomic_store(&other->poll, 1);
        while (atomic_load(&other->inside))
            host_yield();
    }
}

static void resume(struct engine *engine)
{
    atomic_store(&engine->stopping, 0);
    host_mutex_unlock(engine->lock);
}

void rec_stop_all(struct rec_cpu *cpu)
{
    if (cpu->exclusive)
        return;
    stop(cpu->engine, cpu);
    cpu->exclusive = true;
}

void rec_resume_all(struct rec_cpu *cpu)
{
    if (!cpu->exclusive)
        return;
    cpu->exclusive = false;
    resume(cpu->engine);
}

/* A device has written to guest RAM: code that was there is no more. From any thread. */
void run_device_wrote(void *arg, uint64_t gpa, uint64_t size)
{
    struct engine *engine = arg;

    atomic_thread_fence(memory_order_seq_cst); // the write is before the look at the page
    for (uint64_t at = gpa & ~(PAGE - 1); at < gpa + size; at += PAGE) {
        struct page *page = blocks_page(engine->blocks, at);

        if (!page || !(atomic_load(&page->flags) & PAGE_CODE))
            continue;
        stop(engine, NULL);
        blocks_drop_page(engine->blocks, page);
        resume(engine);
    }
}

/* Waits until nobody wants translated code for himself, and is in it. */
static void go_inside(struct rec_cpu *cpu)
{
    for (;;) {
        atomic_store(&cpu->inside, 1);
        if (!atomic_load(&cpu->engine->stopping))
            return;
        atomic_store(&cpu->inside, 0);
        host_mutex_lock(cpu->engine->lock);
        host_mutex_unlock(cpu->engine->lock);
    }
}

/* --- Written pages --- */

static void note_write(struct rec_cpu *cpu, uint64_t gpa, uint64_t size)
{
    struct engine *engine = cpu->engine;
    struct page *page = blocks_page(engine->blocks, gpa);

    if (!page || !(atomic_load_explicit(&page->flags, memory_order_relaxed) & PAGE_CODE))
        return;
    rec_stop_all(cpu); // until the instruction is done
    if (blocks_overlap(engine->blocks, page, gpa & (PAGE - 1), (unsigned)size) ||
        ++page->writes == 0)
        blocks_drop_page(engine->blocks, page);
}

/*
 * The interpreter is about to write. What is no code yet may become code before the write is done,
 * with what was there before: looked at again by written_after(), or nobody else runs meanwhile.
 */
void run_written(struct engine *engine, unsigned vcpu, uint64_t gpa, uint64_t size)
{
    struct rec_cpu *cpu = engine->cpu[vcpu];

    note_write(cpu, gpa, size);
    if (engine->blocks->alone || cpu->exclusive)
        return;
    if (cpu->wrote_count == REC_WROTE)
        rec_stop_all(cpu);
    else
        cpu->wrote[cpu->wrote_count++] = (struct rec_wrote){gpa, size};
}

/* The interpreter has written. */
static void written_after(struct rec_cpu *cpu)
{
    if (cpu->wrote_count)
        atomic_thread_fence(memory_order_seq_cst); // the write is before the look at the page
    for (unsigned i = 0; i < cpu->wrote_count; i++)
        note_write(cpu, cpu->wrote[i].gpa, cpu->wrote[i].size);
    cpu->wrote_count = 0;
    rec_resume_all(cpu);
}

/* --- Mode --- */

static bool flat(const struct cpu_segment *s)
{
    return s->base == 0 && s->limit == 0xffffffffu && (s->attr & CPU_SEG_P);
}

static bool flat_data(const struct cpu_segment *s)
{
    return flat(s) && (s->attr & 0xe) == 2; // writable, expands up
}

static bool flat_limit(const struct cpu_segment *s)
{
    return s->limit == 0xffffffffu && (s->attr & CPU_SEG_P) && (s->attr & 0xe) == 2;
}

/* 32-bit code: flat, or not for us. FS and GS may have a base; a null one is never used. */
static bool flat_code(const struct cpu_state *s)
{
    return (s->cr0 & CR0_PE) && (s->cs.attr & CPU_SEG_DB) && (s->ss.attr & CPU_SEG_DB) &&
           flat(&s->cs) && (s->cs.attr & 2) && flat_data(&s->ss) && flat_data(&s->ds) &&
           flat_data(&s->es);
}

static uint32_t mode_of(const struct cpu_state *s)
{
    uint32_t mode = 0;
    bool user = (s->ss.attr & CPU_SEG_DPL) == CPU_SEG_DPL;

    if (!user && (s->ss.attr & CPU_SEG_DPL) && (s->cr0 & CR0_PE))
        return REC_MODE_NONE; // neither user nor privileged
    if ((s->rflags & (RFLAGS_TF | RFLAGS_VM)) || (s->dr7 & 0xff))
        return REC_MODE_NONE;
    if (user && (s->rflags & RFLAGS_AC) && (s->cr0 & CR0_AM))
        return REC_MODE_NONE;
    if ((s->efer & EFER_LMA) && (s->cs.attr & CPU_SEG_L)) {
        mode |= REC_MODE_64;
    } else {
        if (!flat_code(s))
            return REC_MODE_NONE;
        if (flat_limit(&s->fs))
            mode |= REC_MODE_FS;
        if (flat_limit(&s->gs))
            mode |= REC_MODE_GS;
    }
    if (user)
        mode |= REC_MODE_USER;
    else if (s->cr4 & CR4_SMAP)
        mode |= REC_MODE_SMAP;
    if (!user || !(s->cr4 & CR4_TSD))
        mode |= REC_MODE_CLOCK;
    if (s->cr4 & CR4_FSGSBASE)
        mode |= REC_MODE_BASES;
    if (!(s->cr0 & (CR0_EM | CR0_TS))) {
        mode |= REC_MODE_X87;
        if (s->cr4 & CR4_OSFXSR)
            mode |= REC_MODE_SSE;
        if ((s->cr4 & CR4_OSXSAVE) && (s->xcr0 & 6) == 6)
            mode |= REC_MODE_AVX;
    }
    return mode;
}

#define CR0_PAGING (CR0_PE | CR0_WP | CR0_PG)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57)

/* What the guest changed of its mode; anything but a load of CR3 empties the views. */
static void look_at_mode(struct rec_cpu *cpu)
{
    const struct cpu_state *s = &cpu->state;

    if (((s->cr0 ^ cpu->cr0) & CR0_PAGING) || ((s->cr4 ^ cpu->cr4) & CR4_PAGING) ||
        s->efer != cpu->efer) {
        cpu->cr4 = s->cr4;
        cpu->cr3 = s->cr3;
        memory_flush_all(cpu);
    }
    cpu->cr0 = s->cr0;
    cpu->cr3 = s->cr3;
    cpu->cr4 = s->cr4;
    cpu->efer = s->efer;
    cpu->mode = mode_of(s);
    cpu->walk.cr0 = s->cr0;
    cpu->walk.cr3 = s->cr3;
    cpu->walk.cr4 = s->cr4;
    cpu->walk.efer = s->efer;
    cpu->walk.rflags = s->rflags;
    if (cpu->mode != REC_MODE_NONE)
        memory_choose_view(cpu);
}

/* --- Blocks --- */

/* Not while another vCPU is still taking the tags away. */
static bool is_code(struct blocks *blocks, uint64_t gpa)
{
    unsigned flags = atomic_load(&blocks_page(blocks, gpa)->flags);

    return (flags & (PAGE_CODE | PAGE_TAGGED)) == PAGE_CODE;
}

/* Makes the page one that may hold code: whoever writes to it is noticed from now on. */
static void watch(struct rec_cpu *cpu, uint64_t gpa, const uint8_t *host)
{
    struct engine *engine = cpu->engine;
    struct page *page = blocks_page(engine->blocks, gpa);

    if (is_code(engine->blocks, gpa) || !(atomic_fetch_or(&page->flags, PAGE_CODE) & PAGE_TAGGED))
        return;
    rec_stop_all(cpu);
    for (unsigned i = 0; i < engine->count; i++)
        memory_unwrite(engine->cpu[i], host);
    atomic_fetch_and(&page->flags, (uint8_t)~PAGE_TAGGED);
    rec_resume_all(cpu);
}

static void flush_cache(struct rec_cpu *cpu)
{
    struct engine *engine = cpu->engine;

    rec_stop_all(cpu);
    blocks_flush(engine->blocks);
    for (unsigned i = 0; i < engine->count; i++)
        memory_forget_jumps(engine->cpu[i]);
    rec_resume_all(cpu);
}

enum found { FOUND, NOT_FOUND, AGAIN, FULL };

static enum found find_locked(struct rec_cpu *cpu, const struct origin *place, struct block **block)
{
    struct blocks *blocks = cpu->engine->blocks;

    *block = blocks_find(blocks, place);
    if (*block)
        return FOUND;
    if (!is_code(blocks, place->page) ||
        (place->page2 != BLOCK_ONE_PAGE && !is_code(blocks, place->page2)))
        return AGAIN;
    *block = blocks_translate(blocks, place);
    return *block ? FOUND : FULL;
}

/* The page of RAM to fetch from at `linear`. False: the interpreter has to. */
static bool fetch_page(struct rec_cpu *cpu, uint64_t linear, uint64_t *gpa, const uint8_t **host,
                       bool *global)
{
    struct walk_result result;

    if ((cpu->mode & REC_MODE_64) ? (uint64_t)((int64_t)(linear << 16) >> 16) != linear
                                  : linear >> 32 != 0)
        return false;
    if (walk_cached(&cpu->walk, &cpu->walks, linear,
                    WALK_FETCH | (cpu->mode & REC_MODE_USER ? WALK_USER : 0), &result) != WALK_OK)
        return false;
    *gpa = result.gpa & ~(PAGE - 1);
    *host = memory_pointer(&cpu->engine->vm->memory, *gpa, PAGE);
    *global = *global && result.global;
    return *host && blocks_page(cpu->engine->blocks, *gpa);
}

/* Is the next block to be without shared checks, whatever comes then? */
static bool is_once(const struct rec_cpu *cpu)
{
    return cpu->exit == REC_EXIT_CHAIN_PLAIN || cpu->exit == REC_EXIT_PLAIN;
}

static bool place_at(struct rec_cpu *cpu, uint64_t linear, struct origin *place, bool *global)
{
    place->offset = linear & (PAGE - 1);
    place->mode = cpu->mode | (is_once(cpu) ? REC_MODE_PLAIN : cpu->plain);
    place->page2 = BLOCK_ONE_PAGE;
    *global = true;
    if (!fetch_page(cpu, linear, &place->page, &place->bytes, global))
        return false;
    return !blocks_crosses(place->bytes, place->offset, cpu->mode) ||
           fetch_page(cpu, (linear | (PAGE - 1)) + 1, &place->page2, &place->bytes2, global);
}

/* The block at RIP, made if need be. NULL: the interpreter has to fetch there. */
static struct block *find(struct rec_cpu *cpu, uint64_t *flushes, bool *global)
{
    struct engine *engine = cpu->engine;
    uint64_t linear = cpu->state.rip;
    struct block *block;
    struct origin place;
    enum found found;

    if (!place_at(cpu, linear, &place, global))
        return NULL;
    do {
        watch(cpu, place.page, place.bytes);
        if (place.page2 != BLOCK_ONE_PAGE)
            watch(cpu, place.page2, place.bytes2);
        host_mutex_lock(engine->lock);
        found = find_locked(cpu, &place, &block);
        *flushes = engine->blocks->flushes;
        host_mutex_unlock(engine->lock);
        if (found == FULL)
            flush_cache(cpu);
    } while (found != FOUND);
    cpu->page = linear & ~(PAGE - 1);
    return block;
}

/* The jump at cpu->site goes to `block` from now on, if both are in one page. */
static void chain(struct rec_cpu *cpu, const struct block *block)
{
    struct blocks *blocks = cpu->engine->blocks;
    const struct block *from;

    host_mutex_lock(cpu->engine->lock);
    from = blocks_at(blocks, cpu->site);
    if (from && block->page2 == BLOCK_ONE_PAGE && !from->dead && !block->dead && from->page == block->page &&
        !((from->mode ^ block->mode) & ~REC_MODE_PLAIN) && blocks->flushes == cpu->flushes) {
        struct emit e = blocks->emit;
        uint32_t to = cpu->exit == REC_EXIT_CHAIN_DIRECT ? block->direct : block->entry;

        emit_set(&e, (uint8_t *)(uintptr_t)(cpu->site - (uint64_t)e.executable),
                 blocks_address(blocks, to));
    }
    host_mutex_unlock(cpu->engine->lock);
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

        memory_loaded_cr3(cpu, value);
    } else if (insn->map == MAP_0F && insn->opcode == 0x01 && insn->memory &&
               (insn->modrm >> 3 & 7) == 7) { // INVLPG
        memory_flush_page(cpu, cpu->invlpg);
    } else if (insn->map == MAP_38 && insn->opcode == 0x82) { // INVPCID
        memory_flush_all(cpu);
    }
}

/* The address INVLPG means, before it is executed. */
static uint64_t invlpg_address(const struct cpu_state *s, const struct insn *i)
{
    uint64_t address = (uint64_t)(int64_t)i->disp;

    if (i->base == INSN_RIP)
        address += s->rip;
    else if (i->base != INSN_NO_REG)
        address += i->base == CPU_RSP ? s->rsp : s->gpr[i->base];
    if (i->index != INSN_NO_REG)
        address += s->gpr[i->index] << i->scale;
    if (i->addrsize == 4)
        address = (uint32_t)address;
    return address + (i->segment == SEG_FS ? s->fs.base : i->segment == SEG_GS ? s->gs.base : 0);
}

/* One instruction by the interpreter. True: the vCPU has to do something. */
static bool step(struct rec_cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    struct interp *interp = vcpu_interp(vcpu);
    enum interp_status status;

    atomic_store_explicit(&cpu->interpreted, cpu->interpreted + 1, memory_order_relaxed);
    cpu->after_store = cpu->engine->blocks->stubs.stored; // a store that trapped has not been made
    status = interp_step(interp);
    written_after(cpu);
    switch (status) {
    case INTERP_DONE:
        cpu->invlpg = interp->insn.map == MAP_0F && interp->insn.opcode == 0x01
                          ? invlpg_address(&cpu->state, &interp->insn) : 0;
        after_step(cpu, &interp->insn);
        return false;
    case INTERP_AGAIN:
        return false;
    case INTERP_FAULT:
        fault(cpu);
        return false;
    case INTERP_EXIT:
        return true;
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
    written_after(cpu);
    switch (status) {
    case INTERP_DONE:  cpu->state.event = 0; break;
    case INTERP_FAULT: fault(cpu); break;
    default:           vcpu_exception(vcpu, GP, 0); break; // a task gate
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

/* The quick way: what the view's jump tables know of RIP. NULL: to be looked for. */
static struct block *find_quickly(struct rec_cpu *cpu)
{
    struct blocks *blocks = cpu->engine->blocks;
    uint64_t rip = cpu->state.rip;
    unsigned index = blocks_jump_index(blocks, rip);
    struct block *block;

    if (cpu->view->jump_tag[index] != rip)
        index = view_second(rip);
    if (cpu->view->jump_tag[index] != rip || rip == VIEW_NO_TAG)
        return NULL;
    block = &blocks->block[cpu->view->jump_block[index]];
    return block->dead ? NULL : block;
}

/* Jumps to RIP lead to the block from now on. What was in its place gets another. */
static void enter_jump(struct rec_cpu *cpu, const struct block *block, bool global)
{
    struct blocks *blocks = cpu->engine->blocks;
    struct view *view = cpu->view;
    unsigned index = blocks_jump_index(blocks, cpu->state.rip);
    uint64_t driven_out = view->jump_tag[index];
    const struct block *other = &blocks->block[view->jump_block[index]];

    if (driven_out != VIEW_NO_TAG && driven_out != cpu->state.rip && !other->dead)
        view_enter_jump(view, view_second(driven_out), driven_out,
                        blocks_address(blocks, other->checked), view->jump_block[index], !view->local_jumps);
    view_enter_jump(view, index, cpu->state.rip, blocks_address(blocks, block->code),
                    (uint32_t)(block - blocks->block), global);
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
        go_inside(cpu);
        block = find_quickly(cpu);
        if (block) {
            cpu->flushes = engine->blocks->flushes;
            cpu->page = cpu->state.rip & ~(PAGE - 1);
            enter(cpu, block);
            return after_block(cpu);
        }
        atomic_store(&cpu->inside, 0);
    }
    block = find(cpu, &flushes, &global);
    if (!block) {
        cpu->exit = REC_EXIT_LOOKUP; // its jump leads to where nothing is known
        return step(cpu);
    }
    if (engine->lockstep)
        return in_lockstep(cpu, block);
    if (chains)
        chain(cpu, block);
    plain = cpu->plain || is_once(cpu);
    cpu->exit = REC_EXIT_LOOKUP;
    go_inside(cpu);
    /* A flush, or a write to its page, may have come in between. */
    if (block->dead || engine->blocks->flushes != flushes) {
        atomic_store(&cpu->inside, 0);
        return false;
    }
    cpu->flushes = flushes;
    if (!plain)
        enter_jump(cpu, block, global);
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
    written_after(cpu); // by the vCPU itself, between two runs
    for (;;) {
        if (atomic_load_explicit(&cpu->poll, memory_order_relaxed))
            atomic_store(&cpu->poll, 0); // before the look at what it was for
        if (must_leave(cpu))
            break;
        if (state->event & CPU_EVENT_VALID) {
            deliver(cpu);
            continue;
        }
        look_at_mode(cpu);
        if (cpu->mode == REC_MODE_NONE || state->shadow ? step(cpu) : go_on(cpu))
            break;
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
