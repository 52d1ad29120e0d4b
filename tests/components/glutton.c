/* SPDX-License-Identifier: MIT */
/*
 * Takes all it can get: memory, semaphores, threads, sessions; says how much that was, and faults with all of it in
 * its hands. In its next life it must get the same.
 */
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/memory.h"
#include "framework/parent.h"
#include "framework/slots.h"
#include "framework/thread.h"

#define SESSIONS 12u
#define THREADS  8u

static void wait_for_ever(void *argument)
{
    (void)hc_down((uint64_t)argument, 0, 0);
}

static unsigned take_sessions(void)
{
    static struct session sessions[SESSIONS];
    const struct session_arguments arguments = {.service = "echo", .label = ""};
    unsigned count = 0;

    while (count < SESSIONS && session_open(&sessions[count], &arguments, 0) == STATUS_OK)
        count++;
    return count;
}

static unsigned take_threads(void)
{
    static struct thread threads[THREADS];
    uint32_t never = slots_alloc(1);
    unsigned count = 0;

    if (hc_create_sm(never, SEL_PD, 0) != ABI_OK)
        return 0;
    for (unsigned cpu = 0; count < THREADS; cpu++, count++) {
        struct thread_config config = {.function = wait_for_ever, .argument = (void *)(uint64_t)never,
                                       .cpu = cpu % component_info()->cpu_count, .stack = PAGE_SIZE};

        if (thread_start(&threads[count], &config) != STATUS_OK)
            break;
    }
    return count;
}

static unsigned take_memory(void)
{
    struct mapping memory;
    unsigned pages = 0;

    for (uint64_t size = 1 << 20; size >= PAGE_SIZE; size /= 2)
        while (memory_alloc(&memory, size, PAGE_SIZE) == STATUS_OK)
            pages += (unsigned)(size / PAGE_SIZE);
    return pages;
}

static unsigned take_semaphores(void)
{
    unsigned count = 0;
    uint32_t slot;

    while ((slot = slots_alloc(1)) != SEL_NONE && hc_create_sm(slot, SEL_PD, 0) == ABI_OK)
        count++;
    return count;
}

int main(void)
{
    unsigned sessions = take_sessions(), threads = take_threads(), pages = take_memory(), semaphores = take_semaphores();

    log_print("took %u sessions, %u threads, %u pages, %u semaphores", sessions, threads, pages, semaphores);
    __builtin_trap();
}
