/* SPDX-License-Identifier: MIT */
/* Starting and ending children. */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/init/init.h"
#include "framework/io.h"
#include "framework/slots.h"
#include "lib/string.h"

struct child *child_find(struct init *init, const char *name)
{
    for (unsigned i = 0; i < init->config.count; i++)
        if (strcmp(init->children[i].start->name, name) == 0)
            return &init->children[i];
    return NULL;
}

static MUST_CHECK enum status portals_give(struct child *child)
{
    for (unsigned cpu = 0; cpu < ABI_CPU_MAX; cpu++) {
        enum status status;

        if (!(child->cpu_mask >> cpu & 1))
            continue;
        status = portal_make(&child->init->entrypoint, cpu, parent_handle, child, &child->portal[cpu]);
        if (status == STATUS_OK)
            status = core_pd_give(child->core, child->portal[cpu]->selector, SEL_PARENT + cpu, 1, ABI_PERM_PT_CALL);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static void portals_take(struct child *child)
{
    for (unsigned cpu = 0; cpu < ABI_CPU_MAX; cpu++)
        if (child->portal[cpu]) {
            portal_end(child->portal[cpu]);
            child->portal[cpu] = NULL;
        }
}

static MUST_CHECK enum status binary_start(struct child *child)
{
    uint32_t slot = slots_alloc(1);
    uint64_t size;
    enum status status;

    if (slot == SEL_NONE)
        return STATUS_QUOTA;
    status = core_rom(child->start->binary, slot, &size);
    if (status == STATUS_OK)
        status = core_pd_start(child->core, (uint32_t)__builtin_ctzll(child->cpu_mask), slot);
    slots_remove(slot, 1);
    return status;
}

static MUST_CHECK enum status pd_make(struct child *child)
{
    const struct start *start = child->start;
    const struct core_child_config config = {
        .ram = start->ram,
        .kernel_frames = (start->kernel + PAGE_SIZE - 1) / PAGE_SIZE,
        .objects = start->objects,
        .authority = start->authority,
        .priority = start->priority,
        .cpu_mask = child->cpu_mask,
        .label = start->name,
    };

    return core_pd_create(&config, &child->core);
}

/* The CPUs it may use: of those configured the ones there are, or else our own. */
static uint64_t cpus_of(const struct start *start)
{
    uint64_t mask = start->cpu_mask & component_info()->cpu_mask;

    return mask ? mask : 1ull << component_info()->cpu;
}

enum status child_start(struct child *child)
{
    enum status status;

    child->cpu_mask = cpus_of(child->start);
    child->started = tsc_now();
    child->exited = false;
    child->serving = false;
    status = pd_make(child);
    if (status != STATUS_OK)
        return status;
    child->state = CHILD_UP;
    status = portals_give(child);
    if (status == STATUS_OK)
        status = binary_start(child);
    if (status != STATUS_OK)
        child_end(child);
    return status;
}

void child_end(struct child *child)
{
    child->state = CHILD_STOPPED;
    child->serving = false;
    portals_take(child);
    /* First the PD, so that nothing of it runs any more; then what others had of it. */
    if (core_pd_destroy(child->core) != STATUS_OK)
        log_print("%s is not known to core any more", child->start->name);
    if (child->serve_slots) {
        slots_remove(child->serve_slots, CAP_BLOCK);
        child->serve_slots = 0;
    }
    links_end(child);
}
