/* SPDX-License-Identifier: MIT */
/*
 * The start-up code for a root task: core, and the programs that test and measure the kernel without it. Link with libroot, libbase, libg.
 * The thread control block of the root thread is set up, selectors from ABI_SEL_FREE on are in slots.h. When root_main() returns the
 * thread waits for ever.
 */
#ifndef FRAMEWORK_ROOT_ROOT_H
#define FRAMEWORK_ROOT_ROOT_H

#include "abi/info.h"

void root_main(const struct abi_info *info);

#endif
