/* SPDX-License-Identifier: MIT */
/* Records of shared memory. */
#include "framework/core/attachment.h"
#include "framework/core/dataspace.h"

/* In place of a dataspace's index. */
#define REPLACED UINT32_MAX
#define GONE     (UINT32_MAX - 1)

static uint32_t index_of(const struct core *core, const struct dataspace *dataspace)
{
    return (uint32_t)(dataspace - core->dataspace);
}

static struct attachment *free_record(struct core *core)
{
    for (unsigned i = 0; i < ATTACHMENT_MAX; i++)
        if (!core->attachment[i].pd)
            return &core->attachment[i];
    return NULL;
}

static void page_give_back(struct core *core, uint64_t page)
{
    (void)!range_add(&core->memory, page, PAGE_SIZE); // there is a node for every page that was cut out
}

static MUST_CHECK enum status record_make(struct core *core, struct pd *pd, struct attachment **result)
{
    struct attachment *record = free_record(core);
    enum status status;

    if (!record || pd->objects_used >= pd->objects_limit || pd->ram_used >= pd->ram_limit)
        return STATUS_QUOTA;
    status = dataspace_page(core, &record->page);
    if (status != STATUS_OK)
        return status;
    record->pd = pd_index(core, pd);
    pd->objects_used++;
    pd->ram_used++;
    *result = record;
    return STATUS_OK;
}

/* The page is mapped nowhere any more. */
static void record_end(struct core *core, struct attachment *record)
{
    struct pd *pd = &core->pd[record->pd];

    page_give_back(core, record->page);
    pd->objects_used--;
    pd->ram_used--;
    record->pd = 0;
}

enum status attachment_make(struct core *core, const struct dataspace *dataspace, struct pd *pd, uint64_t address,
                            uint64_t offset, uint64_t size, unsigned perms)
{
    struct attachment *record;
    enum status status;

    if (dataspace->kind != DATASPACE_RAM || dataspace->owner == pd_index(core, pd))
        return dataspace_attach(core, dataspace, pd, address, offset, size, perms);
    status = record_make(core, pd, &record);
    if (status != STATUS_OK)
        return status;
    status = dataspace_attach(core, dataspace, pd, address, offset, size, perms);
    if (status != STATUS_OK) {
        record_end(core, record);
        return status;
    }
    record->dataspace = index_of(core, dataspace);
    record->address = address;
    record->size = ALIGN_UP(size, PAGE_SIZE);
    record->perms = (uint16_t)perms;
    return STATUS_OK;
}

enum status attachment_end(struct core *core, struct pd *pd, uint64_t address, uint64_t size)
{
    enum status status;

    if (!IS_ALIGNED(address, PAGE_SIZE) || size == 0 || !range_fits(address, size, ABI_USER_END))
        return STATUS_INVALID;
    size = ALIGN_UP(size, PAGE_SIZE);
    status = status_of(hc_remove(pd_slot(core, pd, PD_SLOT_HST), address >> PAGE_SHIFT, size >> PAGE_SHIFT));
    for (unsigned i = 0; i < ATTACHMENT_MAX && status == STATUS_OK; i++) {
        struct attachment *record = &core->attachment[i];

        if (record->pd != pd_index(core, pd) || record->address < address || record->address - address >= size)
            continue;
        /* The rest of it, if the range ended before its end. */
        (void)hc_remove(pd_slot(core, pd, PD_SLOT_HST), record->address >> PAGE_SHIFT, record->size >> PAGE_SHIFT);
        record_end(core, record);
    }
    return status;
}

void attachment_end_all(struct core *core, struct pd *pd)
{
    for (unsigned i = 0; i < ATTACHMENT_MAX; i++)
        if (core->attachment[i].pd == pd_index(core, pd))
            record_end(core, &core->attachment[i]);
}

/* The kernel memory for this is what the old mapping needed and gave back; if it is gone the PD faults at its next access. */
static void replace(struct core *core, struct attachment *record)
{
    uint32_t space = pd_slot(core, &core->pd[record->pd], PD_SLOT_HST);

    record->dataspace = GONE;
    for (uint64_t at = 0; at < record->size; at += PAGE_SIZE)
        if (map_pages(ABI_SEL_PHYS, space, record->page >> PAGE_SHIFT, (record->address + at) >> PAGE_SHIFT, 1,
                      record->perms) != STATUS_OK)
            return;
    record->dataspace = REPLACED;
}

void attachment_replace(struct core *core, const struct dataspace *dataspace)
{
    for (unsigned i = 0; i < ATTACHMENT_MAX; i++)
        if (core->attachment[i].pd && core->attachment[i].dataspace == index_of(core, dataspace))
            replace(core, &core->attachment[i]);
}

bool attachment_replaced(const struct core *core, const struct pd *pd, uint64_t address)
{
    for (unsigned i = 0; i < ATTACHMENT_MAX; i++) {
        const struct attachment *record = &core->attachment[i];

        if (record->pd == pd_index(core, pd) && record->dataspace == REPLACED && address >= record->address &&
            address - record->address < record->size)
            return true;
    }
    return false;
}
