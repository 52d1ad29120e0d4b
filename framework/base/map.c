/* SPDX-License-Identifier: MIT */
/* Delegating page ranges in steps. */
#include "framework/hypercall.h"
#include "framework/map.h"
#include "lib/align.h"

/* How many pages one call can take from here. */
static uint64_t step(uint64_t from, uint64_t to, uint64_t count)
{
    if ((from ^ to) % LARGE_PAGES)
        return MIN(count, (uint64_t)ABI_DELEGATE_MAX);
    if (from % LARGE_PAGES)
        return MIN(count, LARGE_PAGES - from % LARGE_PAGES);
    if (count < LARGE_PAGES)
        return count;
    return MIN(ALIGN_DOWN(count, LARGE_PAGES), ABI_DELEGATE_MAX * LARGE_PAGES);
}

enum status map_pages(uint64_t from, uint64_t to, uint64_t from_page, uint64_t to_page, uint64_t count, unsigned perms)
{
    enum status status = STATUS_OK;
    uint64_t done = 0;

    while (done < count) {
        uint64_t pages = step(from_page + done, to_page + done, count - done), got = pages;
        enum abi_status result = hc_delegate(from, to, from_page + done, to_page + done, &got, perms);

        if (result == ABI_BAD_PARAMETER && pages > ABI_DELEGATE_MAX) { // small pages behind aligned addresses
            pages = got = ABI_DELEGATE_MAX;
            result = hc_delegate(from, to, from_page + done, to_page + done, &got, perms);
        }
        if (result != ABI_OK || got != pages) {
            status = result != ABI_OK ? status_of(result) : STATUS_NOT_FOUND;
            done += result == ABI_OK ? pages : 0;
            break;
        }
        done += pages;
    }
    if (status != STATUS_OK && done && hc_remove(to, to_page, done) != ABI_OK)
        return STATUS_ABORTED;
    return status;
}
