/* SPDX-License-Identifier: MIT */
/* Derivation of ranges, and of the first node of a new object. Tree lock. */
#ifndef KERNEL_DELEGATE_H
#define KERNEL_DELEGATE_H

#include "kernel/space.h"

struct delegation {
    struct space *source, *target;
    uint64_t source_base, target_base, count;
    uint8_t perms;
    uint8_t cache;
};

/*
 * ABI_DELEGATE without the capabilities; *done: units that were there to be delegated. A failure
 * leaves nothing.
 */
enum abi_status delegate(const struct delegation *d, uint64_t *done) MUST_CHECK;

/* Is this node, or what it was derived from, being revoked? */
bool node_is_revoked(const struct node *node);

/*
 * A slot for a new object: all that the capability will need is reserved, then it is bound, or
 * cancelled by reserve_cancel().
 */
enum abi_status slot_reserve(struct reserve *slot, struct space *space, uint64_t sel) MUST_CHECK;
void slot_bind(struct reserve *slot, struct object *object, uint8_t perms, uint8_t flags);

#endif
