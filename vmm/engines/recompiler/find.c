/* SPDX-License-Identifier: MIT */
/* The block for an address: translated if need be, chained, entered in the jump tables. */
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/find.h"
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/stop.h"

#include "vmm/cpu/disasm.h"

#define PAGE 4096ull

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

/* A line for the block, and one for each of its instructions. */
static void trace_block(struct rec_cpu *cpu, const struct origin *place, const struct block *block)
{
    struct vm *vm = cpu->engine->vm;
    unsigned offset = place->offset, mode = place->mode & REC_MODE_64 ? 8 : 4;
    struct insn insn;
    char text[96];

    vm_trace(vm, "%u blocks %lx: at %lx, %u bytes, mode %x", cpu->vcpu->id, cpu->state.rip,
             place->page + offset, block->end - place->offset, place->mode);
    while (offset < block->end && offset < PAGE &&
           decode(place->bytes + offset, PAGE - offset, mode, &insn) == DECODE_OK) {
        uint64_t at = cpu->state.rip - place->offset + offset;

        disasm(&insn, mode, at, text, sizeof(text));
        vm_trace(vm, "%u blocks   %lx %s", cpu->vcpu->id, at, text);
        offset += insn.length;
    }
}

static enum found find_locked(struct rec_cpu *cpu, const struct origin *place, struct block **block)
{
    struct blocks *blocks = cpu->engine->blocks;

    *block = blocks_find(blocks, place);
    if (*block)
        return FOUND;
    if (!stop_is_watched(blocks_page(blocks, place->page), PAGE_CODE) ||
        (place->page2 != BLOCK_ONE_PAGE && !stop_is_watched(blocks_page(blocks, place->page2), PAGE_CODE)))
        return AGAIN;
    *block = blocks_translate(blocks, place);
    if (*block && vm_traces(cpu->engine->vm, TRACE_BLOCKS))
        trace_block(cpu, place, *block);
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
bool find_is_once(const struct rec_cpu *cpu)
{
    return cpu->exit == REC_EXIT_CHAIN_PLAIN || cpu->exit == REC_EXIT_PLAIN;
}

static bool place_at(struct rec_cpu *cpu, uint64_t linear, struct origin *place, bool *global)
{
    place->offset = linear & (PAGE - 1);
    place->mode = cpu->mode | (find_is_once(cpu) ? REC_MODE_PLAIN : cpu->plain);
    place->page2 = BLOCK_ONE_PAGE;
    *global = true;
    if (!fetch_page(cpu, linear, &place->page, &place->bytes, global))
        return false;
    return !blocks_crosses(place->bytes, place->offset, cpu->mode) ||
           fetch_page(cpu, (linear | (PAGE - 1)) + 1, &place->page2, &place->bytes2, global);
}

/* The block at RIP, made if need be. NULL: the interpreter has to fetch there. */
struct block *find_block(struct rec_cpu *cpu, uint64_t *flushes, bool *global)
{
    struct engine *engine = cpu->engine;
    uint64_t linear = cpu->state.rip;
    struct block *block;
    struct origin place;
    enum found found;

    found = place_at(cpu, linear, &place, global) ? FOUND : NOT_FOUND;
    stop_written_after(cpu); // the walk may have marked an entry of a table that is code
    if (found == NOT_FOUND)
        return NULL;
    do {
        stop_watch(cpu, place.page, place.bytes, PAGE_CODE);
        if (place.page2 != BLOCK_ONE_PAGE)
            stop_watch(cpu, place.page2, place.bytes2, PAGE_CODE);
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
void find_chain(struct rec_cpu *cpu, const struct block *block)
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

/* The quick way: what the view's jump tables know of RIP. NULL: to be looked for. */
struct block *find_quickly(struct rec_cpu *cpu)
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
void find_enter_jump(struct rec_cpu *cpu, const struct block *block, bool global)
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
