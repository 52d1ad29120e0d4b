/* SPDX-License-Identifier: MIT */
/* Core's entry: decode a request, check it, do it, answer. */
#include "framework/base/entry.h"
#include "framework/core/attachment.h"
#include "framework/core/dataspace.h"
#include "framework/core/device.h"
#include "framework/core/entry.h"
#include "framework/core/pd.h"
#include "framework/core/rom.h"
#include "framework/core/server.h"
#include "framework/core/syslog.h"
#include "framework/message.h"
#include "framework/thread_self.h"
#include "lib/string.h"

/* A request being handled. The words are core's own UTCB: the caller cannot change them any more. */
struct request {
    struct core *core;
    struct pd *pd;
    struct abi_utcb *utcb;
    unsigned words; // of the request
    unsigned caps;
    unsigned results; // words of the reply after the status
    unsigned result_caps;
};

static struct dataspace *argument_dataspace(struct request *r, unsigned *perms)
{
    if (r->caps != 1)
        return NULL;
    *perms = received_perms(r->utcb->recv[0]);
    return dataspace_find(r->core, r->utcb->recv[0]);
}

static void result_cap(struct request *r, uint32_t selector, unsigned perms)
{
    r->utcb->send[r->result_caps++] = message_cap(selector, perms);
}

static enum status op_log(struct request *r)
{
    char text[CORE_LOG_MAX + 1];
    unsigned at = 1;

    if (!message_get_text(r->utcb, r->words, &at, text, sizeof text))
        return STATUS_INVALID;
    syslog_text(r->core, r->pd, text, r->utcb->word[1]);
    return STATUS_OK;
}

static enum status op_ram_alloc(struct request *r)
{
    uint64_t *w = r->utcb->word;
    uint32_t index;
    enum status status = dataspace_ram(r->core, r->pd, w[1], w[2], w[3], &index);

    if (status != STATUS_OK)
        return status;
    w[1] = r->pd->authority & AUTHORITY_DEVICE ? r->core->dataspace[index].base : 0;
    r->results = 1;
    result_cap(r, CORE_DATASPACE + index, ABI_PERM_MEM_ALL);
    return STATUS_OK;
}

static enum status op_ram_free(struct request *r)
{
    unsigned perms;
    struct dataspace *dataspace = argument_dataspace(r, &perms);

    if (!dataspace || dataspace->owner != pd_index(r->core, r->pd))
        return STATUS_DENIED;
    dataspace_end(r->core, (uint32_t)(dataspace - r->core->dataspace));
    return STATUS_OK;
}

static enum status op_attach(struct request *r)
{
    uint64_t *w = r->utcb->word;
    unsigned perms;
    struct dataspace *dataspace = argument_dataspace(r, &perms);

    if (!dataspace || (w[4] & ~(uint64_t)perms))
        return STATUS_DENIED;
    return attachment_make(r->core, dataspace, r->pd, w[1], w[2], w[3], (unsigned)w[4]);
}

static enum status op_detach(struct request *r)
{
    return attachment_end(r->core, r->pd, r->utcb->word[1], r->utcb->word[2]);
}

static enum status op_size(struct request *r)
{
    unsigned perms;
    struct dataspace *dataspace = argument_dataspace(r, &perms);

    if (!dataspace)
        return STATUS_DENIED;
    r->utcb->word[1] = dataspace->bytes;
    r->results = 1;
    return STATUS_OK;
}

static enum status op_thread_start(struct request *r)
{
    uint64_t *w = r->utcb->word;
    uint32_t id = 0;
    enum status status = w[1] > ABI_SEL_MAX ? STATUS_INVALID : pd_thread_start(r->core, r->pd, (uint32_t)w[1], w[2], w[3], &id);

    w[1] = id;
    r->results = status == STATUS_OK;
    return status;
}

static enum status op_thread_stop(struct request *r)
{
    return pd_thread_stop(r->core, r->pd, r->utcb->word[1]);
}

static enum status op_quota(struct request *r)
{
    struct core_quota quota = {
        .ram_used = r->pd->ram_used,
        .ram_limit = r->pd->ram_limit,
        .objects_used = r->pd->objects_used,
        .objects_limit = r->pd->objects_limit,
    };
    enum abi_status status = hc_quota_query(pd_slot(r->core, r->pd, PD_SLOT_PD), &quota.kernel_used, &quota.kernel_limit);

    memcpy(&r->utcb->word[1], &quota, sizeof quota);
    r->results = sizeof quota / 8;
    return status_of(status);
}

static enum status op_rom(struct request *r)
{
    char name[CORE_NAME_MAX + 1];
    struct dataspace *rom;
    unsigned at = 1;

    if (!message_get_text(r->utcb, r->words, &at, name, sizeof name))
        return STATUS_INVALID;
    rom = rom_find(r->core, name);
    if (!rom)
        return STATUS_NOT_FOUND;
    r->utcb->word[1] = rom->bytes;
    r->results = 1;
    result_cap(r, CORE_DATASPACE + (uint32_t)(rom - r->core->dataspace), ABI_PERM_MEM_R | ABI_PERM_MEM_X);
    return STATUS_OK;
}

