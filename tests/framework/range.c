/* SPDX-License-Identifier: MIT */
/* Free ranges against a plain map of units, with random operations and with too few nodes. */
#include "framework/range.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#define UNITS 256u
#define NODES 24u

struct model {
    bool free[UNITS];
};

static bool model_run(const struct model *m, uint64_t base, uint64_t size, bool value)
{
    for (uint64_t i = base; i < base + size; i++)
        if (m->free[i] != value)
            return false;
    return true;
}

static void model_set(struct model *m, uint64_t base, uint64_t size, bool value)
{
    for (uint64_t i = base; i < base + size; i++)
        m->free[i] = value;
}

/* The set says the same as the model, in ascending order, merged. */
static bool agree(const struct range_set *set, const struct model *m)
{
    uint64_t sum = 0, end = 0;
    bool first = true;

    for (const struct range_node *n = set->first; n; n = n->next) {
        if (n->size == 0 || (!first && n->base <= end) || !model_run(m, n->base, n->size, true))
            return false;
        end = n->base + n->size;
        sum += n->size;
        first = false;
    }
    for (unsigned i = 0; i < UNITS; i++)
        sum -= m->free[i];
    return sum == 0;
}

static bool model_fits(const struct model *m, uint64_t size, uint64_t align, uint64_t limit)
{
    for (uint64_t base = 0; base + size <= limit && base + size <= UNITS; base += align)
        if (model_run(m, base, size, true))
            return true;
    return false;
}

static bool step(struct range_set *set, struct model *m, uint64_t *random)
{
    uint64_t base = random_below(random, UNITS), size = 1 + random_below(random, 16), align = 1ull << random_below(random, 4);
    uint64_t limit = random_below(random, UNITS + 1), got;
    enum status status;

    if (base + size > UNITS)
        size = UNITS - base;
    switch (random_below(random, 3)) {
    case 0:
        status = range_add(set, base, size);
        if (status == STATUS_OK && !model_run(m, base, size, false))
            return false;
        if (status == STATUS_INVALID && model_run(m, base, size, false))
            return false;
        if (status == STATUS_OK)
            model_set(m, base, size, true);
        break;
    case 1:
        status = range_take(set, size, align, limit, &got);
        if (status == STATUS_NOT_FOUND && model_fits(m, size, align, limit))
            return false;
        if (status == STATUS_OK) {
            if (got % align || got + size > limit || !model_run(m, got, size, true))
                return false;
            model_set(m, got, size, false);
        }
        break;
    default:
        status = range_take_at(set, base, size);
        if ((status == STATUS_NOT_FOUND) == model_run(m, base, size, true))
            return false;
        if (status == STATUS_OK)
            model_set(m, base, size, false);
    }
    return agree(set, m);
}

int main(void)
{
    static struct range_node nodes[NODES];
    struct range_set set;
    struct model model = {0};
    uint64_t random = 1;
    unsigned i = 0;

    range_init(&set, nodes, NODES);
    while (i < 200000 && step(&set, &model, &random))
        i++;
    ok(i == 200000, "200000 random operations agree with a plain map (stopped after %u)", i);

    range_init(&set, nodes, NODES);
    ok(range_add(&set, 0, 0) == STATUS_INVALID && range_add(&set, UINT64_MAX, 2) == STATUS_INVALID,
       "empty and wrapping ranges are refused");
    ok(range_add(&set, ~0xfffull, 0xfff) == STATUS_OK && range_take_at(&set, ~0xfffull, 0xfff) == STATUS_OK && set.free == 0,
       "a range at the top of the address space");
    return tap_done();
}
