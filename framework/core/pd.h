/* SPDX-License-Identifier: MIT */
/*
 * The tree of PDs: PD 0 is core, PD 1 init, all others are made by request of their parents. A child's memory, objects and kernel
 * memory come out of its parent's quota and go back with its end. Under core's lock.
 */
#ifndef FRAMEWORK_CORE_PD_H
#define FRAMEWORK_CORE_PD_H

#include "framework/core/state.h"

/* Portal ids: which PD calls, and whether it is a request or a fault. */
#define PORTAL_FAULT 0x100u

static inline uint64_t portal_id(const struct core *core, const struct pd *pd, unsigned kind)
{
    return pd_index(core, pd) | kind | (uint64_t)pd->generation << 16;
}

/* NULL: the PD has ended since. */
static inline struct pd *portal_pd(struct core *core, uint64_t id)
{
    struct pd *pd = &core->pd[id & 0xff];

    return pd->used && pd->generation == (uint16_t)(id >> 16) ? pd : NULL;
}
_Static_assert(PD_MAX == 256, "8 bits of a portal id");

enum status pd_create(struct core *core, struct pd *parent, const struct core_child_config *config, uint32_t *child) MUST_CHECK;

/* Capabilities of the parent to its child. */
enum status pd_give(struct core *core, struct pd *parent, struct pd *child, uint32_t from, uint32_t to, uint32_t count,
                    unsigned perms) MUST_CHECK;

/* Load an ELF image and run it. */
enum status pd_start(struct core *core, struct pd *child, uint32_t cpu, const struct dataspace *image) MUST_CHECK;

/* Ends the PD, all below it, and all that it had. */
void pd_destroy(struct core *core, struct pd *pd);

/* Move memory quota: from parent to child and back. */
enum status pd_quota(struct pd *parent, struct pd *child, uint64_t give, uint64_t take) MUST_CHECK;

/* The child of a parent with this id, or NULL. */
struct pd *pd_child(struct core *core, const struct pd *parent, uint64_t id);

/* A thread of the PD faulted: report, notify the parent. False: the cause is gone, and it can go on. */
bool pd_fault(struct core *core, struct pd *pd, const struct abi_event *event, unsigned cpu);

/* Threads' time. */
enum status pd_thread_start(struct core *core, struct pd *pd, uint32_t ec, uint64_t priority, uint64_t slice_us,
                            uint32_t *id) MUST_CHECK;
enum status pd_thread_stop(struct core *core, struct pd *pd, uint64_t id) MUST_CHECK;

#endif
