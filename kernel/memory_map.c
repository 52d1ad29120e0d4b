/* SPDX-License-Identifier: MIT */
/* Physical memory ranges: union, cutting, taking. */
#include "kernel/memory_map.h"

#define PAGE 4096ull

static uint64_t range_end(uint64_t base, uint64_t size)
{
    return size > MEMORY_MAP_END || base > MEMORY_MAP_END - size ? MEMORY_MAP_END : base + size;
}

static bool append(struct abi_info *info, uint64_t base, uint64_t end, enum abi_memory type)
{
    if (info->range_count == MEMORY_MAP_MAX)
        return false;
    info->range[info->range_count++] = (struct abi_memory_range){.base = base, .size = end - base, .type = type};
    return true;
}

/* Cuts [base, end) out of all FREE ranges. */
static void cut(struct abi_info *info, uint64_t base, uint64_t end)
{
    for (unsigned i = 0; i < info->range_count;) {
        struct abi_memory_range *r = &info->range[i];
        uint64_t r_end = r->base + r->size;
        if (r->type != ABI_MEMORY_FREE || r_end <= base || r->base >= end) {
            i++;
        } else if (r->base < base) {
            r->size = base - r->base;
            if (r_end > end)
                append(info, end, r_end, ABI_MEMORY_FREE);
            i++;
        } else if (r_end > end) {
            r->base = end;
            r->size = r_end - end;
            i++;
        } else {
            *r = info->range[--info->range_count];
        }
    }
}

void memory_map_add_free(struct abi_info *info, uint64_t base, uint64_t size)
{
    uint64_t end = range_end(base, size) & -PAGE;
    if (base >= MEMORY_MAP_END)
        return;
    base = (base + PAGE - 1) & -PAGE;
    if (base >= end)
        return;
    cut(info, base, end);
    append(info, base, end, ABI_MEMORY_FREE);
}

bool memory_map_carve(struct abi_info *info, uint64_t base, uint64_t size, enum abi_memory type)
{
    if (!size || base >= MEMORY_MAP_END)
        return true;
    uint64_t end = range_end(base, size);
    cut(info, base & -PAGE, (end + PAGE - 1) & -PAGE);
    return append(info, base, end, type);
}

uint64_t memory_map_take(struct abi_info *info, uint64_t size, uint64_t align, uint64_t limit, enum abi_memory type)
{
    uint64_t best = 0;
    for (unsigned i = 0; i < info->range_count; i++) {
        const struct abi_memory_range *r = &info->range[i];
        if (r->type != ABI_MEMORY_FREE || r->base >= limit)
            continue;
        uint64_t end = r->base + r->size < limit ? r->base + r->size : limit;
        if (end - r->base < size)
            continue;
        uint64_t base = (end - size) & -align;
        if (base >= r->base && base > best)
            best = base;
    }
    return best && memory_map_carve(info, best, size, type) ? best : 0;
}

uint64_t memory_map_free_bytes(const struct abi_info *info)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < info->range_count; i++)
        if (info->range[i].type == ABI_MEMORY_FREE)
            sum += info->range[i].size;
    return sum;
}

void memory_map_sort(struct abi_info *info)
{
    for (unsigned i = 1; i < info->range_count; i++) {
        struct abi_memory_range r = info->range[i];
        unsigned k = i;
        for (; k > 0 && info->range[k - 1].base > r.base; k--)
            info->range[k] = info->range[k - 1];
        info->range[k] = r;
    }
}
