/* SPDX-License-Identifier: MIT */
/* The ABI_CREATE_* hypercalls. */
#include "kernel/cpu.h"
#include "kernel/delegate.h"
#include "kernel/hypercall.h"
#include "kernel/object_kinds.h"
#include "kernel/pd.h"
#include "kernel/sm.h"
#include "kernel/timer.h"
#include "kernel/vcpu.h"

#define SLICE_MIN 100u     // microseconds
#define SLICE_MAX 1000000u
#define NONE      (~0ull)

static void *refuse(enum abi_status *status, enum abi_status why)
{
    *status = why;
    return NULL;
}

static void *new_pd(struct ec *ec, struct pd *pd, enum abi_status *status)
{
    if (ec->regs.rdx < ABI_PD_QUOTA_MIN)
        return refuse(status, ABI_BAD_PARAMETER);
    return pd_create(pd, ec->regs.rdx);
}

static void *new_space(struct ec *ec, struct pd *pd, enum abi_status *status)
{
    unsigned kind = hypercall_flags(ec);

    if (kind == OBJECT_SPACE_DMA || (kind == OBJECT_SPACE_GST && !vcpu_ops()))
        return refuse(status, ABI_BAD_FEATURE);
    if ((kind == OBJECT_SPACE_OBJ && pd->objects) || (kind == OBJECT_SPACE_HST && pd->host))
        return refuse(status, ABI_BAD_PARAMETER);
    return space_create(pd, kind, false);
}

/* A vCPU's space argument; false if it is none. */
static bool assigned(const struct ec *ec, uint64_t sel, unsigned kind, struct space **space)
{
    struct object *object = live_object(ec, sel, kind, ABI_PERM_SPACE_ASSIGN);

    *space = object ? space_of(object) : NULL;
    if (object && !(*space)->root)
        return false;
    return object || (sel == NONE && kind != OBJECT_SPACE_GST);
}

static enum abi_status vcpu_config(const struct ec *ec, struct ec_config *config)
{
    const struct regs *r = &ec->regs;

    config->rsp = config->rip = config->fs_base = 0;
    config->event_base = NONE;
    if (!vcpu_ops())
        return ABI_BAD_FEATURE;
    if (!assigned(ec, r->rax, OBJECT_SPACE_GST, &config->spaces[SPACES_GUEST]) ||
        !assigned(ec, r->r8, OBJECT_SPACE_PIO, &config->spaces[SPACES_PORTS]) ||
        !assigned(ec, r->r9, OBJECT_SPACE_MSR, &config->spaces[SPACES_MSRS]))
        return ABI_BAD_CAPABILITY;
    return config->page ? ABI_OK : ABI_BAD_PARAMETER;
}

static enum abi_status thread_config(const struct ec_config *config)
{
    if (config->kind == ABI_EC_LOCAL && !config->page)
        return ABI_BAD_PARAMETER;
    if (config->rsp > ABI_USER_END || config->rip >= ABI_USER_END ||
        config->fs_base >= ABI_USER_END)
        return ABI_BAD_PARAMETER;
    if (config->event_base != NONE && config->event_base > ABI_SEL_MAX - ABI_EVENT_COUNT + 1)
        return ABI_BAD_PARAMETER;
    return ABI_OK;
}

static void *new_ec(struct ec *ec, struct pd *pd, enum abi_status *status)
{
    const struct regs *r = &ec->regs;
    struct ec_config config = {
        .pd = pd, .kind = (uint8_t)hypercall_flags(ec), .cpu = r->rdx & (FRAME_SIZE - 1),
        .page = ALIGN_DOWN(r->rdx, FRAME_SIZE), .rsp = r->rax, .event_base = r->r8,
        .rip = r->r9, .fs_base = r->r10};
    if (config.kind == ABI_EC_LOCAL)
        config.rip = 0; // comes with the portal
    if (!pd->objects || !pd->host || pd->objects->object.dying || pd->host->object.dying)
        return refuse(status, ABI_BAD_CAPABILITY);
    if (config.cpu >= cpu_count())
        return refuse(status, ABI_BAD_CPU);
    enum abi_status good =
        config.kind == ABI_EC_VCPU ? vcpu_config(ec, &config) : thread_config(&config);
    if (good != ABI_OK)
        return refuse(status, good);
    if (config.page >= ABI_USER_END)
        return refuse(status, ABI_BAD_PARAMETER);
    struct ec *child = NULL;
    *status = ec_create(&config, &child);
    return child ? &child->object : NULL;
}

