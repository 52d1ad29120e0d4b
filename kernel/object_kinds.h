/* SPDX-License-Identifier: MIT */
/* The small kinds of objects (portal, scheduling context), and the end of all kinds. Tree lock. */
#ifndef KERNEL_OBJECT_KINDS_H
#define KERNEL_OBJECT_KINDS_H

#include "kernel/ec.h"
#include "kernel/sched.h"
#include "kernel/tree.h"

/* A portal: an entry into a local EC. id and groups are single words that CTRL_PT replaces. */
struct pt {
    struct object object;
    struct ec *ec;       // ec_dead once it has died
    struct list_node link; // in ec->portals
    uint64_t rip;
    uint64_t id;
    uint64_t groups;     // of an event, ABI_EVENT_GROUP_*
};

static inline struct pt *pt_of(struct object *object)
{
    return (struct pt *)object;
}

static inline struct sc *sc_of(struct object *object)
{
    return (struct sc *)object;
}

/* NULL: the PD cannot pay. */
struct pt *pt_create(struct pd *pd, struct ec *ec, uint64_t rip, uint64_t id);
struct sc *sc_create(struct pd *pd, struct ec *ec, uint8_t prio, uint64_t slice);

/* The root capability of an object has gone: nobody finds it any more. It joins the batch. */
void object_kill(struct object *object, struct batch *batch);
/*
 * Gives back the memory of a dead object that nothing refers to. Dead objects that lose their last
 * reference by that are added to the list.
 */
void object_free(struct object *object, struct list_node *dead);
void object_unref(struct object *object, struct list_node *dead);

#endif