static enum status op_log_read(struct request *r)
{
    enum status status;

    if (!r->core->log || r->utcb->word[1] > ABI_SEL_MAX)
        return STATUS_INVALID;
    status = syslog_reader_set(r->core, r->pd, (uint32_t)r->utcb->word[1]);
    if (status != STATUS_OK)
        return status;
    r->utcb->word[1] = r->core->dataspace[r->core->log_dataspace].bytes;
    r->results = 1;
    result_cap(r, CORE_DATASPACE + r->core->log_dataspace, ABI_PERM_MEM_R);
    return STATUS_OK;
}

/* The PD that a device request is for: the caller (0) or a child of it. */
static struct pd *argument_pd(struct request *r)
{
    uint64_t id = r->utcb->word[1];

    return id ? pd_child(r->core, r->pd, id) : r->pd;
}

static enum status op_io_port(struct request *r)
{
    struct pd *pd = argument_pd(r);

    return pd ? device_ports(r->core, pd, r->utcb->word[2], r->utcb->word[3]) : STATUS_DENIED;
}

static enum status op_io_port_free(struct request *r)
{
    struct pd *pd = argument_pd(r);

    return pd ? device_ports_free(r->core, pd, r->utcb->word[2], r->utcb->word[3]) : STATUS_DENIED;
}

static enum status op_io_mem(struct request *r)
{
    uint64_t *w = r->utcb->word, offset;
    uint32_t index;
    enum status status = device_memory(r->core, r->pd, w[1], w[2], w[3], &index, &offset);

    if (status != STATUS_OK)
        return status;
    w[1] = offset;
    r->results = 1;
    result_cap(r, CORE_DATASPACE + index, ABI_PERM_MEM_R | ABI_PERM_MEM_W);
    return STATUS_OK;
}

static enum status op_irq(struct request *r)
{
    uint64_t *w = r->utcb->word;
    struct core_irq irq;
    uint32_t selector;
    enum status status = device_irq(r->core, r->pd, w[1], w[2], w[3], &irq, &selector);

    if (status != STATUS_OK)
        return status;
    w[1] = irq.id;
    w[2] = irq.msi_address;
    w[3] = irq.msi_data;
    r->results = 3;
    result_cap(r, selector, ABI_PERM_SM_DOWN);
    return STATUS_OK;
}

static enum status op_irq_free(struct request *r)
{
    return device_irq_free(r->core, r->pd, r->utcb->word[1]);
}

static enum status op_platform(struct request *r)
{
    r->utcb->word[1] = r->core->info->rsdp;
    r->utcb->word[2] = r->core->info->pin_count;
    r->utcb->word[3] = r->core->info->msi_count;
    r->results = 3;
    return STATUS_OK;
}

static enum status op_notify(struct request *r)
{
    uint64_t one = 1, sm = r->utcb->word[1];
    uint32_t slot = pd_slot(r->core, r->pd, PD_SLOT_NOTIFY);
    enum abi_status status;

    if (sm > ABI_SEL_MAX)
        return STATUS_INVALID;
    (void)hc_remove(SEL_OBJ, slot, 1); // core's own slot: nothing to refuse
    status = hc_delegate(pd_slot(r->core, r->pd, PD_SLOT_OBJ), SEL_OBJ, sm, slot, &one, ABI_PERM_SM_UP);
    r->pd->notify = status == ABI_OK && one == 1;
    return r->pd->notify ? STATUS_OK : STATUS_INVALID;
}

static enum status op_pd_create(struct request *r)
{
    uint64_t *w = r->utcb->word;
    char label[LABEL_SIZE];
    struct core_child_config config = {
        .ram = w[1],
        .kernel_frames = w[2],
        .objects = w[3],
        .authority = (uint32_t)w[4],
        .priority = (uint32_t)MIN(w[5], (uint64_t)ABI_PRIO_MAX),
        .cpu_mask = w[6],
        .label = label,
    };
    unsigned at = 7;
    uint32_t child = 0;
    enum status status;

    if (w[4] > AUTHORITY_ALL || !message_get_text(r->utcb, r->words, &at, label, sizeof label))
        return STATUS_INVALID;
    status = pd_create(r->core, r->pd, &config, &child);
    w[1] = child;
    r->results = 1;
    return status;
}

static enum status op_pd_give(struct request *r)
{
    uint64_t *w = r->utcb->word;
    struct pd *child = pd_child(r->core, r->pd, w[1]);

    if (!child)
        return STATUS_DENIED;
    if (w[2] > ABI_SEL_MAX || w[3] > ABI_SEL_MAX || w[4] > ABI_SEL_MAX || w[5] > ABI_PERM_OBJ_ALL)
        return STATUS_INVALID;
    return pd_give(r->core, r->pd, child, (uint32_t)w[2], (uint32_t)w[3], (uint32_t)w[4], (unsigned)w[5]);
}

static enum status op_pd_start(struct request *r)
{
    struct pd *child = pd_child(r->core, r->pd, r->utcb->word[1]);
    unsigned perms;
    struct dataspace *image = argument_dataspace(r, &perms);

