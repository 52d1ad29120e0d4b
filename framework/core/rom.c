/* SPDX-License-Identifier: MIT */
/* Boot modules. */
#include "framework/core/dataspace.h"
#include "framework/core/rom.h"
#include "framework/core/syslog.h"
#include "lib/align.h"
#include "lib/string.h"
#include "lib/text.h"

/* Copy a boot string to the end of core->names, terminated; 0 (the empty string) when there is no room. */
static uint32_t string_copy(struct core *core, const struct abi_memory_range *range)
{
    struct dataspace pages = {.base = ALIGN_DOWN(range->aux, PAGE_SIZE)};
    uint64_t size = range->string_size;
    uint32_t at = core->name_bytes;
    void *window;

    if (size == 0 || size >= sizeof core->names - at)
        return 0;
    pages.size = ALIGN_UP(range->aux + size - pages.base, PAGE_SIZE);
    if (window_map(&pages, WINDOW_IMAGE, &window) != STATUS_OK)
        return 0;
    memcpy(core->names + at, (char *)window + (range->aux - pages.base), size);
    core->names[at + size] = 0;
    core->name_bytes += (uint32_t)size + 1;
    window_unmap(&pages, WINDOW_IMAGE);
    return at;
}

/* The first word, after the last slash in it. */
static size_t name_of(const char *string, const char **name)
{
    size_t size = 0;

    *name = string;
    for (; string[size] && string[size] != ' '; size++)
        if (string[size] == '/')
            *name = string + size + 1;
    return (size_t)(string + size - *name);
}

/* What the last page holds beyond the module is not the module's. */
static void tail_clear(const struct dataspace *rom)
{
    struct dataspace page = {.base = rom->base + rom->size - PAGE_SIZE, .size = PAGE_SIZE};
    uint64_t used = rom->bytes % PAGE_SIZE;
    void *window;

    if (used && window_map(&page, WINDOW_IMAGE, &window) == STATUS_OK) {
        memset((char *)window + used, 0, PAGE_SIZE - used);
        window_unmap(&page, WINDOW_IMAGE);
    }
}

enum status rom_init(struct core *core)
{
    core->name_bytes = 1;
    for (uint32_t i = 0; i < core->info->range_count; i++) {
        const struct abi_memory_range *range = &core->info->range[i];
        uint32_t index, name;
        enum status status;

        if (range->type != ABI_MEMORY_MODULE)
            continue;
        name = string_copy(core, range);
        if (range->size == 0 || !IS_ALIGNED(range->base, PAGE_SIZE)) {
            syslog_print(core, "module at %lx is not page aligned and is left out", range->base);
            continue;
        }
        status = dataspace_fixed(core, &core->pd[0], DATASPACE_ROM, range->base, range->size, ABI_CACHE_WB, &index);
        if (status != STATUS_OK)
            return status;
        core->dataspace[index].name = name;
        tail_clear(&core->dataspace[index]);
    }
    return STATUS_OK;
}

struct dataspace *rom_find(struct core *core, const char *name)
{
    for (uint32_t i = 0; i < DATASPACE_MAX; i++) {
        const char *own;
        size_t size;

        if (core->dataspace[i].kind != DATASPACE_ROM)
            continue;
        size = name_of(core->names + core->dataspace[i].name, &own);
        if (text_equals(own, size, name))
            return &core->dataspace[i];
    }
    return NULL;
}

const char *rom_string(const struct core *core, unsigned module)
{
    for (uint32_t i = 0; i < DATASPACE_MAX; i++)
        if (core->dataspace[i].kind == DATASPACE_ROM && module-- == 0)
            return core->names + core->dataspace[i].name;
    return "";
}
