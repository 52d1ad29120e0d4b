/* SPDX-License-Identifier: MIT */
/*
 * Protection domains: the spaces that threads run in, and the account that kernel memory is paid
 * from.
 *
 * `limit` frames were taken from the parent (object.owner) when the PD was created or by
 * QUOTA_GIVE, and go back when it is freed; they count as used there meanwhile. object.refs counts
 * the objects that the PD owns and that are not freed yet.
 */
#ifndef KERNEL_PD_H
#define KERNEL_PD_H

#include "kernel/object.h"
#include "kernel/slab.h"

struct space;

struct account {
    uint64_t limit; // frames
    uint64_t used;
};

struct pd {
    struct object object;
    struct account account;
    struct space *objects, *host, *ports; // those its threads run in, or NULL
    uint64_t cr3;                         // of host
    uint64_t port_frame;                  // physical, of the port bitmap; 0: there is none
    struct list_node owned;               // live objects, by object.link
    struct slab_cache slabs;
};

static inline bool account_has(const struct account *account, uint64_t frames)
{
    return frames <= account->limit - account->used;
}

static inline struct pd *pd_of(struct object *object)
{
    return (struct pd *)object;
}

/*
 * Tree lock. NULL: out of memory. The parent is NULL for the root PD, whose memory the caller
 * brings.
 */
struct pd *pd_create(struct pd *parent, uint64_t quota);
void pd_init(struct pd *pd, struct pd *parent, uint64_t quota);
void pd_free(struct pd *pd);

/* QUOTA_GIVE, or QUOTA_TAKE with `back`. */
enum abi_status pd_move_quota(struct pd *parent, struct pd *child, uint64_t frames,
                              bool back) MUST_CHECK;

/*
 * The header of a new object: in the list of its owner from now on. object_drop() takes it out for
 * good.
 */
void object_init(struct object *object, enum object_type type, struct pd *owner);
void object_drop(struct object *object);

#endif
