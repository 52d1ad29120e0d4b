/* SPDX-License-Identifier: MIT */
/* PDs: their making and their end. */
#include "framework/core/attachment.h"
#include "framework/core/dataspace.h"
#include "framework/core/device.h"
#include "framework/core/entry.h"
#include "framework/core/pd.h"
#include "framework/core/syslog.h"
#include "framework/message.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/text.h"

/* The exceptions that user code can raise, and recall. */
#define EVENTS 0x1000b7cfbull // 0, 1, 3 to 7, 10 to 14, 16, 17, 19; bit 32
_Static_assert(ABI_EVENT_RECALL == 32, "bit 32 of EVENTS");

static MUST_CHECK enum status delegate_one(uint64_t from_space, uint64_t from, uint64_t to_space, uint64_t to, unsigned perms)
{
    uint64_t count = 1;
    enum abi_status status = hc_delegate(from_space, to_space, from, to, &count, perms);

    return status != ABI_OK ? status_of(status) : count == 1 ? STATUS_OK : STATUS_NOT_FOUND;
}

static MUST_CHECK enum status spaces_make(struct core *core, struct pd *pd)
{
    uint32_t self = pd_slot(core, pd, PD_SLOT_PD), objects = pd_slot(core, pd, PD_SLOT_OBJ);
    uint32_t memory = pd_slot(core, pd, PD_SLOT_HST);
    enum abi_status made = hc_create_space(objects, ABI_SPACE_OBJ, self);
    enum status status;

    if (made == ABI_OK)
        made = hc_create_space(memory, ABI_SPACE_HST, self);
    if (made != ABI_OK)
        return status_of(made);
    status = delegate_one(SEL_OBJ, self, objects, SEL_PD, ABI_PERM_PD_CREATE);
    if (status == STATUS_OK)
        status = delegate_one(SEL_OBJ, objects, objects, SEL_OBJ,
                              ABI_PERM_SPACE_GRANT | ABI_PERM_SPACE_TAKE | ABI_PERM_SPACE_REVOKE);
    if (status == STATUS_OK)
        status = delegate_one(SEL_OBJ, memory, objects, SEL_HST, ABI_PERM_SPACE_GRANT | ABI_PERM_SPACE_REVOKE);
    if (status == STATUS_OK && (pd->authority & AUTHORITY_VM))
        status = delegate_one(SEL_OBJ, ABI_SEL_ALL_MSR, objects, SEL_MSR, ABI_PERM_SPACE_GRANT);
    return status;
}

/* The portals to core on one CPU: requests, and one for all exceptions. */
static MUST_CHECK enum status portals_make(struct core *core, struct pd *pd, unsigned cpu)
{
    uint32_t self = pd_slot(core, pd, PD_SLOT_PD), objects = pd_slot(core, pd, PD_SLOT_OBJ);
    uint32_t portal = pd_slot(core, pd, PD_SLOT_PORTAL) + cpu, fault = pd_slot(core, pd, PD_SLOT_FAULT) + cpu;
    uint64_t rip = (uint64_t)core_entry;
    enum abi_status made = hc_create_portal(portal, self, CORE_ENTRY + cpu, rip, portal_id(core, pd, 0));
    enum status status;

    if (made == ABI_OK)
        made = hc_create_portal(fault, self, CORE_ENTRY + cpu, rip, portal_id(core, pd, PORTAL_FAULT));
    if (made == ABI_OK)
        made = hc_ctrl_portal(fault, portal_id(core, pd, PORTAL_FAULT), ABI_EVENT_GROUP_IP | ABI_EVENT_GROUP_GPR);
    if (made != ABI_OK)
        return status_of(made);
    status = delegate_one(SEL_OBJ, portal, objects, SEL_CORE + cpu, ABI_PERM_PT_CALL);
    for (unsigned event = 0; event < ABI_EVENT_COUNT && status == STATUS_OK; event++)
        if (EVENTS >> event & 1)
            status = delegate_one(SEL_OBJ, fault, objects, SEL_EVENT + cpu * SEL_EVENT_STRIDE + event, ABI_PERM_PT_EVENT);
    return status;
}

