/* SPDX-License-Identifier: MIT */
/* The dispatcher of hypercalls, and the control calls. */
#include "kernel/hypercall.h"

#include "kernel/assert.h"
#include "kernel/interrupt.h"
#include "kernel/object_kinds.h"
#include "kernel/sm.h"
#include "kernel/space.h"
#include "kernel/switch.h"
#include "kernel/timer.h"
#include "kernel/vcpu.h"

void hypercall_finish(struct ec *ec, enum abi_status status, uint64_t value, uint64_t second)
{
    ec_complete(ec, status, value);
    ec->regs.rdx = second;
    if (cpu_self()->sched.resched)
        schedule();
    ec_run(ec);
}

struct object *live_object(const struct ec *ec, uint64_t sel, enum object_type type, unsigned perms)
{
    struct object *object = ec_object(ec, sel, type, perms);

    return object && !object->dying ? object : NULL;
}

struct space *live_space(const struct ec *ec, uint64_t sel, unsigned perms)
{
    cap_t cap = ec_lookup(ec, sel);
    struct object *object = cap_object(cap);

    if (!object || object->type >= OBJECT_PD || object->dying || (cap & perms) != perms)
        return NULL;
    return space_of(object);
}

static struct result control_pd(struct ec *ec)
{
    unsigned op = hypercall_flags(ec);
    enum abi_status status = ABI_BAD_CAPABILITY;

    tree_lock();
    struct pd *pd = pd_of(live_object(ec, hypercall_sel(ec), OBJECT_PD, ABI_PERM_PD_CTRL));
    if (pd && op == ABI_PD_QUOTA_QUERY) {
        uint64_t used = pd->account.used, limit = pd->account.limit;
        tree_unlock();
        hypercall_finish(ec, ABI_OK, used, limit);
    }
    struct pd *child = pd_of(live_object(ec, ec->regs.rsi, OBJECT_PD, ABI_PERM_PD_CTRL));
    if (pd && child)
        status = pd_move_quota(pd, child, ec->regs.rdx, op == ABI_PD_QUOTA_TAKE);
    tree_unlock();
    return status_result(status);
}

static enum abi_status recall(struct ec *target)
{
    if (target->kind == ABI_EC_VCPU)
        __atomic_store_n(&((struct abi_vcpu *)(void *)target->utcb)->recall, 1, __ATOMIC_RELEASE);
    else
        __atomic_or_fetch(&target->hazard, EC_HAZARD_RECALL, __ATOMIC_RELEASE);
    if (target->cpu != cpu_self()->id)
        ipi_send(target->cpu, IPI_WAKE);
    return ABI_OK;
}

static enum abi_status set_fs_base(struct ec *target, uint64_t base)
{
    if (target->kind == ABI_EC_VCPU)
        return ABI_BAD_CAPABILITY;
    if (target->cpu != cpu_self()->id)
        return ABI_BAD_CPU;
    if (base >= ABI_USER_END)
        return ABI_BAD_PARAMETER;
    target->fs_base = base;
    if (target == cpu_self()->current_ec)
        msr_write(MSR_FS_BASE, base);
    return ABI_OK;
}

static struct result control_ec(struct ec *ec)
{
    unsigned op = hypercall_flags(ec);
    enum abi_status status;

    struct object *object = ec_object(ec, hypercall_sel(ec), OBJECT_EC, ABI_PERM_EC_CTRL);
    if (!object)
        return status_result(ABI_BAD_CAPABILITY);
    if (op == ABI_EC_RECALL)
        status = recall(ec_of(object));
    else if (op == ABI_EC_FETCH)
        status = vcpu_fetch(ec_of(object), ec->regs.rsi);
    else
        status = set_fs_base(ec_of(object), ec->regs.rsi);
    hypercall_finish(ec, status, 0, 0);
}

static struct result control_sc(struct ec *ec)
{
    struct object *object = ec_object(ec, hypercall_sel(ec), OBJECT_SC, ABI_PERM_SC_CTRL);
    struct cpu *cpu = cpu_self();

    if (!object)
        return status_result(ABI_BAD_CAPABILITY);
    uint64_t used = __atomic_load_n(&sc_of(object)->used, __ATOMIC_RELAXED);
    if (sc_of(object) == cpu->current_sc)
        used += tsc_now() - cpu->sched.since;
    return (struct result){ABI_OK, used};
}

static struct result control_pt(struct ec *ec)
{
    struct object *object = ec_object(ec, hypercall_sel(ec), OBJECT_PT, ABI_PERM_PT_CTRL);

