/* SPDX-License-Identifier: MIT */
/*
 * Free selectors of a component's object space, one bitmap for the component. Callable from any thread of it. A slot that is freed
 * must be empty (hc_remove() first).
 */
#ifndef FRAMEWORK_SLOTS_H
#define FRAMEWORK_SLOTS_H

#include "framework/layout.h"
#include "framework/status.h"

#define SLOT_COUNT 16384u

/* Called once by the start-up code: slots from `first` on are free; the first becomes the allocator's own semaphore. */
enum status slots_init(uint32_t first) MUST_CHECK;

/* A run of `count` slots; SEL_NONE when there is none. */
uint32_t slots_alloc(uint32_t count) MUST_CHECK;
void slots_free(uint32_t first, uint32_t count);

/* Empty a slot of the component and free it. */
void slots_remove(uint32_t first, uint32_t count);

#endif