static struct pd *pd_free_entry(struct core *core)
{
    for (unsigned i = 1; i < PD_MAX; i++)
        if (!core->pd[i].used)
            return &core->pd[i];
    return NULL;
}

static void pd_fill(struct core *core, struct pd *pd, struct pd *parent, const struct core_child_config *config)
{
    uint16_t generation = (uint16_t)(pd->generation + 1);

    memset(pd, 0, sizeof *pd);
    pd->used = true;
    pd->generation = generation;
    pd->parent = pd_index(core, parent);
    pd->depth = parent->depth + 1;
    pd->authority = config->authority;
    pd->priority = config->priority;
    pd->cpu_mask = config->cpu_mask;
    pd->ram_limit = config->ram >> PAGE_SHIFT;
    pd->objects_limit = config->objects;
    parent->ram_used += pd->ram_limit;
    parent->objects_used += pd->objects_limit + 1;
    if (parent->parent == 0)
        text_copy(pd->label, sizeof pd->label, config->label);
    else
        format_string(pd->label, sizeof pd->label, "%s -> %s", parent->label, config->label);
}

enum status pd_create(struct core *core, struct pd *parent, const struct core_child_config *config, uint32_t *child)
{
    struct pd *pd = pd_free_entry(core);
    enum status status;

    if (config->kernel_frames < ABI_PD_QUOTA_MIN || config->priority == 0 || config->cpu_mask == 0)
        return STATUS_INVALID;
    if ((config->authority & ~parent->authority) || config->priority > parent->priority ||
        (config->cpu_mask & ~parent->cpu_mask))
        return STATUS_DENIED;
    if (parent->depth >= PD_DEPTH_MAX)
        return STATUS_QUOTA;
    if (!pd || config->ram >> PAGE_SHIFT > parent->ram_limit - parent->ram_used ||
        parent->objects_limit == parent->objects_used ||
        config->objects > parent->objects_limit - parent->objects_used - 1)
        return STATUS_QUOTA;
    status = status_of(hc_create_pd(CORE_PD_SLOTS + (uint32_t)(pd - core->pd) * PD_SLOTS, pd_slot(core, parent, PD_SLOT_PD),
                                    config->kernel_frames));
    if (status != STATUS_OK)
        return status;
    pd_fill(core, pd, parent, config);
    status = spaces_make(core, pd);
    for (unsigned cpu = 0; cpu < core->info->cpu_count && status == STATUS_OK; cpu++)
        if (pd->cpu_mask >> cpu & 1)
            status = portals_make(core, pd, cpu);
    if (status != STATUS_OK)
        pd_destroy(core, pd);
    else
        *child = pd_index(core, pd) | (uint32_t)pd->generation << 16;
    return status;
}

struct pd *pd_child(struct core *core, const struct pd *parent, uint64_t id)
{
    struct pd *pd = portal_pd(core, id);

    return pd && id >> 32 == 0 && (id & 0xff00) == 0 && pd_index(core, pd) && pd->parent == pd_index(core, parent) ? pd : NULL;
}

