/* SPDX-License-Identifier: MIT */
/*
 * Pool, slabs, spaces, page tables, delegation and revocation over fake memory: random operations
 * on host spaces against a model that knows for each page what it maps and which derivation it came
 * with. Every allocation that can fail is made to fail as well.
 */
#include "kernel/assert.h"
#include "kernel/delegate.h"
#include "kernel/object_kinds.h"
#include "kernel/page_table.h"
#include "kernel/paging.h"
#include "kernel/pd.h"
#include "kernel/revoke.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES    4096u
#define POOL_PHYS 0x40000000ull
#define SPACES    4u      // 0 is the source of all memory, the others are host spaces
#define PAGES     2048u   // of each space that the test uses: four large pages
#define NODES     4096u
#define ROUNDS    20000u

_Noreturn void panic(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    abort();
}

/* No object dies here. */
void object_kill(struct object *object, struct batch *batch)
{
    (void)object;
    (void)batch;
    abort();
}

/* The model: derivations, and for each page the one it belongs to (0 none). */
struct derivation {
    bool alive;
    unsigned space, parent;
    uint64_t base, count, source, phys;
    unsigned perms;
};
static struct {
    struct derivation node[NODES];
    unsigned page[SPACES][PAGES];
} model;

static unsigned seen[ABI_STATUS_COUNT];
static struct pd root, child[SPACES];
static struct space *space[SPACES];

static unsigned model_new(void)
{
    for (unsigned i = 1; i < NODES; i++)
        if (!model.node[i].alive)
            return i;
    abort();
}

static void model_add(const struct derivation *d)
{
    unsigned n = model_new();
    model.node[n] = *d;
    for (uint64_t p = 0; p < d->count; p++)
        model.page[d->space][d->base + p] = n;
}

static bool model_delegate(unsigned from, unsigned to, uint64_t source, uint64_t base, uint64_t count, unsigned perms,
                           struct derivation *made, unsigned *made_count)
{
    *made_count = 0;
    for (uint64_t p = 0; p < count; p++)
        if (model.page[to][base + p])
            return false;
    for (uint64_t p = 0; p < count;) {
        unsigned parent = model.page[from][source + p];
        uint64_t first = p++;
        if (!parent)
            continue;
        while (p < count && model.page[from][source + p] == parent)
            p++;
        const struct derivation *d = &model.node[parent];
        made[(*made_count)++] = (struct derivation){true, to, parent, base + first, p - first, source + first,
                                                    d->phys + (source + first - d->base), d->perms & perms};
    }
    return true;
}

static void model_remove(unsigned n)
{
    for (unsigned i = 1; i < NODES; i++)
        if (model.node[i].alive && model.node[i].parent == n)
            model_remove(i);
    const struct derivation *d = &model.node[n];
    for (uint64_t p = 0; p < d->count; p++)
        model.page[d->space][d->base + p] = 0;
    model.node[n].alive = false;
}

static void model_revoke(unsigned s, uint64_t base, uint64_t count, bool self)
{
    for (unsigned i = 1; i < NODES; i++) {
        const struct derivation *d = &model.node[i];
        if (!d->alive)
            continue;
        bool derived = d->parent && model.node[d->parent].space == s && d->source < base + count &&
                       base < d->source + d->count;
        bool here = self && d->space == s && d->parent && d->base < base + count && base < d->base + d->count;
        if (derived || here)
            model_remove(i);
    }
}

/* What the page tables say about a page: its entry with the address of the 4 KiB page, or 0. */
static uint64_t walk(const struct space *s, uint64_t page)
{
    const uint64_t *table = s->root;
    for (unsigned level = 3;; level--) {
        uint64_t entry = table[page >> 9 * level & 511];
        if (!(entry & PTE_PRESENT))
            return 0;
        if (level == 0)
            return entry;
        if (entry & PTE_LARGE)
            return (entry & ~PTE_LARGE) + (page % 512 << PAGE_SHIFT);
        table = pool_virt(entry & PTE_ADDRESS);
    }
}

static bool agrees(void)
{
    for (unsigned s = 1; s < SPACES; s++)
        for (uint64_t p = 0; p < PAGES; p++) {
            uint64_t entry = walk(space[s], p);
            const struct derivation *d = &model.node[model.page[s][p]];
            bool present = model.page[s][p] && d->perms & ABI_PERM_MEM_R;
            if (present != (entry != 0))
                return false;
            if (present && ((entry & PTE_ADDRESS) >> PAGE_SHIFT != d->phys + (p - d->base) ||
                            !(entry & PTE_WRITE) != !(d->perms & ABI_PERM_MEM_W) ||
                            !(entry & PTE_NX) != !!(d->perms & ABI_PERM_MEM_X)))
                return false;
        }
    return true;
}

