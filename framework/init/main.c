/* SPDX-License-Identifier: MIT */
/*
 * Init: starts what its configuration (the boot module "config") says, routes sessions by it, ends and restarts what exits or faults.
 */
#include "framework/component.h"
#include "framework/core.h"
#include "framework/init/init.h"
#include "framework/io.h"
#include "framework/slots.h"
#include "lib/align.h"
#include "lib/string.h"

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_MAX_MS   10000u
#define STEADY_MS        30000u // a child that ran that long starts with the first back-off again

static struct init init_state;

static uint64_t ticks_of_ms(uint64_t ms)
{
    return ms * component_info()->tsc_khz;
}

static void try_start(struct child *child)
{
    enum status status = child_start(child);

    if (status != STATUS_OK)
        log_print("%s cannot be started: %s", child->start->name, status_name(status));
    else
        log_print("%s started", child->start->name);
}

static void schedule_restart(struct child *child, bool fault)
{
    bool wanted = child->start->restart == RESTART_ALWAYS || (child->start->restart == RESTART_ON_FAULT && fault);
    uint64_t now = tsc_now();

    if (!wanted)
        return;
    if (child->backoff_ms == 0 || now - child->started > ticks_of_ms(STEADY_MS))
        child->backoff_ms = BACKOFF_FIRST_MS;
    else
        child->backoff_ms = MIN(child->backoff_ms * 2, BACKOFF_MAX_MS);
    child->state = CHILD_WAITING;
    child->restart_at = now + ticks_of_ms(child->backoff_ms);
    log_print("%s will be restarted in %u ms", child->start->name, child->backoff_ms);
}

/* Has it exited or faulted? Then end it. */
static void check_child(struct child *child)
{
    struct core_fault fault;
    bool faulted = false;

    if (!child->exited) {
        if (core_pd_status(child->core, &fault) != STATUS_OK || fault.state != CHILD_FAULTED)
            return;
        faulted = true;
        log_print("%s faulted: exception %lu at %lx, error %lx, address %lx", child->start->name, fault.vector, fault.rip,
                  fault.error, fault.address);
    } else {
        log_print("%s exited with %lu", child->start->name, child->exit_code);
    }
    child_end(child);
    schedule_restart(child, faulted);
}

static void signalled(void *context, uint64_t bits)
{
    struct init *init = context;
    uint64_t deadline = 0;

    (void)bits;
    for (unsigned i = 0; i < init->config.count; i++) {
        struct child *child = &init->children[i];

        if (child->state == CHILD_UP)
            check_child(child);
        if (child->state == CHILD_WAITING && child->restart_at <= tsc_now()) {
            child->state = CHILD_STOPPED;
            try_start(child);
        }
        if (child->state == CHILD_WAITING && (!deadline || child->restart_at < deadline))
            deadline = child->restart_at;
    }
    init->entrypoint.deadline = deadline;
}

/* Each child's own configuration as a dataspace: it gets no more of init's memory than that. */
static MUST_CHECK enum status config_give(struct child *child)
{
    const struct start *start = child->start;
    enum status status;

    if (!start->config_size)
        return STATUS_OK;
    status = memory_alloc(&child->config, start->config_size, PAGE_SIZE);
    if (status != STATUS_OK)
        return status;
    memcpy(child->config.address, child->init->config.text + start->config, start->config_size);
    child->has_config = true;
    return STATUS_OK;
}

static MUST_CHECK enum status config_load(struct init *init)
{
    struct mapping rom;
    uint32_t slot = slots_alloc(1);
    uint64_t size;
    char *text;
    enum status status = slot == SEL_NONE ? STATUS_QUOTA : core_rom("config", slot, &size);

    if (status == STATUS_OK)
        status = memory_attach(&rom, slot, ABI_PERM_MEM_R);
    if (status != STATUS_OK)
        return status;
    text = heap_alloc(2 * size + 4096);
    if (!text)
        return STATUS_QUOTA;
    status = config_read(&init->config, rom.address, size, text, 2 * size + 4096);
    if (status != STATUS_OK)
        log_print("config: %s", init->config.error);
    memory_detach(&rom);
    slots_remove(slot, 1);
    return status;
}

static MUST_CHECK enum status children_init(struct init *init)
{
    for (unsigned i = 0; i < init->config.count; i++) {
        struct child *child = &init->children[i];
        enum status status;

        child->init = init;
        child->start = &init->config.start[i];
        status = config_give(child);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

int main(void)
{
    struct init *init = &init_state;
    enum status status = config_load(init);

    if (status == STATUS_OK)
        status = entrypoint_init(&init->entrypoint, component_info()->cpu_mask, init->portals, PORTAL_MAX, signalled, init);
    if (status == STATUS_OK)
        status = entrypoint_open_windows(&init->entrypoint, CAP_BLOCK);
    if (status == STATUS_OK)
        status = children_init(init);
    if (status == STATUS_OK)
        status = core_notify(init->entrypoint.signal);
    if (status != STATUS_OK) {
        log_print("cannot start: %s", status_name(status));
        return 1;
    }
    mutex_lock(&init->entrypoint.lock);
    for (unsigned i = 0; i < init->config.count; i++)
        try_start(&init->children[i]);
    mutex_unlock(&init->entrypoint.lock);
    entrypoint_run(&init->entrypoint);
}
