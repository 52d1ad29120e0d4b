/* SPDX-License-Identifier: MIT */
/* The lockstep: translations that the guest has changed and not flushed. */
#include "vmm/engines/recompiler/lockstep_trial.h"
#include "vmm/engines/recompiler/memory.h"

#include "lib/string.h"

#define PAGE 4096ull

/* Would a walk now come to another page, or mark an entry? The marks are taken back. */
static bool is_stale(struct lockstep *l, uint64_t linear, bool write, uint64_t host, uint64_t rflags)
{
    const struct rec_cpu *cpu = l->cpu;
    uint32_t access = (cpu->mode & REC_MODE_USER ? WALK_USER : 0) | (write ? WALK_WRITE : 0);
    struct walk now = cpu->walk;
    struct walk_result result;
    bool same;

    now.ram = lockstep_ram;
    now.arg = l;
    now.rflags = rflags;
    l->write_count = 0;
    same = walk(&now, linear, access, &result) == WALK_OK &&
           (uint64_t)(uintptr_t)memory_pointer(&cpu->engine->vm->memory, result.gpa, PAGE) == host;
    for (unsigned i = 0; i < l->write_count; i++)
        same = same && memcmp(l->write[i].host, l->write[i].before, l->write[i].size) == 0;
    lockstep_undo(l);
    return !same;
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

bool lockstep_is_explained(struct lockstep *l)
{
    struct rec_cpu *cpu = l->cpu;
    bool user = cpu->mode & REC_MODE_USER;

    if (!has_stale_stack(l) && !(user ? has_stale(l, cpu->view, 0)
                                      : has_stale(l, cpu->kernel, 0) ||
                                            has_stale(l, cpu->kernel_ac, RFLAGS_AC)))
        return false;
    memory_flush_all(cpu);
    l->stale++;
    return true;
}
