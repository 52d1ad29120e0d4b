/* SPDX-License-Identifier: MIT */
/*
 * Delegating page ranges of any length: ABI_DELEGATE in steps that respect ABI_DELEGATE_MAX, with 2 MiB pages where both sides are
 * aligned alike. Page numbers, not addresses.
 */
#ifndef FRAMEWORK_MAP_H
#define FRAMEWORK_MAP_H

#include "framework/status.h"

#include <stdint.h>

#define PAGE_SIZE   4096ull
#define PAGE_SHIFT  12
#define LARGE_PAGE  0x200000ull
#define LARGE_PAGES (LARGE_PAGE / PAGE_SIZE)

/* perms as R9 of ABI_DELEGATE. Nothing is left mapped when it fails. NOT_FOUND: the source has holes. `to` needs {TAKE, REVOKE}. */
enum status map_pages(uint64_t from, uint64_t to, uint64_t from_page, uint64_t to_page, uint64_t count, unsigned perms) MUST_CHECK;

#endif
