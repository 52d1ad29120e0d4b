/* SPDX-License-Identifier: MIT */
/* Revocation, in batches that are bounded, allocate nothing and cannot fail. */
#ifndef KERNEL_REVOKE_H
#define KERNEL_REVOKE_H

#include "kernel/space.h"
#include "kernel/tree.h"

/*
 * One batch of revoking [base, base + count) of a space: what was derived from it, and with `self`
 * the range. Tree lock; batch_finish() is due afterwards. True if nothing is left to do.
 */
bool revoke_some(struct space *space, uint64_t base, uint64_t count, bool self,
                 struct batch *batch);

#endif
