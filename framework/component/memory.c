/* SPDX-License-Identifier: MIT */
/* Addresses and mapped dataspaces. */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/memory.h"
#include "framework/range.h"
#include "framework/slots.h"
#include "framework/space.h"
#include "framework/sync.h"
#include "lib/align.h"

#define RANGE_NODES 512u

/* One address space, one allocator of it: the component is the instance. */
static struct {
    struct mutex      mutex;
    struct range_set  free;
    struct range_node nodes[RANGE_NODES];
} space;

enum status memory_start(void)
{
    uint32_t sm = slots_alloc(1);
    enum abi_status status = sm == SEL_NONE ? ABI_OUT_OF_MEMORY : hc_create_sm(sm, SEL_PD, 0);

    if (status != ABI_OK)
        return status_of(status);
    mutex_init(&space.mutex, sm);
    range_init(&space.free, space.nodes, RANGE_NODES);
    return range_add(&space.free, SPACE_BASE, SPACE_END - SPACE_BASE);
}

enum status space_alloc(uint64_t size, uint64_t align, uint64_t *address)
{
    enum status status;

    mutex_lock(&space.mutex);
    status = range_take(&space.free, ALIGN_UP(size, PAGE_SIZE), MAX(align, PAGE_SIZE), SPACE_END, address);
    mutex_unlock(&space.mutex);
    return status;
}

void space_free(uint64_t address, uint64_t size)
{
    mutex_lock(&space.mutex);
    /* Out of nodes, the addresses are lost, and there are 128 TiB of them. */
    (void)!range_add(&space.free, address, ALIGN_UP(size, PAGE_SIZE));
    mutex_unlock(&space.mutex);
}

static MUST_CHECK enum status attach(struct mapping *memory, uint64_t align, unsigned perms)
{
    uint64_t address;
    enum status status = space_alloc(memory->size, align, &address);

    if (status != STATUS_OK)
        return status;
    status = core_attach(memory->slot, address, 0, memory->size, perms);
    if (status != STATUS_OK)
        space_free(address, memory->size);
    else
        memory->address = (void *)address;
    return status;
}

enum status memory_alloc_below(struct mapping *memory, uint64_t size, uint64_t align, uint64_t limit)
{
    enum status status;

    if (size == 0 || !is_power_of_two(align))
        return STATUS_INVALID;
    memory->size = ALIGN_UP(size, PAGE_SIZE);
    memory->slot = slots_alloc(1);
    if (memory->slot == SEL_NONE)
        return STATUS_QUOTA;
    status = core_ram_alloc(memory->size, align, limit, memory->slot, &memory->physical);
    if (status != STATUS_OK) {
        slots_free(memory->slot, 1);
        return status;
    }
    status = attach(memory, align, ABI_PERM_MEM_R | ABI_PERM_MEM_W);
    if (status != STATUS_OK) {
        (void)!core_ram_free(memory->slot); // it is ours and was made just now
        slots_remove(memory->slot, 1);
    }
    return status;
}

enum status memory_alloc(struct mapping *memory, uint64_t size, uint64_t align)
{
    return memory_alloc_below(memory, size, align, UINT64_MAX);
}

void memory_free(struct mapping *memory)
{
    if (core_ram_free(memory->slot) != STATUS_OK)
        return; // still mapped: keep the addresses
    slots_remove(memory->slot, 1);
    space_free((uint64_t)memory->address, memory->size);
    memory->address = NULL;
}

enum status memory_attach(struct mapping *memory, uint32_t slot, unsigned perms)
{
    enum status status;

    memory->slot = slot;
    memory->physical = 0;
    status = core_size(slot, &memory->size);
    if (status != STATUS_OK)
        return status;
    return attach(memory, memory->size >= LARGE_PAGE ? LARGE_PAGE : PAGE_SIZE, perms);
}

void memory_detach(struct mapping *memory)
{
    if (core_detach((uint64_t)memory->address, memory->size) == STATUS_OK)
        space_free((uint64_t)memory->address, memory->size);
    memory->address = NULL;
}
