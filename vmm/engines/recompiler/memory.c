/* SPDX-License-Identifier: MIT */
/* Misses of the TLB; views for address spaces; what flushes them. */
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/memory.h"

#define PAGE 4096ull
#define NO_FLUSH (1ull << 63) // of a value for CR3

/* No address lies in this page: it is not canonical, so an access that gets here faults. */
#define NO_STACK_PAGE (1ull << 63)

static bool canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static void forget_stack(struct rec_cpu *cpu)
{
    for (unsigned i = 0; i < 2; i++)
        cpu->stack_page[i] = (struct rec_stack_page){NO_STACK_PAGE, 0};
}

static bool is_user(const struct rec_cpu *cpu)
{
    return cpu->mode & REC_MODE_USER;
}

/* May `host` be written to without notice? Marks the page so that whoever makes it code knows. */
static bool tag_for_writing(struct rec_cpu *cpu, uint64_t gpa)
{
    struct page *page = blocks_page(cpu->engine->blocks, gpa);

    return page && !(atomic_fetch_or(&page->flags, PAGE_TAGGED) & PAGE_CODE);
}

/* The page that the stack pointer uses, if it can be written to. */
static bool enter_stack(struct rec_cpu *cpu, uint64_t page, const uint8_t *host)
{
    if (cpu->view == cpu->kernel_ac || cpu->view->entry[view_index(page)].write != page)
        return false;
    cpu->stack_page[is_user(cpu)] =
        (struct rec_stack_page){page, (uint64_t)(uintptr_t)host - page};
    return true;
}

uint64_t rec_fill(struct rec_cpu *cpu, uint64_t linear, uint32_t kind)
{
    unsigned size = REC_ACCESS_SIZE(kind), offset = linear & (PAGE - 1);
    uint32_t access = (is_user(cpu) ? WALK_USER : 0) | (kind & REC_ACCESS_WRITE ? WALK_WRITE : 0);
    uint64_t page = linear - offset;
    struct walk_result result;
    uint8_t *host;

    if (offset + size > PAGE && (kind & REC_ACCESS_SHARED)) {
        cpu->split = 1;
        return REC_REFUSED;
    }
    if (offset + size > PAGE || ((kind & REC_ACCESS_ALIGNED) && (linear & (size - 1))))
        return REC_REFUSED;
    if ((cpu->mode & REC_MODE_64) ? !canonical(linear) : linear >> 32 != 0)
        return REC_REFUSED;
    cpu->walk.rflags = cpu->state.rflags; // STAC and CLAC run in place
    if (walk_cached(&cpu->walk, &cpu->walks, page, access, &result) != WALK_OK)
        return REC_REFUSED;
    host = memory_pointer(&cpu->engine->vm->memory, result.gpa, PAGE);
    if (!host || ((kind & REC_ACCESS_WRITE) && !tag_for_writing(cpu, result.gpa)))
        return REC_REFUSED;
    view_enter(cpu->view, linear, host, kind & REC_ACCESS_WRITE, result.global, result.page_bits);
    if ((kind & REC_ACCESS_STACK) && !enter_stack(cpu, page, host) && (kind & REC_ACCESS_SHARED)) {
        cpu->split = 1; // the group would look for it there
        return REC_REFUSED;
    }
    atomic_store_explicit(&cpu->fills, cpu->fills + 1, memory_order_relaxed);
    return (uint64_t)(uintptr_t)host - page;
}

/* --- Views --- */

static struct view *user_view(struct rec_cpu *cpu)
{
    uint16_t pcid = cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0;
    struct view *oldest = cpu->user[0];

    for (unsigned i = 0; i < REC_USER_VIEWS; i++) {
        struct view *v = cpu->user[i];

        if (v->live && v->pcid == pcid)
            return v;
        if (!v->live || (oldest->live && (int)(v->clock - oldest->clock) < 0))
            oldest = v;
    }
    if (oldest->live)
        view_flush(oldest);
    oldest->live = true;
    oldest->pcid = pcid;
    return oldest;
}

void memory_choose_view(struct rec_cpu *cpu)
{
    struct view *view;

    if (!is_user(cpu)) {
        bool ac = (cpu->cr4 & CR4_SMAP) && (cpu->state.rflags & RFLAGS_AC);

        view = ac ? cpu->kernel_ac : cpu->kernel;
    } else {
        if (!cpu->current_user) {
            cpu->current_user = user_view(cpu);
            cpu->stack_page[1].low = NO_STACK_PAGE;
            cpu->stack_page[1].addend = 0;
        }
        view = cpu->current_user;
        view->clock = ++cpu->user_clock;
    }
    cpu->view = view;
    if (view->mode == cpu->mode)
        return;
    view_flush_jumps(view);
    view->mode = cpu->mode;
    if (!is_user(cpu)) { // STAC and CLAC change between these in place
        view = view == cpu->kernel ? cpu->kernel_ac : cpu->kernel;
        view_flush_jumps(view);
        view->mode = cpu->mode;
    }
}

void memory_flush_all(struct rec_cpu *cpu)
{
    view_flush(cpu->kernel);
    view_flush(cpu->kernel_ac);
    for (unsigned i = 0; i < REC_USER_VIEWS; i++) {
        view_flush(cpu->user[i]);
        cpu->user[i]->live = false;
    }
    cpu->current_user = NULL;
    forget_stack(cpu);
}

void memory_flush_page(struct rec_cpu *cpu, uint64_t linear)
{
    view_flush_page(cpu->kernel, linear);
    view_flush_page(cpu->kernel_ac, linear);
    for (unsigned i = 0; i < REC_USER_VIEWS; i++)
        if (cpu->user[i]->live && cpu->user[i]->pcid == (cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0))
            view_flush_page(cpu->user[i], linear);
    forget_stack(cpu);
}

static void flush_pcid(struct rec_cpu *cpu, uint16_t pcid)
{
    for (unsigned i = 0; i < REC_USER_VIEWS; i++)
        if (cpu->user[i]->live && cpu->user[i]->pcid == pcid) {
            view_flush(cpu->user[i]);
            cpu->user[i]->live = false;
        }
    cpu->current_user = NULL;
}

void memory_loaded_cr3(struct rec_cpu *cpu, uint64_t value)
{
    bool pcide = cpu->cr4 & CR4_PCIDE;

    if (!pcide || !(value & NO_FLUSH))
        flush_pcid(cpu, pcide ? value & 0xfff : 0);
    cpu->current_user = NULL;
    view_flush_local(cpu->kernel);
    view_flush(cpu->kernel_ac);
    forget_stack(cpu);
}

void memory_unwrite(struct rec_cpu *cpu, const uint8_t *host)
{
    uint64_t page = (uint64_t)(uintptr_t)host;

    view_unwrite(cpu->kernel, page);
    view_unwrite(cpu->kernel_ac, page);
    for (unsigned i = 0; i < REC_USER_VIEWS; i++)
        if (cpu->user[i]->live)
            view_unwrite(cpu->user[i], page);
    for (unsigned i = 0; i < 2; i++)
        if (cpu->stack_page[i].low + cpu->stack_page[i].addend == page)
            cpu->stack_page[i] = (struct rec_stack_page){NO_STACK_PAGE, 0};
}

void memory_forget_jumps(struct rec_cpu *cpu)
{
    view_flush_jumps(cpu->kernel);
    view_flush_jumps(cpu->kernel_ac);
    for (unsigned i = 0; i < REC_USER_VIEWS; i++)
        view_flush_jumps(cpu->user[i]);
}
