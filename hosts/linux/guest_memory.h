/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one sealed memfd, mapped shared, at a multiple of 2 MiB, with inaccessible memory
 * before and behind it.
 *
 * Sealed against shrinking, so no access can end in SIGBUS. The file stays open: an engine may map
 * it a second time before the sandbox closes it.
 */
#ifndef HOSTS_LINUX_GUEST_MEMORY_H
#define HOSTS_LINUX_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_MEMORY_ALIGN (2ull << 20) // of base, and how much at least is inaccessible around it

struct guest_memory {
    int fd;
    uint8_t *base;
    uint64_t size;
};

/* size: a multiple of 4 KiB. False, with errno. */
bool guest_memory_create(struct guest_memory *memory,
                         uint64_t size) __attribute__((warn_unused_result));

#endif