    if (!child || !image || !(perms & ABI_PERM_MEM_R))
        return STATUS_DENIED;
    return r->utcb->word[2] < ABI_CPU_MAX ? pd_start(r->core, child, (uint32_t)r->utcb->word[2], image) : STATUS_INVALID;
}

static enum status op_pd_status(struct request *r)
{
    struct pd *child = pd_child(r->core, r->pd, r->utcb->word[1]);

    if (!child)
        return STATUS_DENIED;
    memcpy(&r->utcb->word[1], &child->fault, sizeof child->fault);
    r->results = sizeof child->fault / 8;
    return STATUS_OK;
}

static enum status op_pd_destroy(struct request *r)
{
    struct pd *child = pd_child(r->core, r->pd, r->utcb->word[1]);

    if (!child)
        return STATUS_DENIED;
    pd_destroy(r->core, child);
    return STATUS_OK;
}

static enum status op_pd_quota(struct request *r)
{
    struct pd *child = pd_child(r->core, r->pd, r->utcb->word[1]);

    return child ? pd_quota(r->pd, child, r->utcb->word[2], r->utcb->word[3]) : STATUS_DENIED;
}

static const struct operation {
    enum status (*handle)(struct request *r);
    unsigned words;     // at least, the operation included
    unsigned authority;
} operations[CORE_OPERATION_COUNT] = {
    [CORE_LOG]          = {op_log,          2, 0},
    [CORE_RAM_ALLOC]    = {op_ram_alloc,    4, 0},
    [CORE_RAM_FREE]     = {op_ram_free,     1, 0},
    [CORE_ATTACH]       = {op_attach,       5, 0},
    [CORE_DETACH]       = {op_detach,       3, 0},
    [CORE_SIZE]         = {op_size,         1, 0},
    [CORE_THREAD_START] = {op_thread_start, 4, 0},
    [CORE_THREAD_STOP]  = {op_thread_stop,  2, 0},
    [CORE_QUOTA]        = {op_quota,        1, 0},
    [CORE_ROM]          = {op_rom,          2, AUTHORITY_ROM},
    [CORE_LOG_READ]     = {op_log_read,     2, AUTHORITY_LOG},
    [CORE_IO_PORT]      = {op_io_port,      4, AUTHORITY_DEVICE},
    [CORE_IO_PORT_FREE] = {op_io_port_free, 4, AUTHORITY_DEVICE},
    [CORE_IO_MEM]       = {op_io_mem,       4, AUTHORITY_DEVICE},
    [CORE_IRQ]          = {op_irq,          4, AUTHORITY_DEVICE},
    [CORE_IRQ_FREE]     = {op_irq_free,     2, AUTHORITY_DEVICE},
    [CORE_PLATFORM]     = {op_platform,     1, AUTHORITY_DEVICE},
    [CORE_NOTIFY]       = {op_notify,       2, AUTHORITY_CHILDREN},
    [CORE_PD_CREATE]    = {op_pd_create,    8, AUTHORITY_CHILDREN},
    [CORE_PD_GIVE]      = {op_pd_give,      6, AUTHORITY_CHILDREN},
    [CORE_PD_START]     = {op_pd_start,     3, AUTHORITY_CHILDREN},
    [CORE_PD_STATUS]    = {op_pd_status,    2, AUTHORITY_CHILDREN},
    [CORE_PD_DESTROY]   = {op_pd_destroy,   2, AUTHORITY_CHILDREN},
    [CORE_PD_QUOTA]     = {op_pd_quota,     4, AUTHORITY_CHILDREN},
};

static enum status handle(struct request *r)
{
    uint64_t number = r->words ? r->utcb->word[0] : CORE_OPERATION_COUNT;
    const struct operation *operation;

    if (number >= CORE_OPERATION_COUNT)
        return STATUS_INVALID;
    operation = &operations[number];
    if (r->words < operation->words)
        return STATUS_INVALID;
    if (operation->authority & ~r->pd->authority)
        return STATUS_DENIED;
    return operation->handle(r);
}

ENTRY_STUB(core_entry, core_handle);

struct entry_reply core_handle(uint64_t id, uint64_t message)
{
    struct core *core = core_instance();
    struct request r = {
        .core = core,
        .utcb = utcb_self(),
        .words = message_words(message),
        .caps = message_caps(message),
    };
    struct entry_reply reply = {.flags = 0};
    enum status status = STATUS_DENIED;

    core_lock(core);
    r.pd = portal_pd(core, id);
    if (id & PORTAL_FAULT) {
        if (!r.pd || pd_fault(core, r.pd, (const struct abi_event *)r.utcb->word, cpu_self()))
            reply.flags = ABI_REPLY_STOP;
        r.utcb->word[0] = 0; // no state to write back
        reply.message = message_descriptor(1, 0);
    } else {
        if (r.pd)
            status = handle(&r);
        r.utcb->word[0] = status;
        reply.message = status == STATUS_OK ? message_descriptor(1 + r.results, r.result_caps) : message_descriptor(1, 0);
    }
    mutex_unlock(&core->lock);
    return reply;
}
