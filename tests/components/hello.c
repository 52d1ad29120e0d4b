/* SPDX-License-Identifier: MIT */
/* The least component: says something and exits. */
#include "framework/component.h"

int main(void)
{
    log_print("hello from CPU %u of %u", component_info()->cpu, component_info()->cpu_count);
    return 7;
}
