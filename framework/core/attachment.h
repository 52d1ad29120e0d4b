/* SPDX-License-Identifier: MIT */
/*
 * Shared memory outlives its owner for those who have it mapped: what a PD attaches of another's dataspace is recorded with a page of the PD's own.
 * When the owner frees the dataspace or ends, that page, zeroed, appears everywhere in the place of the memory that is gone. So nobody
 * faults for another's death; what lies in shared memory is hostile anyway. The page and one object are charged to the PD that attaches.
 * Under core's lock.
 */
#ifndef FRAMEWORK_CORE_ATTACHMENT_H
#define FRAMEWORK_CORE_ATTACHMENT_H

#include "framework/core/state.h"

/* Map a dataspace into a PD; with a record if it is another PD's memory. */
enum status attachment_make(struct core *core, const struct dataspace *dataspace, struct pd *pd, uint64_t address,
                            uint64_t offset, uint64_t size, unsigned perms) MUST_CHECK;

/* Unmap a range of a PD and forget the records that begin in it. */
enum status attachment_end(struct core *core, struct pd *pd, uint64_t address, uint64_t size) MUST_CHECK;
void attachment_end_all(struct core *core, struct pd *pd);

/* The dataspace is unmapped everywhere: put the pages in its place. */
void attachment_replace(struct core *core, const struct dataspace *dataspace);

/* Did this PD fault at an address whose memory has been replaced meanwhile? Then it just goes on. */
bool attachment_replaced(const struct core *core, const struct pd *pd, uint64_t address);

#endif
