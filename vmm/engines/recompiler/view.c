/* SPDX-License-Identifier: MIT */
/* Views of address spaces. */
#include "vmm/engines/recompiler/view.h"

#include "lib/bytes.h"

#define PAGE    4096ull
#define LONGEST 15u // instruction

/* The regions of large pages (2 and 4 MiB) and of those of 1 GiB, as numbers in one filter. */
#define LARGE(linear) ((linear) >> 22)
#define HUGE(linear)  (((linear) >> 30) + 0x155u)

static const struct view_entry nothing = {VIEW_NO_TAG, VIEW_NO_TAG, 0, 0};

static unsigned bloom_bit(uint64_t number)
{
    return (number ^ number >> 10 ^ number >> 20) & (64 * VIEW_BLOOM - 1);
}

static void bloom_set(uint64_t *bloom, uint64_t number)
{
    unsigned bit = bloom_bit(number);

    bloom[bit / 64] |= 1ull << bit % 64;
}

static bool bloom_has(const uint64_t *bloom, uint64_t number)
{
    unsigned bit = bloom_bit(number);

    return bloom[bit / 64] >> bit % 64 & 1;
}

static void clear(uint64_t *bloom)
{
    bytes_zero(bloom, VIEW_BLOOM * sizeof(*bloom));
}

void view_init(struct view *view, uint64_t unknown)
{
    view->unknown = unknown;
    view->used_count = VIEW_USED + 1;
    view->jumps_used_count = VIEW_USED + 1;
    view_flush(view);
}

void view_flush_jumps(struct view *view)
{
    if (view->jumps_used_count > VIEW_USED) {
        bytes_fill(view->jump_tag, VIEW_NO_TAG, VIEW_JUMPS);
        bytes_fill(view->jump_to, view->unknown, VIEW_JUMPS);
    } else {
        for (unsigned i = 0; i < view->jumps_used_count; i++) {
            view->jump_tag[view->jumps_used[i]] = VIEW_NO_TAG;
            view->jump_to[view->jumps_used[i]] = view->unknown;
        }
    }
    view->jumps_used_count = 0;
    view->local_jumps = false;
    clear(view->jump_pages);
}

void view_flush(struct view *view)
{
    if (view->used_count > VIEW_USED)
        for (unsigned i = 0; i < VIEW_ENTRIES; i++)
            view->entry[i] = nothing;
    else
        for (unsigned i = 0; i < view->used_count; i++)
            view->entry[view->used[i]] = nothing;
    view->used_count = 0;
    view->low = false;
    clear(view->large_pages);
    view_flush_jumps(view);
}

void view_flush_local(struct view *view)
{
    unsigned left = 0;

    if (view->local_jumps)
        view_flush_jumps(view);
    if (view->used_count > VIEW_USED) {
        for (unsigned i = 0; i < VIEW_ENTRIES; i++)
            if (!view->entry[i].global)
                view->entry[i] = nothing;
        return;
    }
    for (unsigned i = 0; i < view->used_count; i++) {
        unsigned n = view->used[i];

        if (view->entry[n].global)
            view->used[left++] = (uint16_t)n;
        else
            view->entry[n] = nothing;
    }
    view->used_count = left;
}

void view_flush_page(struct view *view, uint64_t linear)
{
    uint64_t page = linear & ~(PAGE - 1);
    struct view_entry *e = &view->entry[view_index(linear)];

    if (!(linear >> 63) && !view->low)
        return; // user code's flushes do not concern the kernel's view
    if (bloom_has(view->large_pages, LARGE(linear)) || bloom_has(view->large_pages, HUGE(linear))) {
        view_flush(view);
        return;
    }
    if (e->read == page || e->write == page)
        *e = nothing;
    if (bloom_has(view->jump_pages, linear >> 12))
        view_flush_jumps(view);
}

void view_unwrite(struct view *view, uint64_t host)
{
    for (unsigned i = 0; i < VIEW_ENTRIES; i++)
        if (view->entry[i].write != VIEW_NO_TAG &&
            view->entry[i].write + view->entry[i].addend == host)
            view->entry[i].write = VIEW_NO_TAG;
}

void view_enter(struct view *view, uint64_t linear, uint8_t *host, bool write, bool global,
                unsigned page_bits)
{
    uint64_t page = linear & ~(PAGE - 1);
    unsigned n = view_index(linear);
    struct view_entry *e = &view->entry[n];

    if (view->used_count < VIEW_USED)
        view->used[view->used_count] = (uint16_t)n;
    if (view->used_count <= VIEW_USED)
        view->used_count++;
    view->low |= !(linear >> 63);
    if (page_bits > 12)
        bloom_set(view->large_pages, page_bits > 22 ? HUGE(linear) : LARGE(linear));
    if (e->read != page || e->addend != (uint64_t)(uintptr_t)host - page)
        e->write = VIEW_NO_TAG; // that of another page
    e->read = page;
    e->addend = (uint64_t)(uintptr_t)host - page;
    e->global = global;
    if (write)
        e->write = page;
}

void view_enter_jump(struct view *view, unsigned index, uint64_t linear, uint64_t code,
                     uint32_t block, bool global)
{
    if (view->jumps_used_count < VIEW_USED)
        view->jumps_used[view->jumps_used_count] = (uint16_t)index;
    if (view->jumps_used_count <= VIEW_USED)
        view->jumps_used_count++;
    view->jump_tag[index] = linear;
    view->jump_to[index] = code;
    view->jump_block[index] = block;
    view->local_jumps |= !global;
    view->low |= !(linear >> 63);
    bloom_set(view->jump_pages, linear >> 12);
    bloom_set(view->jump_pages, (linear + LONGEST - 1) >> 12); // where its code may reach into
}
