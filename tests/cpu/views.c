/* SPDX-License-Identifier: MIT */
/*
 * A view of the recompiler under random use, against a list of what it may hold: nothing is in it that has been flushed or that another
 * page has replaced, no tag for writing is left after view_unwrite(), and what is recalled is what was driven out.
 */
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/engines/recompiler/view.h"

#include <stdlib.h>
#include <string.h>

#define PAGE    4096ull
#define PAGES   6000u
#define JUMPS   20000u
#define HOSTS   500u
#define UNKNOWN 0x1000u
#define ROUNDS  30u
#define STEPS   4000u

struct known {
    uint64_t linear, host;
    bool there, write, global;
    unsigned bits;
};

struct jump {
    uint64_t linear, code;
    bool there, global;
};

static uint64_t seed = 7;
static struct view *view;
static struct known *pages;
static struct jump *jumps;
static unsigned long recalled;
static uint64_t last; // address that a jump was entered for
static const char *wrong;

static unsigned any(unsigned below)
{
    return (unsigned)random_below(&seed, below);
}

/* Pages that meet in entries: few different low bits of their numbers, many high ones; some in large pages. */
static void make_pages(void)
{
    for (unsigned n = 0; n < PAGES; n++) {
        uint64_t number = (uint64_t)(n / 64) << 12 | (n % 64 / 2 * 66 + n % 2); // two neighbours each

        pages[n] = (struct known){.linear = number << 12 | (n / 64 % 2 ? 0xffff800000000000 : 0), .global = n % 5 == 1,
                                  .bits = n / 64 % 7 == 0 ? 21 : n / 64 % 11 == 0 ? 30 : 12};
    }
    for (unsigned n = 0; n < JUMPS; n++)
        jumps[n] = (struct jump){.linear = pages[n % PAGES].linear + (n / PAGES ? 0xffc - n / PAGES * 4 : n % 1024 * 4),
                                 .global = pages[n % PAGES].global};
}

static struct known *find(uint64_t linear)
{
    for (unsigned n = 0; n < PAGES; n++)
        if (pages[n].linear == linear)
            return &pages[n];
    return NULL;
}

static void fail(const char *what)
{
    if (!wrong)
        wrong = what;
}

static void check_entries(void)
{
    for (unsigned n = 0; n < VIEW_ALL; n++) {
        const struct known *k;

        if (view->read[n] == view_empty(n)) {
            if (view->write[n] != view_empty(n))
                fail("a tag for writing without one for reading");
            continue;
        }
        k = find(view->read[n]);
        if (!k || !k->there || k->host != view->host[n])
            fail("an entry that has been flushed");
        else if (view->addend[n] != k->host - k->linear || (n < VIEW_ENTRIES && view_index(k->linear) != n))
            fail("an entry in a wrong place");
        else if (view->write[n] != view_empty(n) && (view->write[n] != view->read[n] || !k->write))
            fail("a tag for writing that should be gone");
    }
}

static void check_jumps(void)
{
    for (unsigned n = 0; n < VIEW_JUMPS + VIEW_SECOND; n++) {
        uint64_t unknown = n < VIEW_JUMPS ? UNKNOWN : UNKNOWN + 1;
        const struct jump *j = &jumps[view->jump_block[n]];

        if (view->jump_tag[n] == VIEW_NO_TAG ? view->jump_to[n] != unknown
                                             : !j->there || j->linear != view->jump_tag[n] || j->code != view->jump_to[n])
            fail("a jump that has been flushed");
    }
}

static void forget_pages(bool global)
{
    for (unsigned n = 0; n < PAGES; n++)
        if (global || !pages[n].global)
            pages[n].there = false;
    for (unsigned n = 0; n < JUMPS; n++)
        if (global || !jumps[n].global)
            jumps[n].there = false;
}

static void forget_page(uint64_t linear)
{
    for (unsigned n = 0; n < PAGES; n++)
        if (pages[n].linear >> pages[n].bits == linear >> pages[n].bits)
            pages[n].there = false;
    for (unsigned n = 0; n < JUMPS; n++)
        if (jumps[n].linear >> 12 == linear >> 12 || (jumps[n].linear + 14) >> 12 == linear >> 12)
            jumps[n].there = false;
}

static void enter(struct known *k)
{
    uint64_t host = (1 + any(HOSTS)) * PAGE;
    bool write = any(2);

    view_enter(view, k->linear + any(PAGE), (uint8_t *)(uintptr_t)host, write, k->global, k->bits);
    k->write = write || (k->there && k->host == host && k->write);
    k->host = host;
    k->there = true;
    if (view->read[view_index(k->linear)] != k->linear)
        fail("what was entered is not there");
}

static void enter_jump(unsigned n)
{
    struct jump *j = &jumps[n];
    unsigned index = any(2) ? (j->linear >> 2) & (VIEW_JUMPS - 1) : view_second(j->linear);

    j->code = 0x10000 + n;
    j->there = true;
    last = j->linear;
    view_enter_jump(view, index, j->linear, j->code, n, j->global);
}

static void step(unsigned rare)
{
    struct known *k = &pages[any(PAGES)];
    uint64_t host; // or an address
    bool write;

    switch (any(rare)) {
    case 0:
        view_flush(view);
        forget_pages(true);
        break;
    case 1:
        view_flush_local(view);
        forget_pages(false);
        break;
    case 2:
        view_flush_jumps(view);
        for (unsigned n = 0; n < JUMPS; n++)
            jumps[n].there = false;
        break;
    case 3: case 4: case 5:
        host = (1 + any(HOSTS)) * PAGE;
        view_unwrite(view, host);
        for (unsigned n = 0; n < PAGES; n++)
            pages[n].write &= pages[n].host != host;
        break;
    case 6: case 7: case 8: case 9:
        host = any(2) ? k->linear + any(PAGE) : last + 14;
        view_flush_page(view, host);
        forget_page(host);
        break;
    default:
        if (any(3) == 0) {
            write = any(2);
            if (!view_recall(view, k->linear, write))
                break;
            recalled++;
            if (!k->there || (write && !k->write) || view->read[view_index(k->linear)] != k->linear)
                fail("what should not be recalled");
        } else if (any(2)) {
            enter(k);
        } else {
            enter_jump(any(JUMPS));
        }
        break;
    }
}

int main(void)
{
    view = aligned_alloc(4096, (sizeof(*view) + 4095) & ~4095ul);
    pages = calloc(PAGES, sizeof(*pages));
    jumps = calloc(JUMPS, sizeof(*jumps));
    if (!view || !pages || !jumps)
        return 1;
    memset(view, 0, sizeof(*view));
    view_init(view, UNKNOWN, UNKNOWN + 1);
    make_pages();
    for (unsigned round = 0; round < ROUNDS && !wrong; round++)
        for (unsigned i = 0; i < STEPS && !wrong; i++) {
            step(round % 3 == 0 ? 40 : round % 3 == 1 ? 400 : 4000);
            if (i % 64 == 0 || round == 0) {
                if (round > 0 || i % 8 == 0)
                    check_entries();
                check_jumps();
            }
        }
    ok(!wrong, "%u steps: nothing stale is in a view%s%s", ROUNDS * STEPS, wrong ? ": " : "", wrong ? wrong : "");
    ok(recalled > 100, "and pages that were driven out are found again (%lu times)", recalled);
    free(view);
    free(pages);
    free(jumps);
    return tap_done();
}