enum status pd_give(struct core *core, struct pd *parent, struct pd *child, uint32_t from, uint32_t to, uint32_t count,
                    unsigned perms)
{
    uint64_t given = count;
    enum abi_status status;

    if (count == 0 || perms & ~ABI_PERM_OBJ_ALL)
        return STATUS_INVALID;
    status = hc_delegate(pd_slot(core, parent, PD_SLOT_OBJ), pd_slot(core, child, PD_SLOT_OBJ), from, to, &given, perms);
    return status != ABI_OK ? status_of(status) : given == count ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status pd_thread_start(struct core *core, struct pd *pd, uint32_t ec, uint64_t priority, uint64_t slice_us, uint32_t *id)
{
    enum status status;
    uint32_t sc = 0;

    if (priority == 0 || slice_us > 1000000)
        return STATUS_INVALID;
    if (pd->objects_used >= pd->objects_limit)
        return STATUS_QUOTA;
    while (sc < SC_MAX && core->sc_owner[sc])
        sc++;
    if (sc == SC_MAX)
        return STATUS_QUOTA;
    status = delegate_one(pd_slot(core, pd, PD_SLOT_OBJ), ec, SEL_OBJ, CORE_TEMPORARY, ABI_PERM_EC_BIND_SC);
    if (status != STATUS_OK)
        return status;
    status = status_of(hc_create_sc(CORE_SC + sc, pd_slot(core, pd, PD_SLOT_PD), CORE_TEMPORARY,
                                    (unsigned)MIN(priority, pd->priority), (unsigned)slice_us, pd->cpu_mask));
    (void)hc_remove(SEL_OBJ, CORE_TEMPORARY, 1); // core's own slot: nothing to refuse
    if (status == STATUS_OK) {
        core->sc_owner[sc] = (uint16_t)(pd_index(core, pd) + 1);
        pd->objects_used++;
        *id = sc + 1;
    }
    return status;
}

static void thread_stop(struct core *core, struct pd *pd, uint32_t sc)
{
    (void)hc_remove(SEL_OBJ, CORE_SC + sc, 1); // core's own slot; the SC may have gone with its payer
    core->sc_owner[sc] = 0;
    pd->objects_used--;
}

enum status pd_thread_stop(struct core *core, struct pd *pd, uint64_t id)
{
    if (id == 0 || id > SC_MAX || core->sc_owner[id - 1] != pd_index(core, pd) + 1)
        return STATUS_NOT_FOUND;
    thread_stop(core, pd, (uint32_t)id - 1);
    return STATUS_OK;
}

void pd_destroy(struct core *core, struct pd *pd)
{
    struct pd *parent = &core->pd[pd->parent];

    for (unsigned i = 1; i < PD_MAX; i++)
        if (core->pd[i].used && core->pd[i].parent == pd_index(core, pd))
            pd_destroy(core, &core->pd[i]);
    syslog_reader_gone(core, pd);
    /* The PD takes all that it paid for with it: threads, portals, spaces. */
    (void)hc_remove(SEL_OBJ, pd_slot(core, pd, 0), PD_SLOTS);
    for (uint32_t sc = 0; sc < SC_MAX; sc++)
        if (core->sc_owner[sc] == pd_index(core, pd) + 1)
            thread_stop(core, pd, sc);
    attachment_end_all(core, pd);
    dataspace_end_all(core, pd);
    device_end_all(core, pd);
    parent->ram_used -= pd->ram_limit;
    parent->objects_used -= pd->objects_limit + 1;
    pd->used = false;
    keepers_wake(core);
}

enum status pd_quota(struct pd *parent, struct pd *child, uint64_t give, uint64_t take)
{
    uint64_t give_pages = give >> PAGE_SHIFT, take_pages = take >> PAGE_SHIFT;

    if (give_pages > parent->ram_limit - parent->ram_used || take_pages > child->ram_limit - child->ram_used)
        return STATUS_QUOTA;
    parent->ram_used += give_pages - take_pages;
    child->ram_limit += give_pages - take_pages;
    return STATUS_OK;
}

#define EXCEPTION_PF 14u
#define PF_PRESENT   1u // of the error code: SDM volume 3, 4.7

bool pd_fault(struct core *core, struct pd *pd, const struct abi_event *event, unsigned cpu)
{
    if (event->vector == EXCEPTION_PF && !(event->error & PF_PRESENT) && attachment_replaced(core, pd, event->cr2))
        return false;
    syslog_print(core, "%s: exception %lu at %lx, error %lx, address %lx, stack %lx, CPU %u", pd->label, event->vector,
                 event->rip, event->error, event->cr2, event->rsp, cpu);
    if (pd->fault.state == CHILD_FAULTED)
        return true;
    pd->fault.state = CHILD_FAULTED;
    pd->fault.vector = event->vector;
    pd->fault.error = event->error;
    pd->fault.rip = event->rip;
    pd->fault.address = event->cr2;
    pd->fault.cpu = cpu;
    if (core->pd[pd->parent].notify)
        (void)hc_up(pd_slot(core, &core->pd[pd->parent], PD_SLOT_NOTIFY)); // a parent that took it away is not told
    else
        syslog_print(core, "%s has nobody to report to", pd->label);
    return true;
}
