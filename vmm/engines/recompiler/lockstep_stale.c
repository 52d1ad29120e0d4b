/* SPDX-License-Identifier: MIT */
/* The lockstep: translations that the guest has changed and not flushed. */
#include "vmm/engines/recompiler/lockstep_trial.h"
#include "vmm/engines/recompiler/memory.h"

#include "lib/string.h"

#define PAGE 4096ull

/* Does a walk now lead to a page, and without marking an entry? Marks are taken back. */
static bool leads(struct lockstep *l, uint64_t linear, uint32_t access, uint64_t rflags,
                  uint64_t *gpa)
{
    struct walk now = l->cpu->walk;
    struct walk_result result;
    bool same;

    now.ram = lockstep_ram;
    now.arg = l;
    now.rflags = rflags;
    l->write_count = 0;
    if (l->cpu->mode & REC_MODE_USER)
        access |= WALK_USER;
    same = walk(&now, linear, access, &result) == WALK_OK;
    for (unsigned i = 0; i < l->write_count; i++)
        same = same && memcmp(l->write[i].host, l->write[i].before, l->write[i].size) == 0;
    lockstep_undo(l);
    *gpa = same ? result.gpa : 0;
    return same;
}

static bool is_stale(struct lockstep *l, uint64_t linear, bool write, uint64_t host, uint64_t rflags)
{
    struct memory *memory = &l->cpu->engine->vm->memory;
    uint64_t gpa;

    return !leads(l, linear, write ? WALK_WRITE : 0, rflags, &gpa) ||
           (uint64_t)(uintptr_t)memory_pointer(memory, gpa, PAGE) != host;
}

static bool has_stale(struct lockstep *l, const struct view *view, uint64_t rflags)
{
    for (unsigned n = 0; n < VIEW_ALL; n++) {
        bool write = view->write[n] != view_empty(n);
        uint64_t tag = write ? view->write[n] : view->read[n];

        if (tag != view_empty(n) && is_stale(l, tag, write, view->host[n], rflags))
            return true;
    }
    return false;
}

static bool has_stale_stack(struct lockstep *l)
{
    const struct rec_stack_page *stack = &l->cpu->stack_page[l->cpu->mode & REC_MODE_USER ? 1 : 0];

    return stack->low >> 63 == (stack->low >> 47 & 1) && // else there is none
           is_stale(l, stack->low, true, stack->low + stack->addend, 0);
}

/* Where the trial fetched from. */
static bool has_stale_code(struct lockstep *l)
{
    uint64_t last = 1, gpa; // no page's

    for (unsigned i = 0; i < l->step_count; i++) {
        uint64_t linear = l->state.cs.base + l->step[i].rip;
        uint64_t page = (l->interp.mode == 8 ? linear : (uint32_t)linear) & ~(PAGE - 1);

        if (page != last && !leads(l, page, WALK_FETCH, 0, &gpa))
            return true;
        last = page;
    }
    return false;
}

bool lockstep_is_explained(struct lockstep *l)
{
    struct rec_cpu *cpu = l->cpu;
    bool user = cpu->mode & REC_MODE_USER;
    bool data = user ? has_stale(l, cpu->view, 0)
                     : has_stale(l, cpu->kernel, 0) || has_stale(l, cpu->kernel_ac, RFLAGS_AC);

    if (!data && !has_stale_stack(l) && !has_stale_code(l))
        return false;
    memory_flush_all(cpu);
    l->stale++;
    return true;
}
