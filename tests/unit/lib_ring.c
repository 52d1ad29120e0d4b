/* SPDX-License-Identifier: MIT */
/* lib/ring.h: two threads, and a hostile other side. */
#include "lib/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/tap.h"

enum {
    CAPACITY = 8,
    ENTRIES = 200000
};

struct entry {
    uint64_t number, square;
    uint32_t tag;
};

static void *new_memory(uint32_t capacity, uint32_t entry_size)
{
    size_t size = ring_memory_size(capacity, entry_size);
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);

    memset(memory, 0, size);
    return memory;
}

static void *produce(void *memory)
{
    struct ring ring;
    uint64_t number = 0;

    if (ring_init(&ring, memory, CAPACITY, sizeof(struct entry)) != RING_OK)
        return NULL;
    while (number < ENTRIES) {
        struct entry entry = { number, number * number, (uint32_t)~number };

        if (ring_put(&ring, &entry) == RING_OK)
            number++;
        else
            sched_yield();
    }
    return NULL;
}

static void check_threads(void)
{
    void *memory = new_memory(CAPACITY, sizeof(struct entry));
    struct ring ring;
    pthread_t thread;
    uint64_t number = 0;
    bool right = ring_init(&ring, memory, CAPACITY, sizeof(struct entry)) == RING_OK;

    pthread_create(&thread, NULL, produce, memory);
    while (right && number < ENTRIES) {
        struct entry entry;
        enum ring_status status = ring_take(&ring, &entry);

        if (status == RING_EMPTY) {
            sched_yield();
            continue;
        }
        right = status == RING_OK && entry.number == number && entry.square == number * number &&
                entry.tag == (uint32_t)~number;
        number++;
    }
    pthread_join(thread, NULL);
    ok(right && number == ENTRIES, "all entries pass between two threads in order and whole");
    free(memory);
}

static void check_limits(void)
{
    void *memory = new_memory(2, 4);
    struct ring producer, consumer;
    uint32_t value = 1;

    ok(ring_init(&producer, memory, 3, 4) == RING_BROKEN &&
       ring_init(&producer, memory, 0, 4) == RING_BROKEN &&
       ring_init(&producer, memory, 2, 0) == RING_BROKEN &&
       ring_init(&producer, memory, 2, 65537) == RING_BROKEN &&
       ring_init(&producer, memory, 0x80000000u, 4) == RING_BROKEN, "impossible shapes");
    ok(ring_init(&producer, memory, 2, 4) == RING_OK &&
       ring_init(&consumer, memory, 2, 4) == RING_OK, "a good one");
    ok(ring_take(&consumer, &value) == RING_EMPTY && ring_free(&producer) == 2 &&
       ring_used(&consumer) == 0, "empty");
    ok(ring_put(&producer, &value) == RING_OK && ring_put(&producer, &value) == RING_OK &&
       ring_put(&producer, &value) == RING_FULL && ring_free(&producer) == 0 &&
       ring_used(&consumer) == 2, "full");
    free(memory);
}

/* Start close to the end of the counters and cross it. */
static void check_wrap(void)
{
    struct ring_shared *memory = new_memory(4, 4);
    struct ring producer, consumer;
    bool right = ring_init(&producer, memory, 4, 4) == RING_OK &&
                 ring_init(&consumer, memory, 4, 4) == RING_OK;

    producer.position = consumer.position = memory->produced = memory->consumed = UINT32_MAX - 5;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t out = 0;

        right = right && ring_put(&producer, &i) == RING_OK &&
                ring_take(&consumer, &out) == RING_OK && out == i;
    }
    ok(right, "the positions wrap");
    free(memory);
}

/*
 * The other side writes anything: every answer is one of the four, and the sanitizers see no
 * access outside.
 */
static void check_hostile(void)
{
    struct ring_shared *memory = new_memory(4, 8);
    struct ring ring;
    uint64_t seed = 5, entry = 0;
    unsigned broken = 0, wrong = ring_init(&ring, memory, 4, 8) != RING_OK;

    memory->consumed = 1;
    ok(ring_put(&ring, &entry) == RING_BROKEN && ring_free(&ring) == 0,
       "a consumer ahead of the producer");
    memory->produced = 5;
    ok(ring_take(&ring, &entry) == RING_BROKEN && ring_used(&ring) == 0,
       "a producer too far ahead");
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t near = ring.position + (uint32_t)random_below(&seed, 12) - 6;

        memory->produced = i % 2 ? near : (uint32_t)random_u64(&seed);
        memory->consumed = i % 3 ? near : (uint32_t)random_u64(&seed);
        broken += ring_put(&ring, &entry) == RING_BROKEN;
        broken += ring_take(&ring, &entry) == RING_BROKEN;
        wrong += ring_free(&ring) > 4 || ring_used(&ring) > 4;
    }
    ok(broken > 0 && wrong == 0, "random positions are refused or stay inside");
    free(memory);
}

int main(void)
{
    check_limits();
    check_wrap();
    check_hostile();
    check_threads();
    return tap_done();
}
