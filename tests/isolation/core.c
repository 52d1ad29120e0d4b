/* SPDX-License-Identifier: MIT */
/* Attacks on core. */
#include "tests/isolation/attacker.h"

#include "framework/core.h"
#include "framework/memory.h"
#include "framework/message.h"
#include "framework/slots.h"
#include "framework/thread.h"
#include "framework/thread_self.h"
#include "lib/format.h"
#include "lib/string.h"

#define ROUNDS 100000u

/* What a component without authority may do with any words at all. */
static bool is_allowed(uint64_t operation)
{
    return operation == CORE_LOG || operation == CORE_QUOTA || operation == CORE_SIZE;
}

/*
 * Random words and capabilities. Left out is what it may do to itself: CORE_THREAD_STOP (attack_threads),
 * CORE_DETACH (attack_wild), allocations, which succeed within the quota (starve.c).
 */
void attack_core(struct attack *a)
{
    struct abi_utcb *utcb = utcb_self();
    uint64_t wrong = 0, refused = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t operation = random_below(&a->seed, CORE_OPERATION_COUNT + 3), status;
        uint64_t words = random_below(&a->seed, 8) ? random_below(&a->seed, 12) : random_below(&a->seed, 512);
        uint64_t message = message_descriptor(words, random_below(&a->seed, 4) ? 0 : random_below(&a->seed, 10));

        if (operation == CORE_THREAD_STOP || operation == CORE_RAM_ALLOC || operation == CORE_THREAD_START ||
            operation == CORE_LOG || operation == CORE_RAM_FREE || operation == CORE_ATTACH || operation == CORE_DETACH)
            continue;
        for (unsigned w = 1; w < 12; w++)
            utcb->word[w] = random_argument(&a->seed);
        for (unsigned c = 0; c < ABI_UTCB_CAPS; c++)
            utcb->send[c] = random_below(&a->seed, 2) ? random_below(&a->seed, 1024) << 8 | 0x1f : random_u64(&a->seed);
        utcb->word[0] = operation;
        if (random_below(&a->seed, 64) == 0)
            message = random_u64(&a->seed);
        status = hc_call(SEL_CORE + cpu_self(), &message);
        if (status != ABI_OK || message_words(message) == 0 || utcb->word[0] != STATUS_OK)
            refused++;
        else if (!is_allowed(operation) && wrong++ < 5)
            log_print("# operation %lu was done", operation);
    }
    CHECK(&a->checks, wrong == 0 && refused > ROUNDS / 4, "%lu random requests to core were refused, %lu not", refused, wrong);
}

/* Whatever capability it has, none of them is a dataspace of somebody else. */
void attack_attach(struct attack *a)
{
    static const uint64_t wrong_address[] = {ABI_USER_END, 0xffffffff80200000ull, 0xffff800000000000ull, 0x0000800000000000ull,
                                             ABI_USER_END - 4096, ~0xfffull, 1ull << 63};
    static const unsigned wrong_perms[] = {0, 8, 0x10, 0x100, 0xff07, ~0u};
    unsigned bad = 0, attached = 0;
    struct mapping own = {0};
    uint64_t size;

    CHECK(&a->checks, memory_alloc(&own, 4 * PAGE_SIZE, PAGE_SIZE) == STATUS_OK, "a dataspace of its own");
    for (uint32_t sel = 0; sel < 4096; sel++) {
        if (sel == own.slot)
            continue;
        if (core_size(sel, &size) == STATUS_OK)
            attached++; // its heap
        else
            bad += core_attach(sel, SPACE_END, 0, PAGE_SIZE, ABI_PERM_MEM_R) == STATUS_OK;
    }
    CHECK(&a->checks, bad == 0 && attached < 32, "no dataspace but %u of its own", attached);
    bad = 0;
    for (unsigned i = 0; i < sizeof wrong_address / sizeof wrong_address[0]; i++)
        bad += core_attach(own.slot, wrong_address[i], 0, 4 * PAGE_SIZE, ABI_PERM_MEM_R) == STATUS_OK;
    for (unsigned i = 0; i < sizeof wrong_perms / sizeof wrong_perms[0]; i++)
        bad += core_attach(own.slot, SPACE_END, 0, PAGE_SIZE, wrong_perms[i]) == STATUS_OK;
    CHECK(&a->checks, bad == 0, "no address outside of user space, no permission that there is not");
    bad = 0;
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t offset = random_argument(&a->seed) & ~0xfffull, length = random_argument(&a->seed) | 1;

        if (offset < own.size && length <= own.size - offset)
            continue;
        bad += core_attach(own.slot, SPACE_END, offset, length, ABI_PERM_MEM_R) == STATUS_OK;
    }
    CHECK(&a->checks, bad == 0, "nothing beyond the end of its own");
    /* Read-only pages of its own, over its code and the page that core wrote. */
    CHECK(&a->checks, core_attach(own.slot, ABI_INFO_ADDRESS, 0, PAGE_SIZE, ABI_PERM_MEM_R | ABI_PERM_MEM_W) != STATUS_OK,
          "not in the place of the information page");
    memory_free(&own);
    CHECK(&a->checks, core_attach(own.slot, SPACE_END, 0, PAGE_SIZE, ABI_PERM_MEM_R) != STATUS_OK, "nor what is freed");
}

static void stop_all(void *argument)
{
    (void)argument;
    for (uint32_t id = 0; id < 100000; id++)
        (void)!core_thread_stop(id);
}

/*
 * Its first thread may be stopped by its own doing; another one, of a number that cannot be known, stops itself and
 * so says nothing.
 */
void attack_threads(struct attack *a)
{
    static struct thread thread;
    struct thread_config config = {.function = stop_all, .cpu = component_info()->cpu};
    unsigned stopped = 0;

    /* Numbers above those of the threads that there are. */
    for (uint64_t id = 1ull << 16; id < 1ull << 17; id++)
        stopped += core_thread_stop((uint32_t)id) == STATUS_OK;
    CHECK(&a->checks, stopped == 0, "no thread of others by a forged number");
    log_print("stops every thread by number");
    (void)!thread_start(&thread, &config);
    (void)!thread_join(&thread, 0);
}

void attack_log(struct attack *a)
{
    char text[CORE_LOG_MAX];
    struct abi_utcb *utcb = utcb_self();
    unsigned wrong = 0;

    for (unsigned i = 0; i < 300; i++) {
        size_t size = format_string(text, sizeof text, "line %u\n[victim] forged\r[victim] forged\x1b[2J\x7f\n[init] forged\n", i);

        core_log(text, size);
    }
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 20; i++)
        core_log(text, sizeof text);
    core_log("\n", 1);
    /* Text that claims to be longer than the message. */
    for (uint64_t size = CORE_LOG_MAX - 100; size < CORE_LOG_MAX + 100; size++) {
        utcb->word[0] = CORE_LOG;
        utcb->word[1] = size;
        wrong += request(SEL_CORE + cpu_self(), 10, 0) == STATUS_OK;
        utcb->word[0] = CORE_LOG;
        utcb->word[1] = ~size;
        wrong += request(SEL_CORE + cpu_self(), ABI_UTCB_WORDS, 0) == STATUS_OK;
    }
    CHECK(&a->checks, wrong == 0, "no log text beyond the message");
}
