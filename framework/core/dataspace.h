/* SPDX-License-Identifier: MIT */
/*
 * Dataspaces: making, finding, mapping, ending. Under core's lock. Quota is charged to the owner and comes back with the end.
 */
#ifndef FRAMEWORK_CORE_DATASPACE_H
#define FRAMEWORK_CORE_DATASPACE_H

#include "framework/core/state.h"
#include "framework/map.h"

/*
 * Zeroed memory for a PD. limit: highest physical address + 1. Beyond 4 MiB core's lock is released while it is cleared: ABORTED when the
 * owner has ended meanwhile; the caller must not rely on what it knew of others.
 */
enum status dataspace_ram(struct core *core, struct pd *owner, uint64_t size, uint64_t align, uint64_t limit,
                          uint32_t *index) MUST_CHECK;

/* A zeroed page that is nobody's dataspace, charged to nobody. */
enum status dataspace_page(struct core *core, uint64_t *physical) MUST_CHECK;

/* Memory that core does not allocate: a boot module or device registers. Nothing is charged but an object. */
enum status dataspace_fixed(struct core *core, struct pd *owner, enum dataspace_kind kind, uint64_t base, uint64_t bytes,
                            unsigned cache, uint32_t *index) MUST_CHECK;

/* Unmapped everywhere on return. */
void dataspace_end(struct core *core, uint32_t index);
void dataspace_end_all(struct core *core, struct pd *owner);

/* The dataspace that a translated capability names, or NULL. */
struct dataspace *dataspace_find(struct core *core, uint64_t received);

/* Map [offset, offset + size) into a PD at an address. */
enum status dataspace_attach(struct core *core, const struct dataspace *dataspace, struct pd *pd, uint64_t address,
                             uint64_t offset, uint64_t size, unsigned perms) MUST_CHECK;

/* Core's own look at a dataspace through a window. QUOTA: more than WINDOW_SIZE. */
enum status window_map(const struct dataspace *dataspace, uint64_t window, void **address) MUST_CHECK;
void window_unmap(const struct dataspace *dataspace, uint64_t window);

#endif
