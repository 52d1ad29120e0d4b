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

static bool is_address(const struct rec_cpu *cpu, uint64_t linear)
{
    return (cpu->mode & REC_MODE_64) ? canonical(linear) : linear >> 32 == 0;
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
    uint8_t flags = page ? atomic_load(&page->flags) : PAGE_CODE;

    while (!(flags & PAGE_NOTED))
        if (atomic_compare_exchange_weak(&page->flags, &flags, flags | PAGE_TAGGED))
            return true;
    return false;
}

/* The page that the stack pointer uses, if it can be written to. */
static bool enter_stack(struct rec_cpu *cpu, uint64_t page)
{
    const struct view *view = cpu->view;
    unsigned n = view_index(page);

    if (view == cpu->kernel_ac || view->write[n] != page)
        return false;
    cpu->stack_page[is_user(cpu)] = (struct rec_stack_page){page, view->addend[n]};
    return true;
}

/*
 * The page of RAM that an access reaches, entered in the view; its guest-physical address as well.
 * NULL: not for translated code.
 */
static uint8_t *enter_page(struct rec_cpu *cpu, uint64_t linear, uint32_t kind, uint64_t *gpa)
{
    uint32_t access = (is_user(cpu) ? WALK_USER : 0) | (kind & REC_ACCESS_WRITE ? WALK_WRITE : 0);
    struct walk_result result;
    enum walk_status status;
    uint8_t *host;

    if (!is_address(cpu, linear))
        return NULL;
    cpu->walk.rflags = cpu->state.rflags; // STAC and CLAC run in place
    cpu->filling = true;
    status = walk_cached(&cpu->walk, &cpu->walks, linear & ~(PAGE - 1), access, &result);
    cpu->filling = false;
    if (status != WALK_OK)
        return NULL;
    host = memory_pointer(&cpu->engine->vm->memory, result.gpa, PAGE);
    if (!host || ((kind & REC_ACCESS_WRITE) && !tag_for_writing(cpu, result.gpa)))
        return NULL;
    view_enter(cpu->view, linear, host, kind & REC_ACCESS_WRITE, result.global, result.page_bits);
    atomic_store_explicit(&cpu->fills, cpu->fills + 1, memory_order_relaxed);
    *gpa = result.gpa;
    return host;
}

/* Could the page be written to? Marks nothing. */
static bool may_write(struct rec_cpu *cpu, uint64_t linear)
{
    struct walk_result result;

    cpu->walk.rflags = cpu->state.rflags;
    return is_address(cpu, linear) &&
           walk(&cpu->walk, linear, WALK_PROBE | WALK_WRITE | (is_user(cpu) ? WALK_USER : 0),
                &result) == WALK_OK;
}

/* The bytes of an operand in two pages, between them and cpu->bounce. */
static void bounce(struct rec_cpu *cpu, uint8_t *first, uint8_t *second, bool out)
{
    unsigned offset = cpu->bounce_linear & (PAGE - 1);

    for (unsigned i = 0; i < cpu->bounce_size; i++, offset++) {
        uint8_t *at = offset < PAGE ? first + offset : second + (offset - PAGE);

        if (out)
            *at = cpu->bounce[1 + i];
        else
            cpu->bounce[1 + i] = *at;
    }
}

/*
 * An operand in two pages: the instruction gets a copy, which rec_commit() writes back. The pages
 * stay what they are until then, since nobody stops this vCPU in between.
 */
static uint64_t fill_two(struct rec_cpu *cpu, uint64_t linear, uint32_t kind)
{
    unsigned size = REC_ACCESS_SIZE(kind);
    uint8_t *first, *second;
    uint64_t gpa;

    if ((kind & (REC_ACCESS_SHARED | REC_ACCESS_FINAL)) && (kind & REC_ACCESS_WRITE))
        return REC_REFUSED;
    if ((kind & REC_ACCESS_WRITE) && !(kind & REC_ACCESS_COMMIT)) {
        cpu->split = REC_SPLIT_ONCE;
        return REC_REFUSED;
    }
    if ((kind & REC_ACCESS_SHARED) || size > REC_BOUNCE)
        return REC_REFUSED;
    if ((kind & REC_ACCESS_WRITE) && !may_write(cpu, (linear | (PAGE - 1)) + 1))
        return REC_REFUSED; // before the first is marked dirty
    first = enter_page(cpu, linear, kind, &gpa);
    second = first ? enter_page(cpu, (linear | (PAGE - 1)) + 1, kind, &gpa) : NULL;
    if (!second)
        return REC_REFUSED;
    cpu->bounce_linear = linear;
    cpu->bounce_size = size;
    bounce(cpu, first, second, false);
    if (kind & REC_ACCESS_WRITE)
        cpu->after_store = cpu->engine->blocks->stubs.commit;
    return (uint64_t)(uintptr_t)&cpu->bounce[1] - linear;
}

void rec_commit(struct rec_cpu *cpu)
{
    struct view *view = cpu->view;
    uint64_t next = (cpu->bounce_linear | (PAGE - 1)) + 1;

    cpu->after_store = cpu->engine->blocks->stubs.stored;
    bounce(cpu, (uint8_t *)(uintptr_t)view->host[view_index(cpu->bounce_linear)],
           (uint8_t *)(uintptr_t)view->host[view_index(next)], true);
}

uint64_t rec_fill(struct rec_cpu *cpu, uint64_t linear, uint32_t kind)
{
    uint64_t page = linear & ~(PAGE - 1), gpa;
    uint8_t *host;

    if ((linear + REC_ACCESS_BEHIND(kind)) & (REC_ACCESS_ALIGN(kind) - 1))
        return REC_REFUSED;
    if ((kind & REC_ACCESS_STACK) && linear - page + REC_ACCESS_SIZE(kind) <= PAGE &&
        enter_stack(cpu, page))
        return cpu->stack_page[is_user(cpu)].addend; // one of several stacks
    if (linear - page + REC_ACCESS_SIZE(kind) > PAGE)
        return fill_two(cpu, linear, kind);
    if (view_recall(cpu->view, linear, kind & (REC_ACCESS_WRITE | REC_ACCESS_WRITTEN))) {
        gpa = 0; // it is writable if that matters
        host = (uint8_t *)(uintptr_t)cpu->view->host[view_index(linear)];
    } else {
        host = enter_page(cpu, linear, kind, &gpa);
        if (!host)
            return REC_REFUSED;
    }
    if ((kind & REC_ACCESS_STACK) && !enter_stack(cpu, page) && (kind & REC_ACCESS_SHARED)) {
        cpu->split = REC_SPLIT_LOOP; // the group would look for it there
        return REC_REFUSED;
    }
    /* Entered as writable when a write comes, which marks the page dirty: not before. */
    if ((kind & REC_ACCESS_WRITTEN) && cpu->view->write[view_index(page)] != page) {
        struct page *code = blocks_page(cpu->engine->blocks, gpa);

        cpu->split = code && atomic_load(&code->flags) & PAGE_NOTED ? REC_SPLIT_LOOP : REC_SPLIT_ONCE;
        return REC_REFUSED;
    }
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
        if (cpu->user[i]->live &&
            (cpu->user[i]->globals || cpu->user[i]->pcid == (cpu->cr4 & CR4_PCIDE ? cpu->cr3 & 0xfff : 0)))
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
