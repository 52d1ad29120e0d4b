/* SPDX-License-Identifier: MIT */
/* Creation and end of execution contexts. */
#include "kernel/ec.h"

#include "kernel/cpu.h"
#include "kernel/object_kinds.h"
#include "kernel/pd.h"
#include "kernel/sm.h"
#include "kernel/space.h"
#include "kernel/trap.h"
#include "kernel/vcpu.h"
#include "kernel/xstate.h"
#include "lib/string.h"

struct ec ec_dead = {.state = EC_STOPPED};

static void init(struct ec *ec, const struct ec_config *config)
{
    ec->kind = config->kind;
    ec->cpu = config->cpu;
    ec->pd = config->pd;
    ec->directory = config->pd->objects->root;
    ec->event_base = config->event_base;
    ec->fs_base = config->fs_base;
    memcpy(ec->spaces, config->spaces, sizeof ec->spaces);
    ec->spaces[SPACES_OBJECTS] = config->pd->objects;
    ec->spaces[SPACES_HOST] = config->pd->host;
    ec->regs = (struct regs){.rip = config->rip, .rsp = config->rsp, .rdi = config->page,
                             .rflags = USER_RFLAGS, .cs = SEL_USER_CODE, .ss = SEL_USER_DATA};
    list_init(&ec->helpers);
    list_init(&ec->help_link);
    list_init(&ec->parked);
    list_init(&ec->portals);
    list_init(&ec->revoke_link);
    object_init(&ec->object, OBJECT_EC, ec->pd);
}

/* The page shared with user level, mapped at `address` in the PD's host space. */
static bool create_page(struct ec *ec, uint64_t address)
{
    struct reserve reserve;

    reserve_init(&reserve, ec->pd->host);
    struct node *node = reserve_node(&reserve, address / FRAME_SIZE);
    if (node) {
        node->phys = pool_phys(ec->utcb) / FRAME_SIZE;
        node->perms = ABI_PERM_MEM_R | ABI_PERM_MEM_W;
        node->flags = NODE_KERNEL;
        node->ec = ec;
        reserve_plan(&reserve, node);
    }
    if (!node || !reserve_frames(&reserve)) {
        reserve_cancel(&reserve);
        return false;
    }
    ec->utcb_node = reserve_commit(&reserve);
    return true;
}

static uint64_t root_of(const struct space *space)
{
    return space ? pool_phys(space->root) : 0;
}

/*
 * Vector state: an XSAVE image, or a vCPU's control block (its vector state is in its state page).
 */
static bool create_state(struct ec *ec)
{
    if (ec->kind != ABI_EC_VCPU) {
        ec->xstate = slab_alloc(ec->pd, xstate_size());
        if (ec->xstate)
            xstate_init(ec->xstate);
        return ec->xstate;
    }
    ec->xstate = frame_alloc(ec->pd, 1);
    ec->vcpu = ec->xstate ? slab_alloc(ec->pd, sizeof *ec->vcpu) : NULL;
    if (!ec->vcpu)
        return false;
    struct vcpu_memory memory = {.state = (struct abi_vcpu *)(void *)ec->utcb,
                                 .control = ec->xstate,
                                 .control_phys = pool_phys(ec->xstate),
                                 .nested_root = root_of(ec->spaces[SPACES_GUEST]),
                                 .io_bitmap = root_of(ec->spaces[SPACES_PORTS]),
                                 .msr_bitmap = root_of(ec->spaces[SPACES_MSRS])};
    vcpu_ops()->create(ec->vcpu, &memory);
    return true;
}

/* Gives back all memory that there is so far. */
static void release(struct ec *ec)
{
    list_remove(&ec->revoke_link);
    if (ec->vcpu)
        slab_free(ec->vcpu, sizeof *ec->vcpu);
    if (ec->xstate && ec->kind == ABI_EC_VCPU)
        frame_free(ec->xstate, 1);
    else if (ec->xstate)
        slab_free(ec->xstate, xstate_size());
    if (ec->utcb)
        frame_free(ec->utcb, 1);
    object_drop(&ec->object);
    slab_free(ec, sizeof *ec);
}

enum abi_status ec_create(const struct ec_config *config, struct ec **result)
{
    if (config->page && node_first(config->pd->host, config->page / FRAME_SIZE, 1))
        return ABI_OCCUPIED;
    struct ec *ec = slab_alloc(config->pd, sizeof *ec);
    if (!ec)
        return ABI_OUT_OF_MEMORY;
    init(ec, config);
    /* The mapping comes last: what has been mapped may be in use on another CPU. */
    if ((config->page && !(ec->utcb = frame_alloc(ec->pd, 1))) || !create_state(ec) ||
        (config->page && !create_page(ec, config->page))) {
        release(ec);
        return ABI_OUT_OF_MEMORY;
    }
    for (unsigned i = 0; i < SPACES_COUNT; i++)
        if (ec->spaces[i])
            ec->spaces[i]->object.refs++;
    *result = ec;
    return ABI_OK;
}

void ec_free(struct ec *ec, struct list_node *dead)
{
    for (unsigned i = 0; i < SPACES_COUNT; i++)
        if (ec->spaces[i])
            object_unref(&ec->spaces[i]->object, dead);
    release(ec);
}

void ec_complete(struct ec *ec, enum abi_status status, uint64_t value)
{
    struct regs *r = &ec->regs;

    r->rax = status;
    r->rsi = value;
    r->rdx = r->rdi = r->rcx = 0;
    r->r8 = r->r9 = r->r10 = r->r11 = 0;
}

/*
 * The vCPU that a thread runs goes away: the thread sees that, or does not take the call up again.
 */
static void end_run(struct ec *ec)
{
    ec->running->runner = NULL;
    ec->running = NULL;
    if (ec->resume_rip && ec->resume_rip == ec->regs.rip && (ec->regs.rdi & 0xff) == ABI_VCPU_RUN) {
        ec->regs.rip += 2;
        ec_complete(ec, ABI_ABORTED, 0);
    }
}

/*
 * Ends what the EC has to do with others. Returns an EC whose event it was handling, which has to
 * stop now too.
 */
static struct ec *detach(struct ec *ec)
{
    struct ec *caller = ec->caller, *stop = NULL;

    if (caller) {
        ec->caller = NULL;
        caller->callee = NULL;
        if (caller->in_event) {
            stop = caller;
        } else {
            ec_complete(caller, ABI_ABORTED, 0);
            caller->state = EC_RUNNABLE;
        }
    }
    for (struct list_node *link; (link = list_pop_front(&ec->helpers)) != NULL;) {
        struct ec *helper = list_entry(link, struct ec, help_link);
        helper->callee = NULL;
        helper->state = EC_RUNNABLE; // it calls again
    }
    list_remove(&ec->help_link);
    if (ec->callee && ec->state == EC_CALLING)
        ec->callee->caller = NULL;
    ec->callee = NULL;
    if (ec->running) {
        ec->running->runner = NULL;
        ec->running = NULL;
    }
    if (ec->runner)
        end_run(ec->runner);
    return stop;
}

void ec_stop(struct ec *ec)
{
    while (ec && ec->state != EC_STOPPED) {
        if (sm_leave(ec))
            timeout_cancel(ec);
        else
            while (ec->state == EC_BLOCKED) // in the inbox, or on its way there
                wake_serve();
        struct ec *end = ec;
        while (end->callee)
            end = end->callee;
        struct ec *next = detach(ec);
        ec->state = EC_STOPPED;
        ec_unpark(end); // who ran the chain finds its way anew
        if (cpu_self()->current_ec == ec)
            ec_leave();
        ec = next;
    }
}
