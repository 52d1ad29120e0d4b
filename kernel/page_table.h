/* SPDX-License-Identifier: MIT */
/*
 * Four-level page tables of host and guest spaces (APM volume 2, 5.3 and 15.25). A node's pages are
 * 2 MiB ones wherever address, physical address and length allow it, so that mapping and unmapping
 * agree without looking. Each table counts its entries (frame_info.used) and is given up when it
 * has none. Root tables stay.
 */
#ifndef KERNEL_PAGE_TABLE_H
#define KERNEL_PAGE_TABLE_H

#include "kernel/node.h"

uint64_t page_table_leaves(uint64_t base, uint64_t phys, uint64_t count);
void page_table_plan(struct reserve *reserve, const struct node *node);
void page_table_map(const struct node *node, struct frame_list *frames);
void page_table_unmap(const struct node *node, struct frame_list *tables);

#endif
