/* SPDX-License-Identifier: MIT */
/* Attacks that use up what there is. */
#include "tests/isolation/attacker.h"

#include "framework/core.h"
#include "framework/io.h"
#include "framework/memory.h"
#include "framework/parent.h"
#include "framework/slots.h"
#include "framework/space.h"
#include "framework/thread.h"
#include "lib/align.h"

#define OBJECTS 6000u
#define SPINNERS 2u // on each CPU
#define SPIN_MS 3000u

/* In pieces of all sizes, until not even a page is to be had; again after all was freed. */
static unsigned take_memory(void)
{
    static struct mapping pieces[256];
    unsigned count = 0, pages = 0;

    for (uint64_t size = 16 << 20; size >= PAGE_SIZE; size /= 2)
        while (count < 256 && memory_alloc(&pieces[count], size, PAGE_SIZE) == STATUS_OK) {
            pages += (unsigned)(size / PAGE_SIZE);
            count++;
        }
    for (unsigned i = 0; i < count; i++)
        memory_free(&pieces[i]);
    return pages;
}

void attack_memory(struct attack *a)
{
    struct core_quota quota;
    unsigned first = take_memory(), same = 0;

    for (unsigned i = 0; i < 20; i++)
        same += take_memory() == first;
    CHECK(&a->checks, core_quota(&quota) == STATUS_OK, "its quota");
    CHECK(&a->checks, first > 0 && first <= quota.ram_limit,
          "%u pages of %lu and no more", first, quota.ram_limit);
    CHECK(&a->checks, same == 20, "and after each return as many again");
}

/* Makes objects of one kind until the kernel memory is used up, and takes them away. */
static unsigned take_objects(uint64_t kind, uint32_t first, uint32_t source, uint64_t address, enum abi_status *last)
{
    unsigned made = 0;
    uint64_t one;

    for (*last = ABI_OK; made < OBJECTS; made++) {
        switch (kind) {
        case ABI_CREATE_SM:
            *last = hc_create_sm(first + made, SEL_PD, 0);
            break;
        case ABI_CREATE_SPACE:
            *last = hc_create_space(first + made, made % 2 ? ABI_SPACE_PIO : ABI_SPACE_MSR, SEL_PD);
            break;
        case ABI_CREATE_EC:
            *last = hc_create_thread(first + made, SEL_PD, address + made * (uint64_t)LARGE_PAGE, component_info()->cpu, 0, 0x1000,
                                     SEL_EVENT, 0);
            break;
        default:
            one = 1;
            *last = hc_delegate(SEL_OBJ, SEL_OBJ, source, first + made, &one, ABI_PERM_OBJ_ALL);
            break;
        }
        if (*last != ABI_OK)
            break;
    }
    if (hc_remove(SEL_OBJ, first, OBJECTS) != ABI_OK)
        return 0;
    return made;
}

void attack_kernel(struct attack *a)
{
    static const struct {
        uint64_t kind;
        const char *name;
    } kinds[] = {{ABI_CREATE_SM, "semaphores"}, {ABI_CREATE_SPACE, "spaces"}, {ABI_CREATE_EC, "threads"}, {ABI_DELEGATE, "capabilities"}};
    uint32_t first = slots_alloc(OBJECTS), source = slots_alloc(1);
    uint64_t address;

    CHECK(&a->checks, hc_create_sm(source, SEL_PD, 0) == ABI_OK && space_alloc(1ull << 40, LARGE_PAGE, &address) == STATUS_OK,
          "a semaphore and addresses");
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        enum abi_status last;
        unsigned most = 0, least = ~0u;

        for (unsigned round = 0; round < 10; round++) {
            unsigned made = take_objects(kinds[i].kind, first, source, address, &last);

            most = MAX(most, made);
            least = MIN(least, made);
        }
        /* What was freed is there again after a grace period, so a round may begin with less. */
        CHECK(&a->checks, least > 0 && most < OBJECTS && last == ABI_OUT_OF_MEMORY, "%s: %u to %u, then out of memory (%u)",
              kinds[i].name, least, most, last);
    }
    slots_remove(source, 1);
}

static void spin(void *argument)
{
    const uint64_t *end = argument;

    while (tsc_now() < __atomic_load_n(end, __ATOMIC_RELAXED))
        ;
}

/*
 * The victim has a higher priority than this component: a thread that got what it asks for would stop it. So would it stop the
 * first thread, which sees whether it gets its turn.
 */
void attack_time(struct attack *a)
{
    static struct thread threads[ABI_CPU_MAX * SPINNERS];
    const struct component_info *info = component_info();
    struct thread_config config = {.function = spin, .priority = ABI_PRIO_MAX, .slice_us = 1000, .stack = PAGE_SIZE};
    static uint64_t end = ~0ull; // set when all spin: a thread above this one would keep it from that
    uint32_t never = slots_alloc(1);
    unsigned started = 0, joined = 0, turns = 0;

    CHECK(&a->checks, hc_create_sm(never, SEL_PD, 0) == ABI_OK, "a semaphore");
    config.argument = &end;
    for (unsigned i = 0; i < info->cpu_count * SPINNERS; i++) {
        config.cpu = i % info->cpu_count;
        if ((info->cpu_mask >> config.cpu & 1) && thread_start(&threads[started], &config) == STATUS_OK)
            started++;
    }
    __atomic_store_n(&end, tsc_now() + SPIN_MS * info->tsc_khz, __ATOMIC_RELAXED);
    while (tsc_now() < end - SPIN_MS / 4 * info->tsc_khz && hc_down(never, 0, tsc_now() + info->tsc_khz) == ABI_TIMEOUT)
        turns++;
    CHECK(&a->checks, turns > 0, "none of them had a higher priority: %u turns", turns);
    for (unsigned i = 0; i < started; i++)
        joined += thread_join(&threads[i], 0) == STATUS_OK;
    CHECK(&a->checks, started >= SPINNERS && joined == started, "%u threads took all the time they could", started);
}

static void fault(void *argument)
{
    *(volatile uint64_t *)argument = 1;
}

/* All but the first thread fault; the parent ends it. With restart="always" it comes again. */
void attack_faults(struct attack *a)
{
    static struct thread threads[16];
    const struct component_info *info = component_info();

    for (unsigned i = 0; i < 16; i++) {
        struct thread_config config = {.function = fault, .argument = (void *)(random_argument(&a->seed) & 0xffff800000000fffull),
                                       .cpu = i % info->cpu_count, .stack = PAGE_SIZE};

        if (info->cpu_mask >> config.cpu & 1)
            (void)!thread_start(&threads[i], &config);
    }
    for (;;)
        (void)hc_call_nowait(SEL_NONE, &(uint64_t){0});
}
