/* SPDX-License-Identifier: MIT */
/* Core's entry ECs and keepers. */
#include "framework/core/dataspace.h"
#include "framework/core/entry.h"
#include "framework/core/pd.h"
#include "framework/io.h"
#include "framework/message.h"
#include "framework/thread_self.h"

#define STACKS        0x230000000000ull
#define UTCBS         0x240000000000ull
#define STACK_STRIDE  (4 * LARGE_PAGE)
#define STACK_SIZE    (4 * PAGE_SIZE)
#define KEEPER_STACKS (STACKS + ABI_CPU_MAX * STACK_STRIDE)
#define KEEPER_UTCBS  (UTCBS + ABI_CPU_MAX * PAGE_SIZE)

/* Highest of all: it runs for some hundred instructions after the end of a PD. */
#define KEEPER_PRIORITY ABI_PRIO_MAX

#define LOCK_PATIENCE_US 1000

/* A stack with a thread control block on top. */
static MUST_CHECK enum status stack_make(struct core *core, uint64_t window, uint64_t utcb, uint32_t cpu, uint32_t ec,
                                         struct thread_self **self)
{
    uint32_t index;
    void *stack;
    enum status status = dataspace_ram(core, &core->pd[0], STACK_SIZE, PAGE_SIZE, UINT64_MAX, &index);

    if (status == STATUS_OK)
        status = window_map(&core->dataspace[index], window, &stack);
    if (status == STATUS_OK)
        *self = thread_self_place((uint64_t)stack + STACK_SIZE, (struct abi_utcb *)utcb, cpu, ec);
    return status;
}

static uint64_t stack_top(const struct thread_self *self)
{
    return ((uint64_t)self + 64 - thread_self_size()) & ~15ull;
}

static _Noreturn void keeper(struct abi_utcb *utcb)
{
    uint32_t cpu = cpu_self();

    (void)utcb;
    for (;;) {
        uint64_t message = 0; // a request without words: refused, which is all that is wanted

        if (hc_down(CORE_KEEPER_SM + cpu, ABI_SM_ALL, 0) != ABI_OK || hc_call(CORE_KEEPER_PT + cpu, &message) != ABI_OK)
            __builtin_trap();
    }
}

static MUST_CHECK enum status keeper_make(struct core *core, uint32_t cpu)
{
    uint64_t utcb = KEEPER_UTCBS + cpu * PAGE_SIZE;
    struct thread_self *self;
    enum status status = stack_make(core, KEEPER_STACKS + cpu * STACK_STRIDE, utcb, cpu, CORE_KEEPER + cpu, &self);
    enum abi_status made;

    if (status != STATUS_OK)
        return status;
    made = hc_create_sm(CORE_KEEPER_SM + cpu, SEL_PD, 0);
    if (made == ABI_OK)
        made = hc_create_portal(CORE_KEEPER_PT + cpu, SEL_PD, CORE_ENTRY + cpu, (uint64_t)core_entry,
                                portal_id(core, &core->pd[0], 0));
    /* 8 below: the stack of a function that was called. */
    if (made == ABI_OK)
        made = hc_create_thread(CORE_KEEPER + cpu, SEL_PD, utcb, cpu, stack_top(self) - 8, (uint64_t)keeper, ~0ull,
                                (uint64_t)self);
    if (made == ABI_OK)
        made = hc_create_sc(CORE_KEEPER_SC + cpu, SEL_PD, CORE_KEEPER + cpu, KEEPER_PRIORITY, 1000, 0);
    return status_of(made);
}

enum status entries_init(struct core *core)
{
    for (uint32_t cpu = 0; cpu < core->info->cpu_count; cpu++) {
        uint64_t utcb = UTCBS + cpu * PAGE_SIZE;
        struct thread_self *self;
        enum status status = stack_make(core, STACKS + cpu * STACK_STRIDE, utcb, cpu, CORE_ENTRY + cpu, &self);

        if (status == STATUS_OK)
            status = status_of(hc_create_local(CORE_ENTRY + cpu, SEL_PD, utcb, cpu, stack_top(self), ~0ull, (uint64_t)self));
        if (status == STATUS_OK)
            status = keeper_make(core, cpu);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

void keepers_wake(struct core *core)
{
    for (uint32_t cpu = 0; cpu < core->info->cpu_count; cpu++)
        (void)hc_up(CORE_KEEPER_SM + cpu); // only an overflow could refuse it, and then the keeper is awake
}

void core_lock(struct core *core)
{
    if (__atomic_fetch_add(&core->lock.users, 1, __ATOMIC_ACQUIRE) == 0)
        return;
    while (hc_down(core->lock.sm, 0, tsc_now() + tsc_of_us(LOCK_PATIENCE_US, core->info->tsc_khz)) != ABI_OK)
        keepers_wake(core);
}