    if (!object)
        return status_result(ABI_BAD_CAPABILITY);
    if (ec->regs.rdx & ~(uint64_t)(ABI_EVENT_GROUP_GPR | ABI_EVENT_GROUP_IP))
        return status_result(ABI_BAD_PARAMETER);
    __atomic_store_n(&pt_of(object)->id, ec->regs.rsi, __ATOMIC_RELAXED);
    __atomic_store_n(&pt_of(object)->groups, ec->regs.rdx, __ATOMIC_RELAXED);
    return status_result(ABI_OK);
}

static struct result control_sm(struct ec *ec)
{
    unsigned flags = hypercall_flags(ec);
    bool down = flags & ABI_SM_DOWN;
    struct result result = {ABI_OK, 0};

    if (flags && !down)
        return status_result(ABI_BAD_HYPERCALL);
    struct object *object =
        ec_object(ec, hypercall_sel(ec), OBJECT_SM, down ? ABI_PERM_SM_DOWN : ABI_PERM_SM_UP);
    if (!object)
        return status_result(ABI_BAD_CAPABILITY);
    if (down)
        result.status = sm_down(ec, sm_of(object), flags, ec->regs.rsi, &result.value);
    else
        result.status = sm_up(sm_of(object));
    return result;
}

static struct result assign_interrupt(struct ec *ec)
{
    uint64_t address = 0, data = 0;

    struct object *object = ec_object(ec, hypercall_sel(ec), OBJECT_SM, ABI_PERM_SM_ASSIGN);
    if (!object || !sm_of(object)->source)
        return status_result(ABI_BAD_CAPABILITY);
    if (ec->regs.rsi >= cpu_count())
        return status_result(ABI_BAD_CPU);
    if (ec->regs.rdx > (ABI_INT_LEVEL | ABI_INT_LOW))
        return status_result(ABI_BAD_PARAMETER);
    enum abi_status status = interrupt_route(sm_of(object)->source - 1, (unsigned)ec->regs.rsi,
                                             (unsigned)ec->regs.rdx, &address, &data);
    hypercall_finish(ec, status, address, data);
}

static struct result assign_device(struct ec *ec)
{
    return status_result(ec_object(ec, hypercall_sel(ec), OBJECT_SPACE_DMA, ABI_PERM_SPACE_ASSIGN)
                             ? ABI_BAD_FEATURE
                             : ABI_BAD_CAPABILITY);
}

/* By number: the handler, and the greatest value of the flags. */
static const struct {
    struct result (*handle)(struct ec *ec);
    uint8_t flags;
} calls[ABI_HYPERCALL_COUNT] = {
    [ABI_CREATE_PD] = {create, 0},
    [ABI_CREATE_SPACE] = {create, ABI_SPACE_COUNT - 1},
    [ABI_CREATE_EC] = {create, ABI_EC_VCPU},
    [ABI_CREATE_SC] = {create, 0},
    [ABI_CREATE_PT] = {create, 0},
    [ABI_CREATE_SM] = {create, 0},
    [ABI_DELEGATE] = {derive_delegate, 0},
    [ABI_REVOKE] = {derive_revoke, ABI_REVOKE_SELF},
    [ABI_CTRL_PD] = {control_pd, ABI_PD_QUOTA_QUERY},
    [ABI_CTRL_EC] = {control_ec, ABI_EC_FS_BASE},
    [ABI_CTRL_SC] = {control_sc, 0},
    [ABI_CTRL_PT] = {control_pt, 0},
    [ABI_CTRL_SM] = {control_sm, ABI_SM_DOWN | ABI_SM_ALL | ABI_SM_MASKED},
    [ABI_VCPU_RUN] = {vcpu_run, 0},
    [ABI_ASSIGN_INT] = {assign_interrupt, 0},
    [ABI_ASSIGN_DEV] = {assign_device, 0},
};

static struct result dispatch(struct ec *ec)
{
    unsigned number = ec->regs.rdi & 0xff;

    if (number >= ABI_HYPERCALL_COUNT)
        return ASSERTIONS ? debug_call(ec) : status_result(ABI_BAD_HYPERCALL);
    if (hypercall_flags(ec) > calls[number].flags)
        return status_result(ABI_BAD_HYPERCALL);
    return calls[number].handle(ec);
}

struct result hypercall(struct ec *ec)
{
    struct result result = dispatch(ec);

    if (__builtin_expect(cpu_self()->sched.resched, 0)) {
        if (cpu_self()->current_ec == ec)
            ec_complete(ec, result.status, result.value);
        schedule();
    }
    return result;
}
