/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: mapped at a multiple of 2 MiB, with inaccessible memory before and behind it.
 *
 * One sealed memfd, mapped shared; or, where the kernel has huge pages for private memory only,
 * private memory, since a page table of small pages costs a guest up to a third of its speed. The
 * file is sealed against shrinking, so no access can end in SIGBUS. It stays open: an engine may map
 * it a second time before the sandbox closes it. Child processes do not get the memory.
 */
#ifndef HOSTS_LINUX_GUEST_MEMORY_H
#define HOSTS_LINUX_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_MEMORY_ALIGN (2ull << 20) // of base, and how much at least is inaccessible around it

struct guest_memory {
    int fd; // -1: private
    uint8_t *base;
    uint64_t size;
};

/* size: a multiple of 4 KiB. False, with errno. */
bool guest_memory_create(struct guest_memory *memory,
                         uint64_t size) __attribute__((warn_unused_result));

/* From now on; the kernel may gather the small pages that are there. At any time. */
void guest_memory_use_huge_pages(const struct guest_memory *memory);

#endif
