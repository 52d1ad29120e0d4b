/* SPDX-License-Identifier: MIT */
/* The start of a root task. */
#include "framework/base/start.h"
#include "framework/root/root.h"

#include "abi/hypercall.h"

void start_program(void)
{
    const struct abi_info *info = (const struct abi_info *)ABI_INFO_ADDRESS;

    if (info->magic != ABI_INFO_MAGIC || info->version != ABI_VERSION)
        __builtin_trap();
    if (start_base(info->boot_cpu, ABI_SEL_FREE) == STATUS_OK)
        root_main(info);
    start_halt();
}
