/* SPDX-License-Identifier: MIT */
/* Threads and local ECs: region of addresses, from low to high: guard page, stack, guard page, UTCB. */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/hypercall.h"
#include "framework/slots.h"
#include "framework/space.h"
#include "framework/thread.h"
#include "lib/align.h"

#define STACK_DEFAULT 0x10000ull

static void region_drop(struct thread *thread)
{
    (void)!core_ram_free(thread->stack.slot); // ours; refused only if it is gone already
    slots_remove(thread->stack.slot, 1);
    space_free(thread->region, thread->region_size);
}

#define THREAD_SLOTS 3u // EC, the SM `done`, the SM to wait on for ever

static MUST_CHECK enum status region_make(struct thread *thread, unsigned cpu, uint64_t stack)
{
    uint64_t size = ALIGN_UP(stack ? stack : STACK_DEFAULT, PAGE_SIZE), utcb;
    uint32_t slots = slots_alloc(THREAD_SLOTS);
    enum status status;

    if (slots == SEL_NONE)
        return STATUS_QUOTA;
    thread->ec = slots;
    thread->done = slots + 1;
    thread->time = 0;
    thread->stack.slot = slots_alloc(1);
    thread->stack.size = size;
    thread->region_size = size + 3 * PAGE_SIZE;
    status = space_alloc(thread->region_size, PAGE_SIZE, &thread->region);
    if (thread->stack.slot == SEL_NONE || status != STATUS_OK)
        return STATUS_QUOTA;
    status = core_ram_alloc(size, PAGE_SIZE, UINT64_MAX, thread->stack.slot, NULL);
    if (status == STATUS_OK)
        status = core_attach(thread->stack.slot, thread->region + PAGE_SIZE, 0, size, ABI_PERM_MEM_R | ABI_PERM_MEM_W);
    if (status != STATUS_OK) {
        region_drop(thread);
        slots_free(slots, THREAD_SLOTS);
        return status;
    }
    thread->stack.address = (void *)(thread->region + PAGE_SIZE);
    utcb = thread->region + size + 2 * PAGE_SIZE;
    thread->self = thread_self_place(thread->region + PAGE_SIZE + size, (struct abi_utcb *)utcb, cpu, thread->ec);
    thread->stack_top = ((uint64_t)thread->self + 64 - thread_self_size()) & ~15ull;
    return STATUS_OK;
}

void thread_end(struct thread *thread)
{
    if (thread->time)
        (void)!core_thread_stop(thread->time); // not found only if core ended it before
    slots_remove(thread->ec, THREAD_SLOTS);
    region_drop(thread);
}

static _Noreturn void thread_first(void)
{
    struct thread *thread;

    __asm__("mov %%fs:24, %0" : "=r"(thread));
    thread->function(thread->argument);
    (void)hc_up(thread->done); // it exists as long as the thread does
    if (hc_create_sm(thread->done + 1, SEL_PD, 0) == ABI_OK)
        (void)hc_down(thread->done + 1, 0, 0);
    __builtin_trap();
}

enum status thread_start(struct thread *thread, const struct thread_config *config)
{
    const struct component_info *info = component_info();
    enum status status = region_make(thread, config->cpu, config->stack);
    enum abi_status made;

    if (status != STATUS_OK)
        return status;
    thread->function = config->function;
    thread->argument = config->argument;
    thread->self->thread = thread;
    made = hc_create_sm(thread->done, SEL_PD, 0);
    if (made == ABI_OK)
        made = hc_create_thread(thread->ec, SEL_PD, (uint64_t)thread->self->utcb, config->cpu, thread->stack_top - 8,
                                (uint64_t)thread_first, SEL_EVENT + config->cpu * SEL_EVENT_STRIDE, (uint64_t)thread->self);
    status = status_of(made);
    if (status == STATUS_OK)
        status = core_thread_start(thread->ec, config->priority ? config->priority : info->priority,
                                   config->slice_us ? config->slice_us : 10000, &thread->time);
    if (status != STATUS_OK)
        thread_end(thread);
    return status;
}

enum status thread_join(struct thread *thread, uint64_t deadline)
{
    return status_of(hc_down(thread->done, 0, deadline));
}

enum status thread_local_ec(struct thread *thread, unsigned cpu, uint64_t stack)
{
    enum status status = region_make(thread, cpu, stack);

    if (status != STATUS_OK)
        return status;
    status = status_of(hc_create_local(thread->ec, SEL_PD, (uint64_t)thread->self->utcb, cpu, thread->stack_top,
                                       SEL_EVENT + cpu * SEL_EVENT_STRIDE, (uint64_t)thread->self));
    if (status != STATUS_OK)
        thread_end(thread);
    return status;
}
