/* SPDX-License-Identifier: MIT */
/*
 * A component's memory: mapped dataspaces, the heap. Callable from all its threads. Pages are mapped at once, zeroed, and
 * stay until freed; there are no page faults to wait for.
 */
#ifndef FRAMEWORK_MEMORY_H
#define FRAMEWORK_MEMORY_H

#include "framework/map.h"
#include "framework/status.h"

#include <stddef.h>

/* A dataspace that is mapped here. (Named so that the VM process, which has a struct memory of its own, can use both.) */
struct mapping {
    void    *address;
    uint64_t size;
    uint32_t slot;   // its capability
    uint64_t physical; // with AUTHORITY_DEVICE, of memory_alloc() only
};

/* New memory, read and write. align: a power of two, of the address and of the physical memory (LARGE_PAGE for guests). */
enum status memory_alloc(struct mapping *memory, uint64_t size, uint64_t align) MUST_CHECK;

/* The same, physically below limit: for DMA. */
enum status memory_alloc_below(struct mapping *memory, uint64_t size, uint64_t align, uint64_t limit) MUST_CHECK;
void memory_free(struct mapping *memory);

/* A dataspace that somebody else gave: map it all. The capability stays the caller's. */
enum status memory_attach(struct mapping *memory, uint32_t slot, unsigned perms) MUST_CHECK;
void memory_detach(struct mapping *memory);

/* The heap: not zeroed, 16-byte aligned or as asked (up to 4096); NULL when the quota is used up. */
void *heap_alloc(size_t size) __attribute__((malloc));
void *heap_alloc_aligned(size_t size, size_t align) __attribute__((malloc));
void heap_free(void *memory);

/* Called by the start-up code. */
enum status memory_start(void) MUST_CHECK;
enum status heap_start(void) MUST_CHECK;

#endif
