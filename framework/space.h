/* SPDX-License-Identifier: MIT */
/*
 * Unused addresses of the component: for mapping dataspaces, and for pages that the kernel brings (UTCBs, vCPU state). Whole pages; align is a
 * power of two. Callable from all threads.
 */
#ifndef FRAMEWORK_SPACE_H
#define FRAMEWORK_SPACE_H

#include "framework/status.h"

#include <stdint.h>

enum status space_alloc(uint64_t size, uint64_t align, uint64_t *address) MUST_CHECK;
void space_free(uint64_t address, uint64_t size);

#endif
