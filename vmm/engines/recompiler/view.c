/* SPDX-License-Identifier: MIT */
/* Views of address spaces. */
#include "vmm/engines/recompiler/view.h"

#include "lib/bytes.h"

#define PAGE    4096ull
#define LONGEST 15u // instruction

/* The regions of large pages (2 and 4 MiB) and of those of 1 GiB, as numbers in one filter. */
#define LARGE(linear) ((linear) >> 22)
#define HUGE(linear)  (((linear) >> 30) + 0x155u)

static unsigned bloom_bit(uint64_t number)
{
    return (number ^ number >> 12 ^ number >> 24) & (64 * VIEW_BLOOM - 1);
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

void view_init(struct view *view, uint64_t unknown, uint64_t unknown2)
{
    view->unknown = unknown;
    view->unknown2 = unknown2;
    view->used_count[0] = VIEW_USED + 1; // all that is, none being global yet
    view->jumps_used_count = VIEW_LEADS + 1;
    view_flush(view);
}

static void forget_lead(struct view *view, unsigned n)
{
    view->jump_tag[n] = VIEW_NO_TAG;
    view->jump_to[n] = n < VIEW_JUMPS ? view->unknown : view->unknown2;
}

void view_flush_jumps(struct view *view)
{
    if (view->jumps_used_count > VIEW_LEADS) {
        bytes_fill(view->jump_tag, VIEW_NO_TAG, VIEW_JUMPS + VIEW_SECOND);
        bytes_fill(view->jump_to, view->unknown, VIEW_JUMPS);
        bytes_fill(view->jump_to + VIEW_JUMPS, view->unknown2, VIEW_SECOND);
    } else {
        for (unsigned i = 0; i < view->jumps_used_count; i++)
            forget_lead(view, view->jumps_used[i]);
    }
    view->jumps_used_count = 0;
    view->local_jumps = false;
    clear(view->jump_pages);
}

/* Where a page is kept that has been driven out of its entry. */
static unsigned driven_index(uint64_t page)
{
    uint64_t number = page >> 12;

    return VIEW_ENTRIES + ((number ^ number >> 11 ^ number >> 22) & (VIEW_DRIVEN - 1));
}

static void forget(struct view *view, unsigned n)
{
    view->read[n] = view->write[n] = view_empty(n);
}

/* What has been used by entries that are global, or by those that are not. */
static void forget_used(struct view *view, bool global)
{
    if (view->used_count[global] > VIEW_USED)
        for (unsigned i = 0; i < VIEW_ALL; i++) {
            if (view->global[i] == global)
                forget(view, i);
        }
    else
        for (unsigned i = 0; i < view->used_count[global]; i++)
            if (view->global[view->used[global][i]] == global)
                forget(view, view->used[global][i]);
    view->used_count[global] = 0;
}

static void forget_jump(struct view *view, unsigned n, uint64_t page)
{
    uint64_t linear = view->jump_tag[n];

    if (linear >> 12 == page || (linear + LONGEST - 1) >> 12 == page)
        forget_lead(view, n);
}

/* Jumps to code in the page, or from the page before into it. */
static void flush_jumps_to(struct view *view, uint64_t page)
{
    if (!bloom_has(view->jump_pages, page))
        return;
    if (view->jumps_used_count > VIEW_LEADS)
        for (unsigned i = 0; i < VIEW_JUMPS + VIEW_SECOND; i++)
            forget_jump(view, i, page);
    else
        for (unsigned i = 0; i < view->jumps_used_count; i++)
            forget_jump(view, view->jumps_used[i], page);
}

void view_flush(struct view *view)
{
    forget_used(view, false);
    forget_used(view, true);
    view->low = view->globals = false;
    clear(view->large_pages);
    view_flush_jumps(view);
}

void view_flush_local(struct view *view)
{
    if (view->local_jumps)
        view_flush_jumps(view);
    forget_used(view, false);
}

void view_flush_page(struct view *view, uint64_t linear)
{
    uint64_t page = linear & ~(PAGE - 1);
    unsigned n = view_index(linear);

    if (!(linear >> 63) && !view->low)
        return; // user code's flushes do not concern the kernel's view
    if (bloom_has(view->large_pages, LARGE(linear)) || bloom_has(view->large_pages, HUGE(linear))) {
        view_flush(view);
        return;
    }
    if (view->read[n] == page)
        forget(view, n);
    if (view->read[driven_index(page)] == page)
        forget(view, driven_index(page));
    flush_jumps_to(view, linear >> 12);
}

static void unwrite(struct view *view, unsigned n, uint64_t host)
{
    if (view->host[n] == host)
        view->write[n] = view_empty(n);
}

void view_unwrite(struct view *view, uint64_t host)
{
    if (view->used_count[0] > VIEW_USED || view->used_count[1] > VIEW_USED) {
        for (unsigned i = 0; i < VIEW_ALL; i++)
            unwrite(view, i, host);
        return;
    }
    for (unsigned global = 0; global < 2; global++)
        for (unsigned i = 0; i < view->used_count[global]; i++)
            unwrite(view, view->used[global][i], host);
}

static void note_use(struct view *view, unsigned n)
{
    bool global = view->global[n];

    if (view->used_count[global] < VIEW_USED)
        view->used[global][view->used_count[global]] = (uint16_t)n;
    if (view->used_count[global] <= VIEW_USED)
        view->used_count[global]++;
}

static void move(struct view *view, unsigned to, uint64_t read, uint64_t write, uint64_t host, bool global)
{
    view->read[to] = read;
    view->write[to] = write == read ? write : view_empty(to);
    view->host[to] = host;
    view->addend[to] = host - read;
    view->global[to] = global;
    note_use(view, to);
}

/* The page in entry n has to go: to where it is found again. */
static void drive_out(struct view *view, unsigned n)
{
    if (view->read[n] != view_empty(n))
        move(view, driven_index(view->read[n]), view->read[n], view->write[n], view->host[n],
             view->global[n]);
}

bool view_recall(struct view *view, uint64_t linear, bool write)
{
    uint64_t page = linear & ~(PAGE - 1);
    unsigned n = view_index(linear), from = driven_index(page);
    uint64_t tag = view->write[from], host = view->host[from];
    bool global = view->global[from];

    if (view->read[from] != page || (write && tag != page))
        return false;
    forget(view, from);
    drive_out(view, n);
    move(view, n, page, tag, host, global);
    return true;
}

void view_enter(struct view *view, uint64_t linear, uint8_t *host, bool write, bool global,
                unsigned page_bits)
{
    uint64_t page = linear & ~(PAGE - 1), address = (uint64_t)(uintptr_t)host;
    unsigned n = view_index(linear);
    bool same = view->read[n] == page && view->host[n] == address;

    if (!same) {
        if (view->read[n] != page)
            drive_out(view, n);
        if (view->read[driven_index(page)] == page)
            forget(view, driven_index(page)); // there is one entry for a page
    }
    move(view, n, page, write || (same && view->write[n] == page) ? page : VIEW_NO_TAG, address, global);
    view->low |= !(linear >> 63);
    view->globals |= global;
    if (page_bits > 12)
        bloom_set(view->large_pages, page_bits > 22 ? HUGE(linear) : LARGE(linear));
}

void view_enter_jump(struct view *view, unsigned index, uint64_t linear, uint64_t code,
                     uint32_t block, bool global)
{
    if (view->jumps_used_count < VIEW_LEADS)
        view->jumps_used[view->jumps_used_count] = (uint16_t)index;
    if (view->jumps_used_count <= VIEW_LEADS)
        view->jumps_used_count++;
    view->jump_tag[index] = linear;
    view->jump_to[index] = code;
    view->jump_block[index] = block;
    view->local_jumps |= !global;
    view->globals |= global;
    view->low |= !(linear >> 63);
    bloom_set(view->jump_pages, linear >> 12);
    bloom_set(view->jump_pages, (linear + LONGEST - 1) >> 12); // where its code may reach into
}
