/* SPDX-License-Identifier: MIT */
/*
 * What all kernel objects have in common, and the capability slot that names one.
 *
 * An object is 64-byte aligned, is paid for by its owner PD, and is on that PD's list of objects
 * from its creation until it dies. The node of the capability that its creation made is its root:
 * removing that node destroys the object. Pointers from one object to another that outlive a
 * hypercall are counted in `refs`; the memory is freed when the object is dying, refs is 0 and a
 * grace period has passed (kernel/reap.h). All fields are changed under the tree lock only; type
 * never changes while anyone can see the object.
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include "abi/hypercall.h"
#include "abi/status.h"
#include "lib/list.h"

#define MUST_CHECK    __attribute__((warn_unused_result))
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct pd;
struct node;

enum object_type {
    OBJECT_SPACE_OBJ = ABI_SPACE_OBJ, // the space types are the ABI's own
    OBJECT_SPACE_HST = ABI_SPACE_HST,
    OBJECT_SPACE_GST = ABI_SPACE_GST,
    OBJECT_SPACE_DMA = ABI_SPACE_DMA,
    OBJECT_SPACE_PIO = ABI_SPACE_PIO,
    OBJECT_SPACE_MSR = ABI_SPACE_MSR,
    OBJECT_PD = ABI_SPACE_COUNT,
    OBJECT_EC,
    OBJECT_SC,
    OBJECT_PT,
    OBJECT_SM
};

struct object {
    uint8_t type;
    bool dying;
    uint32_t refs;
    struct pd *owner;
    struct node *root;
    struct list_node link; // in owner->objects, or in the list of dying ones
};
_Static_assert(sizeof(struct object) == 40, "the assembly counts on it");

/* All permissions of a kind (abi/hypercall.h). */
enum {
    PERMS_PD = 0xf, PERMS_SPACE = 0xf, PERMS_EC = 0xf, PERMS_SC = 0x1, PERMS_PT = 0x7, PERMS_SM = 0x7
};

#define OBJECT_ALIGN 64u

/* A capability as an object space stores it: pointer | permissions, or 0. */
typedef uint64_t cap_t;

static inline struct object *cap_object(cap_t cap)
{
    return (struct object *)(cap & ~(uint64_t)(OBJECT_ALIGN - 1));
}

static inline unsigned cap_perms(cap_t cap)
{
    return cap & ABI_PERM_OBJ_ALL;
}

#endif
