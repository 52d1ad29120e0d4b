/* SPDX-License-Identifier: MIT */
/* From _start (base/start.S) to C. A root task's or a component's start-up code defines start_program(). */
#ifndef FRAMEWORK_BASE_START_H
#define FRAMEWORK_BASE_START_H

#include "framework/status.h"

#include <stdint.h>

_Noreturn void start_program(void);

/* Control block of the first thread, and the slot allocator from `first_slot` on. */
enum status start_base(uint32_t cpu, uint32_t first_slot) MUST_CHECK;

/* Wait for ever, or if even that fails, stop by an exception. */
_Noreturn void start_halt(void);

#endif