static void setup(void)
{
    void *memory = aligned_alloc(FRAME_SIZE, FRAMES * (size_t)FRAME_SIZE);
    static uint64_t template[512];
    struct reserve reserve;

    memset(memory, 0xa5, FRAMES * (size_t)FRAME_SIZE); // nothing may count on zeros
    pool_init(memory, POOL_PHYS, FRAMES);
    space_set_template(template);
    pd_init(&root, NULL, pool_free());
    space[0] = space_create(&root, OBJECT_SPACE_HST, true);
    reserve_init(&reserve, space[0]);
    struct node *node = reserve_node(&reserve, 0);
    node->count = PAGES;
    node->phys = 0;
    node->perms = ABI_PERM_MEM_ALL;
    node->flags = NODE_BOOT;
    reserve_commit(&reserve);
    model_add(&(struct derivation){true, 0, 0, 0, PAGES, 0, 0, ABI_PERM_MEM_ALL});
    for (unsigned s = 1; s < SPACES; s++) {
        pd_init(&child[s], &root, 512);
        root.account.used += 512;
        space[s] = space_create(&child[s], OBJECT_SPACE_HST, false);
    }
}

static void random_range(uint64_t *seed, uint64_t *a, uint64_t *b, uint64_t *count)
{
    bool large = random_below(seed, 4) == 0;
    static const uint64_t longest[] = {4, 32, 600};
    *count = large ? 512 * (1 + random_below(seed, 2)) : 1 + random_below(seed, longest[random_below(seed, 3)]);
    *a = random_below(seed, PAGES - *count + 1);
    *b = random_below(seed, PAGES - *count + 1);
    if (large) {
        *a &= ~511ull;
        *b &= ~511ull;
    }
}

static uint64_t leaves(const struct derivation *made, unsigned n)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += page_table_leaves(made[i].base, made[i].phys, made[i].count);
    return sum;
}

/*
 * First with every allocation failing in turn: the accounts are then as before. Returns false if
 * the kernel disagrees.
 */
static bool try_delegate(uint64_t *seed)
{
    static struct derivation made[PAGES];
    unsigned from = (unsigned)random_below(seed, SPACES), to = 1 + (unsigned)random_below(seed, SPACES - 1), n;
    unsigned perms = (unsigned)random_below(seed, 8);
    uint64_t source, base, count, done = 0;

    random_range(seed, &source, &base, &count);
    struct delegation d = {space[from], space[to], source, base, count, (uint8_t)perms, 0};
    bool fits = model_delegate(from, to, source, base, count, perms, made, &n);
    enum abi_status status;
    for (uint64_t k = 1;; k++) {
        uint64_t frames = pool_free(), used = child[to].account.used;
        pool_fail_at(k);
        status = delegate(&d, &done);
        pool_fail_at(0);
        if (status != ABI_OUT_OF_MEMORY)
            break;
        if (pool_free() != frames || child[to].account.used != used)
            return false;
    }
    seen[status]++;
    if (!fits)
        return status == ABI_OCCUPIED;
    if (leaves(made, n) > ABI_DELEGATE_MAX)
        return status == ABI_BAD_PARAMETER;
    for (unsigned i = 0; i < n; i++) {
        if (status == ABI_OVERFLOW)
            return true; // too deep: the model does not count that
        model_add(&made[i]);
    }
    return status == ABI_OK;
}

static void revoke(unsigned s, uint64_t base, uint64_t count, bool self)
{
    for (bool done = false; !done;) {
        struct batch batch = {.budget = BATCH_BUDGET};
        list_init(&batch.dying);
        done = revoke_some(space[s], base, count, self, &batch);
        frame_list_free(&batch.tables);
    }
    model_revoke(s, base, count, self);
}

int main(void)
{
    uint64_t seed = 1, a, b, count;
    bool good = true;

    setup();
    uint64_t frames = pool_free();
    unsigned round = 0;
    for (; round < ROUNDS && good; round++) {
        if (random_below(&seed, 3)) {
            good = try_delegate(&seed);
        } else {
            random_range(&seed, &a, &b, &count);
            revoke((unsigned)random_below(&seed, SPACES), a, 1 + random_below(&seed, count), random_below(&seed, 2));
        }
        if (round % 16 == 0)
            good = good && agrees();
    }
    ok(good && agrees(), "%u random delegations and revocations give what the model says", round);
    ok(seen[ABI_OK] > ROUNDS / 10 && seen[ABI_OCCUPIED] && seen[ABI_BAD_PARAMETER], "of them %u delegations went well, %u fell on"
       " something, %u were too large, %u too deep", seen[ABI_OK], seen[ABI_OCCUPIED], seen[ABI_BAD_PARAMETER], seen[ABI_OVERFLOW]);
    revoke(0, 0, PAGES, false);
    ok(agrees(), "revoking the source of all leaves nothing");
    is_u64(pool_free(), frames, "all memory is back in the pool");
    for (unsigned s = 1; s < SPACES; s++)
        is_u64(child[s].account.used, 2, "an account holds its space and nothing else");
    return tap_done();
}
