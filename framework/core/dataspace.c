/* SPDX-License-Identifier: MIT */
/* Dataspaces over physical memory. */
#include "framework/core/attachment.h"
#include "framework/core/dataspace.h"
#include "framework/core/entry.h"
#include "framework/message.h"
#include "framework/thread_self.h"
#include "lib/align.h"
#include "lib/string.h"

/* Each CPU has windows of its own, since memory is cleared without the lock. */
static uint64_t window_address(uint64_t window, uint64_t base)
{
    return window + cpu_self() * WINDOW_STRIDE + base % LARGE_PAGE;
}

static enum status map_physical(uint64_t base, uint64_t size, uint64_t window, void **address)
{
    uint64_t at = window_address(window, base);
    enum status status = map_pages(ABI_SEL_PHYS, SEL_HST, base >> PAGE_SHIFT, at >> PAGE_SHIFT, size >> PAGE_SHIFT,
                                   ABI_PERM_MEM_R | ABI_PERM_MEM_W);

    *address = (void *)at;
    return status;
}

static void unmap_physical(uint64_t base, uint64_t size, uint64_t window)
{
    /* The range is core's own and mapped: the call has nothing to refuse. */
    (void)hc_remove(SEL_HST, window_address(window, base) >> PAGE_SHIFT, size >> PAGE_SHIFT);
}

enum status window_map(const struct dataspace *dataspace, uint64_t window, void **address)
{
    if (dataspace->size > WINDOW_SIZE)
        return STATUS_QUOTA;
    return map_physical(dataspace->base, dataspace->size, window, address);
}

void window_unmap(const struct dataspace *dataspace, uint64_t window)
{
    unmap_physical(dataspace->base, dataspace->size, window);
}

/* Whole pages, 64 bytes a round: emulated machines make no more of REP STOS than a store for each word. */
static void clear_mapped(void *address, uint64_t size)
{
    uint8_t *at = address, *end = at + size;

    __asm__ volatile("pxor %%xmm0, %%xmm0\n"
                     "1: movaps %%xmm0, (%0)\n\t"
                     "movaps %%xmm0, 16(%0)\n\t"
                     "movaps %%xmm0, 32(%0)\n\t"
                     "movaps %%xmm0, 48(%0)\n\t"
                     "addq $64, %0\n\t"
                     "cmpq %1, %0\n\t"
                     "jb 1b"
                     : "+r"(at) : "r"(end) : "xmm0", "memory", "cc");
}

static enum status clear(uint64_t base, uint64_t size)
{
    for (uint64_t done = 0, part; done < size; done += part) {
        void *address;
        enum status status;

        part = MIN(size - done, WINDOW_SIZE - (base + done) % LARGE_PAGE);
        status = map_physical(base + done, part, WINDOW_WORK, &address);
        if (status != STATUS_OK)
            return status;
        clear_mapped(address, part);
        unmap_physical(base + done, part, WINDOW_WORK);
    }
    return STATUS_OK;
}

/* What is cleared under the lock. */
#define CLEAR_LOCKED (4ull << 20)

/* A free entry, with its capability made at the owner's expense. */
static enum status entry_make(struct core *core, struct pd *owner, uint32_t *index)
{
    if (owner->objects_used >= owner->objects_limit)
        return STATUS_QUOTA;
    for (uint32_t i = 0; i < DATASPACE_MAX; i++) {
        uint32_t at = (core->dataspace_next + i) % DATASPACE_MAX;

        if (core->dataspace[at].kind != DATASPACE_NONE)
            continue;
        core->dataspace_next = at + 1;
        *index = at;
        return status_of(hc_create_sm(CORE_DATASPACE + at, pd_slot(core, owner, PD_SLOT_PD), 0));
    }
    return STATUS_QUOTA;
}

static void entry_set(struct core *core, uint32_t index, struct pd *owner, enum dataspace_kind kind, uint64_t base,
                      uint64_t bytes)
{
    struct dataspace *dataspace = &core->dataspace[index];

    owner->objects_used++;
    dataspace->kind = kind;
    dataspace->base = base;
    dataspace->bytes = bytes;
    dataspace->size = ALIGN_UP(bytes, PAGE_SIZE);
    dataspace->owner = pd_index(core, owner);
    dataspace->cache = ABI_CACHE_WB;
    dataspace->name = 0;
}

/* The lock is released while much is cleared. True: nothing happened to the owner meanwhile. */
static bool clear_for(struct core *core, const struct pd *owner, uint64_t base, uint64_t size, enum status *status)
{
    uint16_t generation = owner->generation;

    if (size <= CLEAR_LOCKED) {
        *status = clear(base, size);
        return true;
    }
    mutex_unlock(&core->lock);
    *status = clear(base, size);
    core_lock(core);
    return owner->used && owner->generation == generation;
}

