/* SPDX-License-Identifier: MIT */
/* Multiboot 1 and 2 information structures. */
#include "kernel/boot.h"
#include "kernel/asm.h"
#include "kernel/memory_map.h"
#include "lib/string.h"

#define MAGIC1 0x2badb002u
#define MAGIC2 0x36d76289u
#define STRING_MAX 1024u

struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct mb1_module {
    uint32_t start, end, string, reserved;
};
struct mb1_mmap {
    uint32_t size;
    uint32_t base_low, base_high, length_low, length_high;
    uint32_t type;
};
struct mb2_tag {
    uint32_t type, size;
};
_Static_assert(sizeof(struct mb1_mmap) == 24, "3.3");

enum { MB1_CMDLINE = 1 << 2, MB1_MODULES = 1 << 3, MB1_MMAP = 1 << 6 };
enum { TAG_END, TAG_CMDLINE, TAG_MODULE = 3, TAG_MMAP = 6, TAG_RSDP1 = 14, TAG_RSDP2 = 15 };
enum { E820_RAM = 1, E820_ACPI = 3, E820_NVS = 4 };

/* What is gathered in a first pass; ranges are made of it in order: RAM, then what is not RAM, then modules. */
struct module {
    uint32_t base, end, string, string_size;
};
struct gathered {
    struct boot_info *boot;
    unsigned module_count;
    struct module module[BOOT_MODULE_MAX];
    bool free_pass;
};

static void add_region(struct gathered *g, uint64_t base, uint64_t size, uint32_t type)
{
    struct abi_info *info = &g->boot->info;
    if (g->free_pass) {
        if (type == E820_RAM)
            memory_map_add_free(info, base, size);
    } else if (type != E820_RAM) {
        memory_map_carve(info, base, size, type == E820_ACPI || type == E820_NVS ? ABI_MEMORY_ACPI : ABI_MEMORY_RESERVED);
    }
}

/* Up to its terminator, or the end of what may be read. */
static uint32_t length(const char *text, uint32_t max)
{
    uint32_t size = 0;
    while (text && size < max && text[size])
        size++;
    return size;
}

static void add_module(struct gathered *g, uint32_t base, uint32_t end, uint32_t string, uint32_t string_max)
{
    const char *text = boot_map(string, string_max);
    if (g->module_count == BOOT_MODULE_MAX || end <= base)
        return;
    uint32_t size = length(text, string_max < STRING_MAX ? string_max : STRING_MAX);
    g->module[g->module_count++] = (struct module){base, end, string, size};
}

/* The only option: pool=MiB. */
static void read_cmdline(struct boot_info *boot, const char *text, uint32_t max)
{
    size_t size = length(text, max);
    for (size_t i = 0; i + 5 <= size; i++) {
        if ((i && text[i - 1] != ' ') || memcmp(text + i, "pool=", 5))
            continue;
        boot->pool_option = 0;
        for (i += 5; i < size && text[i] >= '0' && text[i] <= '9' && boot->pool_option < 1u << 20; i++)
            boot->pool_option = boot->pool_option * 10 + (uint64_t)(text[i] - '0');
    }
}

static void read_mmap1(struct gathered *g, const struct mb1_info *mb)
{
    for (uint32_t at = 0; at + sizeof(struct mb1_mmap) <= mb->mmap_length;) {
        const struct mb1_mmap *m = boot_map((uint64_t)mb->mmap_addr + at, sizeof(*m));
        if (!m || m->size < 20 || m->size > 4096)
            return;
        add_region(g, (uint64_t)m->base_high << 32 | m->base_low, (uint64_t)m->length_high << 32 | m->length_low, m->type);
        at += m->size + 4;
    }
}

static const char *read_mb1(struct gathered *g, uint32_t address)
{
    const struct mb1_info *mb = boot_map(address, sizeof(*mb));
    if (!mb || !(mb->flags & MB1_MMAP))
        return "the boot loader gives no memory map";
    g->free_pass = true;
    read_mmap1(g, mb);
    g->free_pass = false;
    read_mmap1(g, mb);
    if (mb->flags & MB1_CMDLINE)
        read_cmdline(g->boot, boot_map(mb->cmdline, STRING_MAX), STRING_MAX);
    uint32_t count = mb->flags & MB1_MODULES ? mb->mods_count : 0;
    const struct mb1_module *m = boot_map(mb->mods_addr, (uint64_t)count * sizeof(*m));
    for (uint32_t i = 0; m && i < count; i++)
        add_module(g, m[i].start, m[i].end, m[i].string, STRING_MAX);
    return NULL;
}

