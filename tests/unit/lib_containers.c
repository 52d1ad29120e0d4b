/* SPDX-License-Identifier: MIT */
/* lib/align.h, lib/list.h, lib/bitmap.h: each against the plainest model. */
#include <string.h>

#include "lib/bitmap.h"
#include "lib/list.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

static void check_align(void)
{
    is_u64(ALIGN_UP(0x1001u, 0x1000), 0x2000, "ALIGN_UP");
    is_u64(ALIGN_UP(0x1000u, 0x1000), 0x1000, "ALIGN_UP of what is aligned");
    is_u64(ALIGN_DOWN(0xffffffff00001fffull, 0x1000), 0xffffffff00001000ull,
           "ALIGN_DOWN keeps the high bits");
    ok(IS_ALIGNED(0x2000, 0x1000) && !IS_ALIGNED(0x2008, 0x1000), "IS_ALIGNED");
    ok(is_power_of_two(1) && is_power_of_two(1ull << 63) && !is_power_of_two(0) &&
       !is_power_of_two(6), "is_power_of_two");
    ok(log2_floor(1) == 0 && log2_floor(4095) == 11 && log2_floor(UINT64_MAX) == 63, "log2_floor");
    ok(range_fits(0, 0, 0) && range_fits(4, 6, 10) && !range_fits(4, 7, 10) &&
       !range_fits(11, 0, 10) && !range_fits(8, UINT64_MAX, 10) &&
       !range_fits(UINT64_MAX, 2, UINT64_MAX),
       "range_fits, without overflow");
}

struct item {
    int value;
    struct list_node node;
};

static bool list_is(const struct list_node *head, const int *values, size_t count)
{
    size_t i = 0;

    list_for_each(node, head) {
        if (i == count || list_entry(node, struct item, node)->value != values[i] ||
            node->next->prev != node)
            return false;
        i++;
    }
    return i == count;
}

static void check_list(void)
{
    struct item items[4];
    struct list_node head;

    list_init(&head);
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        list_init(&items[i].node);
    }
    ok(list_is_empty(&head) && !list_first(&head) && !list_pop_front(&head), "an empty list");
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[0].node);
    list_insert_after(&items[0].node, &items[3].node);
    ok(list_is(&head, (int[]){ 0, 3, 1, 2 }, 4), "order of insertion");
    list_remove(&items[1].node);
    ok(list_is(&head, (int[]){ 0, 3, 2 }, 3) && !list_is_linked(&items[1].node),
       "removal from the middle");
    list_remove(&items[1].node);
    ok(list_is(&head, (int[]){ 0, 3, 2 }, 3), "a second removal changes nothing");
    ok(list_pop_front(&head) == &items[0].node, "the first is popped");
    list_for_each_safe(node, &head)
        list_remove(node);
    ok(list_is_empty(&head) && !list_is_linked(&items[2].node), "all removed in a loop");
}

enum {
    BITS = 300
};

struct model {
    uint64_t map[BITMAP_WORDS(BITS)];
    bool bits[BITS];
};

static size_t model_find(const struct model *model, size_t from, bool value)
{
    for (size_t i = from; i < BITS; i++) {
        if (model->bits[i] == value)
            return i;
    }
    return BITMAP_NONE;
}

static size_t model_find_clear_range(const struct model *model, size_t count, size_t align)
{
    for (size_t start = 0; start + count <= BITS; start += align) {
        size_t run = 0;

        while (run < count && !model->bits[start + run])
            run++;
        if (run == count)
            return start;
    }
    return BITMAP_NONE;
}

static bool bitmap_agrees(const struct model *model, uint64_t *seed)
{
    size_t from = random_below(seed, BITS + 20);
    size_t count = 1 + random_below(seed, 40), align = 1u << random_below(seed, 8);
    size_t set = 0;

    for (size_t i = 0; i < BITS; i++) {
        if (bitmap_test(model->map, i) != model->bits[i])
            return false;
        set += model->bits[i];
    }
    return bitmap_count(model->map, BITS) == set &&
           bitmap_find_set(model->map, BITS, from) == model_find(model, from, true) &&
           bitmap_find_clear(model->map, BITS, from) == model_find(model, from, false) &&
           bitmap_find_clear_range(model->map, BITS, count, align) ==
               model_find_clear_range(model, count, align);
}

static void check_bitmap(void)
{
    enum { ROUNDS = 20000 };
    struct model model = { 0 };
    uint64_t seed = 3;
    unsigned agreed = 0;

    /* Bits beyond the end are set: no search may see them. */
    model.map[BITS / 64] = ~0ull << BITS % 64;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t first = random_below(&seed, BITS);
        size_t count = random_below(&seed, MIN(BITS - first, 70) + 1);
        bool value = random_below(&seed, 2);

        if (round % 4 == 0) {
            count = 1;
            (value ? bitmap_set : bitmap_clear)(model.map, first);
        } else {
            (value ? bitmap_set_range : bitmap_clear_range)(model.map, first, count);
        }
        memset(model.bits + first, value, count);
        agreed += bitmap_agrees(&model, &seed);
    }
    is_u64(agreed, ROUNDS, "a bitmap agrees with an array after random changes");
    ok(bitmap_find_clear_range(model.map, BITS, SIZE_MAX, 1) == BITMAP_NONE,
       "an absurd range is not found");
}

int main(void)
{
    check_align();
    check_list();
    check_bitmap();
    return tap_done();
}
