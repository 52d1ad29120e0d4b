/* SPDX-License-Identifier: MIT */
/* What components and root tasks have in common at their start. */
#include "framework/base/start.h"
#include "framework/hypercall.h"
#include "framework/layout.h"
#include "framework/slots.h"
#include "framework/thread_self.h"

/* The first thread's control block and thread-local variables. */
static _Alignas(64) char first_block[4096];

enum status start_base(uint32_t cpu, uint32_t first_slot)
{
    struct thread_self *self;

    if (thread_self_size() > sizeof first_block)
        return STATUS_QUOTA;
    self = thread_self_place((uint64_t)first_block + sizeof first_block, (struct abi_utcb *)ABI_ROOT_UTCB, cpu, SEL_EC);
    if (hc_fs_base(SEL_EC, (uint64_t)self) != ABI_OK)
        return STATUS_DENIED;
    return slots_init(first_slot);
}

void start_halt(void)
{
    uint32_t sm = slots_alloc(1);

    if (sm != SEL_NONE && hc_create_sm(sm, SEL_PD, 0) == ABI_OK)
        (void)hc_down(sm, 0, 0); // nobody ever ups it
    __builtin_trap();
}