static void read_tag(struct gathered *g, const struct mb2_tag *tag, uint32_t address)
{
    const uint32_t *word = (const uint32_t *)tag;
    if (tag->type == TAG_MMAP && tag->size >= 16 && word[2] >= 24) {
        for (uint32_t at = 16; at + 24 <= tag->size; at += word[2]) {
            const uint32_t *m = boot_map((uint64_t)address + at, 24);
            if (!m)
                return;
            add_region(g, (uint64_t)m[1] << 32 | m[0], (uint64_t)m[3] << 32 | m[2], m[4]);
        }
    } else if (g->free_pass) {
        return;
    } else if (tag->type == TAG_MODULE && tag->size > 16) {
        add_module(g, word[2], word[3], address + 16, tag->size - 16);
    } else if (tag->type == TAG_CMDLINE) {
        read_cmdline(g->boot, (const char *)(tag + 1), tag->size - 8);
    } else if (tag->type == TAG_RSDP2 || (tag->type == TAG_RSDP1 && !g->boot->acpi_rsdp)) {
        g->boot->acpi_rsdp = address + 8;
    }
}

static const char *read_mb2(struct gathered *g, uint32_t address)
{
    const uint32_t *total = boot_map(address, 8);
    if (!total)
        return "the boot loader's structure is out of reach";
    for (int pass = 0; pass < 2; pass++) {
        g->free_pass = !pass;
        for (uint32_t at = 8; at + 8 <= *total;) {
            const struct mb2_tag *tag = boot_map((uint64_t)address + at, 8);
            if (!tag || tag->type == TAG_END || tag->size < 8 || tag->size > *total - at)
                break;
            read_tag(g, tag, address + at);
            at += (tag->size + 7) & ~7u;
        }
    }
    /* The structure holds strings and maybe a copy of the RSDP. */
    memory_map_carve(&g->boot->info, address, *total, ABI_MEMORY_RESERVED);
    return NULL;
}

/* Modules become ranges, and their strings move to one page that can be mapped. */
static const char *list_modules(struct gathered *g)
{
    struct abi_info *info = &g->boot->info;
    for (unsigned i = 0; i < g->module_count; i++) {
        struct module *m = &g->module[i];
        if (!memory_map_carve(info, m->base, m->end - m->base, ABI_MEMORY_MODULE))
            return "too many memory ranges";
        memory_map_carve(info, m->string, m->string_size, ABI_MEMORY_RESERVED);
    }
    uint64_t page = boot_take(g->boot, BOOT_MODULE_MAX * 128, 4096, ABI_MEMORY_STRINGS);
    if (!page)
        return "no room for module strings";
    char *to = boot_map(page, 4096);
    for (unsigned i = 0, at = 0; i < info->range_count; i++) {
        struct abi_memory_range *r = &info->range[i];
        if (r->type != ABI_MEMORY_MODULE)
            continue;
        const struct module *m = g->module;
        while (m->base != r->base)
            m++;
        r->aux = page + at;
        r->string_size = m->string_size < 4095 - at ? m->string_size : 4095 - at;
        memcpy(to + at, boot_map(m->string, m->string_size), r->string_size);
        at += r->string_size + (at + r->string_size < 4095);
    }
    g->boot->module_base = g->module[0].base;
    g->boot->module_size = g->module[0].end - g->module[0].base;
    return NULL;
}

const char *multiboot_read(struct boot_info *boot, uint32_t magic, uint32_t address)
{
    extern char image_start[], image_end[];
    static struct gathered g;
    g.boot = boot;
    const char *error = "not started by a Multiboot loader";
    if (magic == MAGIC1)
        error = read_mb1(&g, address);
    else if (magic == MAGIC2)
        error = read_mb2(&g, address);
    if (error)
        return error;
    if (!g.module_count)
        return "no boot module: the root program is missing";
    /* The BIOS's data; then the image. */
    memory_map_carve(&boot->info, 0, 4096, ABI_MEMORY_RESERVED);
    memory_map_carve(&boot->info, (uint64_t)image_start - KERNEL_BASE, (uint64_t)(image_end - image_start), ABI_MEMORY_KERNEL);
    return list_modules(&g);
}
