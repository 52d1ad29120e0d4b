/* SPDX-License-Identifier: MIT */
/*
 * What a framework operation answers: in word 0 of each reply, and from each function that can fail. Kernel statuses
 * (abi/status.h) are turned into these by status_of().
 */
#ifndef FRAMEWORK_STATUS_H
#define FRAMEWORK_STATUS_H

#include "abi/status.h"

#include <stdint.h>

enum status {
    STATUS_OK,
    STATUS_INVALID,   // an argument out of its range, or a message that is malformed
    STATUS_DENIED,    // the caller lacks the authority, or policy routes this nowhere
    STATUS_QUOTA,     // a quota (memory, kernel memory, objects) or a table is used up
    STATUS_NOT_FOUND, // no such name or object
    STATUS_OCCUPIED,  // in use already
    STATUS_PENDING,   // not yet decided; a signal tells when
    STATUS_ABORTED,   // the other side died or closed
    STATUS_TIMEOUT,
    STATUS_UNSUPPORTED,
    STATUS_COUNT
};

#define MUST_CHECK __attribute__((warn_unused_result))

static inline enum status status_of(uint64_t abi)
{
    switch (abi) {
    case ABI_OK:             return STATUS_OK;
    case ABI_TIMEOUT:        return STATUS_TIMEOUT;
    case ABI_ABORTED:
    case ABI_BAD_CAPABILITY: return STATUS_ABORTED;
    case ABI_OUT_OF_MEMORY:
    case ABI_OVERFLOW:       return STATUS_QUOTA;
    case ABI_OCCUPIED:       return STATUS_OCCUPIED;
    case ABI_BAD_FEATURE:    return STATUS_UNSUPPORTED;
    case ABI_BAD_DEVICE:     return STATUS_NOT_FOUND;
    case ABI_BAD_CPU:        return STATUS_DENIED;
    default:                 return STATUS_INVALID;
    }
}

/* The name of a status for messages. */
const char *status_name(enum status status);

#endif