static void *new_sc(struct ec *ec, struct pd *pd, enum abi_status *status)
{
    uint64_t prio = ec->regs.rax & 0xff, slice = ec->regs.rax >> 8;
    struct object *thread = live_object(ec, ec->regs.rdx, OBJECT_EC, ABI_PERM_EC_BIND_SC);

    if (!thread || ec_of(thread)->kind != ABI_EC_THREAD || ec_of(thread)->sc)
        return refuse(status, ABI_BAD_CAPABILITY);
    if (prio < 1 || prio > ABI_PRIO_MAX || slice < SLICE_MIN || slice > SLICE_MAX)
        return refuse(status, ABI_BAD_PARAMETER);
    if (ec->regs.r8 && !(ec->regs.r8 >> ec_of(thread)->cpu & 1))
        return refuse(status, ABI_BAD_CPU);
    return sc_create(pd, ec_of(thread), (uint8_t)prio, slice * timer_khz() / 1000);
}

static void *new_pt(struct ec *ec, struct pd *pd, enum abi_status *status)
{
    struct object *local = live_object(ec, ec->regs.rdx, OBJECT_EC, ABI_PERM_EC_BIND_PT);

    if (!local || ec_of(local)->kind != ABI_EC_LOCAL)
        return refuse(status, ABI_BAD_CAPABILITY);
    if (ec->regs.rax >= ABI_USER_END)
        return refuse(status, ABI_BAD_PARAMETER);
    return pt_create(pd, ec_of(local), ec->regs.rax, ec->regs.r8);
}

static void *new_sm(struct ec *ec, struct pd *pd, enum abi_status *status)
{
    (void)status;
    return sm_create(pd, ec->regs.rdx);
}

/*
 * By kind. What is made begins with its struct object; *status says why nothing was, if it is not
 * the memory.
 */
static const struct {
    void *(*make)(struct ec *ec, struct pd *pd, enum abi_status *status);
    uint8_t needed; // of the PD's capability
    uint8_t perms;  // that the creator gets: all that its kind has
} kinds[] = {
    [ABI_CREATE_PD] = {new_pd, ABI_PERM_PD_CREATE_PD, PERMS_PD},
    [ABI_CREATE_SPACE] = {new_space, ABI_PERM_PD_CREATE, PERMS_SPACE},
    [ABI_CREATE_EC] = {new_ec, ABI_PERM_PD_CREATE, PERMS_EC},
    [ABI_CREATE_SC] = {new_sc, ABI_PERM_PD_CREATE_SC, PERMS_SC},
    [ABI_CREATE_PT] = {new_pt, ABI_PERM_PD_CREATE, PERMS_PT},
    [ABI_CREATE_SM] = {new_sm, ABI_PERM_PD_CREATE, PERMS_SM},
};

static enum abi_status create_object(struct ec *ec, unsigned number)
{
    struct reserve slot;
    struct batch batch;
    struct object *pd = live_object(ec, ec->regs.rsi, OBJECT_PD, kinds[number].needed);
    if (!pd)
        return ABI_BAD_CAPABILITY;
    enum abi_status status = slot_reserve(&slot, ec->pd->objects, hypercall_sel(ec));
    if (status != ABI_OK)
        return status;
    status = ABI_OUT_OF_MEMORY;
    struct object *object = kinds[number].make(ec, pd_of(pd), &status);
    if (!object) {
        reserve_cancel(&slot);
        return status;
    }
    slot_bind(&slot, object, kinds[number].perms, 0);
    if (number == ABI_CREATE_SC) {
        batch_init(&batch);
        batch.start = sc_of(object);
        batch_finish(&batch);
    }
    return ABI_OK;
}

struct result create(struct ec *ec)
{
    tree_lock();
    enum abi_status status = create_object(ec, ec->regs.rdi & 0xff);
    tree_unlock();
    return status_result(status);
}
