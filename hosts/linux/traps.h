/* SPDX-License-Identifier: MIT */
/*
 * Instructions of translated code that the processor refuses (a division by zero, a feature that it
 * lacks): the signal that comes of it goes back to the recompiler. Any other one of the kind is a
 * fault of this program's and ends it as usual.
 */
#ifndef HOSTS_LINUX_TRAPS_H
#define HOSTS_LINUX_TRAPS_H

#include "vmm/engine.h"

#include <stdbool.h>

/* Once, before the sandbox. */
bool traps_install(void) __attribute__((warn_unused_result));
/* In each vCPU's thread: a stack for the handler, and whose code it runs. */
bool traps_begin_thread(struct engine *engine) __attribute__((warn_unused_result));

#endif
