/* SPDX-License-Identifier: MIT */
/*
 * Spaces: the tables that say what a PD can name or touch, by kind, below the nodes that say where
 * it comes from.
 *
 *   OBJ       a directory of 512 tables of 512 capabilities
 *   HST, GST  four-level page tables (kernel/paging.h); tables without an entry are given up
 *   PIO, MSR  bitmaps in the formats of a TSS and of SVM (APM volume 2, 15.10 and 15.11): 1 denies
 * A source-only space has no tables. All changes are made under the tree lock; processors and fast
 * paths read without.
 */
#ifndef KERNEL_SPACE_H
#define KERNEL_SPACE_H

#include "kernel/node.h"

struct space {
    struct object object;
    struct rb_tree nodes;
    struct list_node revokes;  // ECs that are revoking a range of it, by revoke_link
    void *root;                // kernel address; NULL: source only
};

static inline struct space *space_of(struct object *object)
{
    return (struct space *)object;
}

static inline bool space_is_memory(const struct space *space)
{
    return space->object.type <= OBJECT_SPACE_DMA && space->object.type != OBJECT_SPACE_OBJ;
}

/* Units there are: selectors, pages, ports, MSR numbers. */
uint64_t space_limit(const struct space *space);

/* Tree lock. Paid by the PD. kernel_pml4 is the template of host spaces. NULL: out of memory. */
struct space *space_create(struct pd *pd, enum object_type kind, bool source_only);
void space_free(struct space *space);

/* Entries that a node takes (a 2 MiB page is one). */
uint64_t space_leaves(const struct node *node);
/* Adds the tables that are missing for a node to reserve->tables. */
void space_plan(struct reserve *reserve, const struct node *node);
/* Fills in the entries of a node, with tables from the reservation. */
void space_map(const struct node *node, struct frame_list *frames);
/* Clears them; tables that become empty go on the list, to be freed after a grace period. */
void space_unmap(const struct node *node, struct frame_list *tables);

/* Host spaces: the page table whose upper half all share. Set once at boot. */
void space_set_template(const uint64_t *pml4);

#endif