enum status dataspace_ram(struct core *core, struct pd *owner, uint64_t size, uint64_t align, uint64_t limit,
                          uint32_t *index)
{
    uint64_t pages, base;
    enum status status;
    bool same;

    if (size == 0 || size > 1ull << 46 || !is_power_of_two(align) || align > 1ull << 30)
        return STATUS_INVALID;
    size = ALIGN_UP(size, PAGE_SIZE);
    pages = size >> PAGE_SHIFT;
    if (pages > owner->ram_limit - owner->ram_used)
        return STATUS_QUOTA;
    status = range_take(&core->memory, size, MAX(align, PAGE_SIZE), limit, &base);
    if (status != STATUS_OK)
        return status;
    owner->ram_used += pages;
    same = clear_for(core, owner, base, size, &status);
    if (!same)
        status = STATUS_ABORTED;
    if (status == STATUS_OK)
        status = entry_make(core, owner, index);
    if (status == STATUS_OK) {
        entry_set(core, *index, owner, DATASPACE_RAM, base, size);
        return STATUS_OK;
    }
    if (same)
        owner->ram_used -= pages;
    (void)!range_add(&core->memory, base, size); // there is a node for every range that was cut out
    return status;
}

enum status dataspace_page(struct core *core, uint64_t *physical)
{
    enum status status = range_take(&core->memory, PAGE_SIZE, PAGE_SIZE, UINT64_MAX, physical);

    if (status != STATUS_OK)
        return STATUS_QUOTA;
    status = clear(*physical, PAGE_SIZE);
    if (status != STATUS_OK)
        (void)!range_add(&core->memory, *physical, PAGE_SIZE); // back where it was cut out just now
    return status;
}

enum status dataspace_fixed(struct core *core, struct pd *owner, enum dataspace_kind kind, uint64_t base, uint64_t bytes,
                            unsigned cache, uint32_t *index)
{
    enum status status;

    if (!IS_ALIGNED(base, PAGE_SIZE) || bytes == 0)
        return STATUS_INVALID;
    status = entry_make(core, owner, index);
    if (status != STATUS_OK)
        return status;
    entry_set(core, *index, owner, kind, base, bytes);
    core->dataspace[*index].cache = (uint8_t)cache;
    return STATUS_OK;
}

void dataspace_end(struct core *core, uint32_t index)
{
    struct dataspace *dataspace = &core->dataspace[index];
    struct pd *owner = &core->pd[dataspace->owner];
    uint64_t pages = dataspace->size >> PAGE_SHIFT;

    /* Neither can fail: both ranges are core's own. The capability may have gone with its owner's kernel memory. */
    (void)hc_remove(SEL_OBJ, CORE_DATASPACE + index, 1);
    (void)hc_revoke(ABI_SEL_PHYS, dataspace->base >> PAGE_SHIFT, pages);
    owner->objects_used--;
    if (dataspace->kind == DATASPACE_RAM) {
        attachment_replace(core, dataspace);
        owner->ram_used -= pages;
        /* There are two nodes for every dataspace that can be, so there is one for this range. */
        (void)!range_add(&core->memory, dataspace->base, dataspace->size);
    }
    dataspace->kind = DATASPACE_NONE;
}

void dataspace_end_all(struct core *core, struct pd *owner)
{
    for (uint32_t i = 0; i < DATASPACE_MAX; i++)
        if (core->dataspace[i].kind != DATASPACE_NONE && core->dataspace[i].owner == pd_index(core, owner))
            dataspace_end(core, i);
}

struct dataspace *dataspace_find(struct core *core, uint64_t received)
{
    uint32_t selector = received_selector(received);

    if (!(received & ABI_CAP_TRANSLATED) || selector < CORE_DATASPACE || selector >= CORE_DATASPACE + DATASPACE_MAX)
        return NULL;
    if (core->dataspace[selector - CORE_DATASPACE].kind == DATASPACE_NONE)
        return NULL;
    return &core->dataspace[selector - CORE_DATASPACE];
}

enum status dataspace_attach(struct core *core, const struct dataspace *dataspace, struct pd *pd, uint64_t address,
                             uint64_t offset, uint64_t size, unsigned perms)
{
    if (!IS_ALIGNED(address | offset, PAGE_SIZE) || size == 0 || !range_fits(offset, size, dataspace->size) ||
        !range_fits(address, size, ABI_USER_END) || (perms & ~ABI_PERM_MEM_ALL) || perms == 0)
        return STATUS_INVALID;
    return map_pages(ABI_SEL_PHYS, pd_slot(core, pd, PD_SLOT_HST), (dataspace->base + offset) >> PAGE_SHIFT,
                     address >> PAGE_SHIFT, ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT, perms | (unsigned)dataspace->cache << 8);
}
