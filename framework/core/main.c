/* SPDX-License-Identifier: MIT */
/*
 * Core, the root task: takes stock of the machine, starts init with all of it, and then only answers requests (server.c).
 *
 * Boot string: "core [console=serial|debug|both|none]"; the default is both.
 */
#include "framework/core/dataspace.h"
#include "framework/core/entry.h"
#include "framework/core/pd.h"
#include "framework/core/rom.h"
#include "framework/core/server.h"
#include "framework/core/syslog.h"
#include "framework/io.h"
#include "framework/root/root.h"
#include "lib/string.h"
#include "lib/text.h"

/* Kernel memory that core keeps: its own objects, windows and tables. */
#define KERNEL_RESERVE 512u

static struct core core_state;

struct core *core_instance(void)
{
    return &core_state;
}

/* The option's value in a boot string, up to a space. */
static bool option_is(const char *string, const char *option, const char *value)
{
    size_t length = strlen(option), size = 0;

    for (; *string; string++) {
        if (strncmp(string, option, length) != 0)
            continue;
        string += length;
        while (string[size] && string[size] != ' ')
            size++;
        return text_equals(string, size, value);
    }
    return false;
}

static MUST_CHECK enum status memory_init(struct core *core)
{
    struct pd *self = &core->pd[0];

    range_init(&core->memory, core->ranges, RANGE_MAX);
    for (uint32_t i = 0; i < core->info->range_count; i++) {
        const struct abi_memory_range *range = &core->info->range[i];
        enum status status;

        if (range->type != ABI_MEMORY_FREE || range->size == 0)
            continue;
        status = range_add(&core->memory, range->base, range->size);
        if (status != STATUS_OK)
            return status;
    }
    self->ram_limit = core->memory.free >> PAGE_SHIFT;
    return STATUS_OK;
}

static void self_init(struct core *core)
{
    struct pd *self = &core->pd[0];

    self->used = true;
    self->authority = AUTHORITY_ALL;
    self->priority = ABI_PRIO_MAX - 1;
    self->cpu_mask = core->info->cpu_count >= 64 ? ~0ull : (1ull << core->info->cpu_count) - 1;
    self->objects_limit = DATASPACE_MAX;
    text_copy(self->label, sizeof self->label, "core");
}

static MUST_CHECK enum status init_start(struct core *core)
{
    struct pd *self = &core->pd[0];
    struct core_child_config config = {
        .ram = (self->ram_limit - self->ram_used) << PAGE_SHIFT,
        .objects = self->objects_limit - self->objects_used - 1,
        .authority = AUTHORITY_ALL,
        .priority = self->priority,
        .cpu_mask = self->cpu_mask,
        .label = "init",
    };
    struct dataspace *rom = rom_find(core, "init");
    uint64_t used, limit;
    uint32_t child;
    enum status status = status_of(hc_quota_query(SEL_PD, &used, &limit));

    if (!rom)
        return STATUS_NOT_FOUND;
    if (status == STATUS_OK && limit - used <= KERNEL_RESERVE)
        return STATUS_QUOTA;
    config.kernel_frames = limit - used - KERNEL_RESERVE;
    if (status == STATUS_OK)
        status = pd_create(core, self, &config, &child);
    if (status == STATUS_OK)
        status = pd_start(core, pd_child(core, self, child), core->info->boot_cpu, rom);
    return status;
}

static MUST_CHECK enum status core_init(struct core *core)
{
    enum status status = status_of(hc_create_sm(CORE_LOCK, SEL_PD, 0));

    mutex_init(&core->lock, CORE_LOCK);
    if (status == STATUS_OK)
        status = memory_init(core);
    if (status == STATUS_OK)
        status = rom_init(core);
    if (status == STATUS_OK)
        status = syslog_init(core);
    if (status == STATUS_OK)
        status = entries_init(core);
    return status;
}

static void console_init(struct core *core)
{
    const char *string = rom_string(core, 0);
    bool none = option_is(string, "console=", "none");
    bool serial = !none && !option_is(string, "console=", "debug");
    bool debug = !none && !option_is(string, "console=", "serial");

    core->console_serial = serial;
    console_open(&core->console, serial, debug);
}

void root_main(const struct abi_info *info)
{
    struct core *core = core_instance();
    enum status status;

    core->info = info;
    core->boot_tsc = tsc_now();
    self_init(core);
    status = core_init(core);
    console_init(core);
    if (status != STATUS_OK) {
        syslog_print(core, "cannot start: %s", status_name(status));
        return;
    }
    syslog_print(core, "%lu MiB free, %u CPUs, TSC %lu kHz%s", core->memory.free >> 20, info->cpu_count, info->tsc_khz,
                 info->features & ABI_FEATURE_SVM ? ", SVM" : "");
    mutex_lock(&core->lock);
    status = init_start(core);
    if (status != STATUS_OK)
        syslog_print(core, "cannot start init: %s", status_name(status));
    mutex_unlock(&core->lock);
}
