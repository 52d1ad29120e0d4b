/* SPDX-License-Identifier: MIT */
/*
 * Calls core, its parent and the adder as fast as it can on every CPU it has, and faults after a time: so it is destroyed in the middle of
 * calls. Whatever is left unfinished in the servers must not harm the others.
 */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/io.h"
#include "framework/message.h"
#include "framework/parent.h"
#include "framework/thread.h"
#include "framework/thread_self.h"

static void hammer(void *argument)
{
    const struct session_arguments arguments = {.service = "adder", .label = ""};
    struct session session;
    struct core_quota quota;

    (void)argument;
    if (session_open(&session, &arguments, 0) != STATUS_OK)
        return;
    for (;;) {
        struct abi_utcb *utcb = utcb_self();

        utcb->word[0] = 0;
        utcb->word[1] = utcb->word[2] = 1;
        (void)!request(session.slots, 3, 0);
        (void)!core_quota(&quota);
        (void)session_update(&session, NULL);
    }
}

int main(void)
{
    static struct thread threads[ABI_CPU_MAX];
    const struct component_info *info = component_info();
    uint64_t end = tsc_now() + (20 + tsc_now() % 64) * info->tsc_khz;

    for (unsigned cpu = 0; cpu < info->cpu_count; cpu++) {
        struct thread_config config = {.function = hammer, .cpu = cpu, .priority = 20, .slice_us = 1000};

        if ((info->cpu_mask >> cpu & 1) && thread_start(&threads[cpu], &config) != STATUS_OK)
            return 1;
    }
    while (tsc_now() < end)
        ;
    __builtin_trap();
}
