/* SPDX-License-Identifier: MIT */
/* Multiboot 1. */
#include "vmm/boot/multiboot.h"

#include "lib/align.h"
#include "lib/string.h"
#include "vmm/boot/elfload.h"

#define HEADER_MAGIC  0x1badb002u
#define HEADER_SEARCH 8192u
#define LOADER_MAGIC  0x2badb002u

#define FLAG_REQUIRED  0x0000ffffu // an unknown one of these must be refused
#define FLAG_KNOWN     0x00000007u // page alignment, memory information, video mode
#define FLAG_ADDRESSES 0x00010000u

#define INFO_MEMORY  0x001u
#define INFO_COMMAND 0x004u
#define INFO_MODULES 0x008u
#define INFO_MAP     0x040u
#define INFO_LOADER  0x200u

struct mb_header {
    uint32_t magic, flags, checksum;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};
_Static_assert(sizeof(struct mb_header) == 32, "section 3.1.1 without the graphics fields");

struct mb_info {
    uint32_t flags;
    uint32_t mem_lower, mem_upper;
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
    uint32_t drives_length, drives_addr;
    uint32_t config_table;
    uint32_t boot_loader_name;
    uint32_t apm_table;
    uint32_t vbe[4];
    uint32_t framebuffer[7];
};
_Static_assert(sizeof(struct mb_info) == 116, "section 3.3");
_Static_assert(offsetof(struct mb_info, boot_loader_name) == 64, "section 3.3");

struct mb_module {
    uint32_t start, end, string, reserved;
};
_Static_assert(sizeof(struct mb_module) == 16, "section 3.3");

struct mb_map {
    uint32_t size; // of what follows
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct mb_map) == 24, "section 3.3");

static bool find_header(const uint8_t *image, size_t size, struct mb_header *header, size_t *offset)
{
    size_t end = MIN(size, (size_t)HEADER_SEARCH);

    for (size_t at = 0; at + 12 <= end; at += 4) {
        *header = (struct mb_header){ 0 };
        memcpy(header, image + at, 12);
        if (header->magic != HEADER_MAGIC || header->magic + header->flags + header->checksum != 0)
            continue;
        if ((header->flags & FLAG_ADDRESSES) && at + sizeof(*header) <= size)
            memcpy(header, image + at, sizeof(*header));
        *offset = at;
        return true;
    }
    return false;
}

bool multiboot_detect(const uint8_t *image, size_t size)
{
    struct mb_header header;
    size_t offset;

    return find_header(image, size, &header, &offset);
}

enum vmm_status multiboot_measure_flat(struct boot *boot, const struct multiboot_flat *flat,
                                       uint64_t *size)
{
    uint64_t before = flat->header_address - flat->load, first, bytes, end;

    if (flat->header_address < flat->load || before > flat->header_offset)
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "Multiboot: load address 0x%lx does not fit a header at 0x%lx, offset %lu",
                         flat->load, flat->header_address, flat->header_offset);
    first = flat->header_offset - before;
    bytes = boot->request->size - first;
    if (flat->load_end != 0 && (flat->load_end < flat->load || flat->load_end - flat->load > bytes))
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "Multiboot: load end 0x%lx expected within %lu bytes from 0x%lx",
                         flat->load_end, (unsigned long)bytes, flat->load);
    end = flat->load_end != 0 ? flat->load_end : flat->load + bytes;
    if (flat->bss_end != 0 && flat->bss_end < end)
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "Multiboot: end of bss 0x%lx lies before the end of data 0x%lx",
                         flat->bss_end, end);
    *size = MAX(flat->bss_end, end) - flat->load;
    return VMM_OK;
}

enum vmm_status multiboot_load_flat(struct boot *boot, const struct multiboot_flat *flat,
                                    uint64_t delta, bool placed)
{
    uint64_t size = 0, at = flat->load + delta, first, bytes;
    enum vmm_status status = multiboot_measure_flat(boot, flat, &size);

    if (status != VMM_OK)
        return status;
    if (!placed) {
        status = place_take(&boot->place, at, size);
        if (status != VMM_OK)
            return boot_fail(boot, status, "Multiboot: 0x%lx bytes at 0x%lx are not in usable RAM",
                             size, at);
    }
    first = flat->header_offset - (flat->header_address - flat->load);
    bytes = flat->load_end != 0 ? flat->load_end - flat->load : boot->request->size - first;
    if (!memory_write(boot->memory, at, boot->request->image + first, bytes) ||
        !memory_fill(boot->memory, at + bytes, 0, size - bytes))
        return boot_fail(boot, VMM_BAD_RANGE, "Multiboot: 0x%lx is not RAM", at);
    return VMM_OK;
}

void multiboot_memory_sizes(const struct memory *memory, uint32_t *lower, uint32_t *upper)
{
    *lower = (uint32_t)(PLACE_EBDA >> 10);
    *upper = (uint32_t)((memory->low_end - MEMORY_EXTENDED) >> 10);
}

enum vmm_status multiboot_put_module(struct boot *boot, const struct boot_module *module,
                                     uint64_t *at)
{
    *at = 0;
    if (module->size != 0 && !boot_put(boot, module->data, module->size, PLACE_PAGE,
                                       MEMORY_EXTENDED, boot->memory->low_end, at))
        return boot_fail(boot, VMM_NO_MEMORY, "no room for a module of %lu bytes beside the kernel",
                         module->size);
    return VMM_OK;
}

static enum vmm_status put(struct boot *boot, const void *data, size_t size, uint32_t *at)
{
    uint64_t where;

    if (!boot_put(boot, data, size, 8, 0, boot->memory->low_end, &where))
        return boot_fail(boot, VMM_NO_MEMORY,
                         "Multiboot: no room for %lu bytes of boot information", size);
    *at = (uint32_t)where;
    return VMM_OK;
}

static enum vmm_status put_text(struct boot *boot, const char *text, uint32_t *at)
{
    return put(boot, boot_text(text), strlen(boot_text(text)) + 1, at);
}

/*
 * The name of the kernel or module comes first, as with other loaders: kernels take the first word
 * for it. Without a name it is the bare command line.
 */
static enum vmm_status put_command_line(struct boot *boot, const char *name, const char *line,
                                        uint32_t *at)
{
    size_t size = name != NULL ? strlen(name) + 1 : 0, rest = strlen(line) + 1;
    uint64_t where;

    if (!place_lowest(&boot->place, size + rest, 8, 0, boot->memory->low_end, &where))
        return boot_fail(boot, VMM_NO_MEMORY, "Multiboot: no room for the command line");
    *at = (uint32_t)where;
    if ((size == 0 || (memory_write(boot->memory, where, name, size - 1) &&
                       memory_write(boot->memory, where + size - 1, " ", 1))) &&
        memory_write(boot->memory, where + size, line, rest))
        return VMM_OK;
    return boot_fail(boot, VMM_BAD_RANGE, "Multiboot: 0x%lx is not RAM", where);
}

static enum vmm_status put_modules(struct boot *boot, struct mb_info *info)
{
    struct mb_module list[PLACE_RANGES / 4];
    size_t count = boot->request->module_count;

    if (count > ARRAY_SIZE(list))
        return boot_fail(boot, VMM_BAD_CONFIG, "at most %lu modules expected, %lu were given",
                         ARRAY_SIZE(list), count);
    for (size_t i = 0; i < count; i++) {
        const struct boot_module *m = &boot->request->modules[i];
        uint64_t at;
        enum vmm_status status = multiboot_put_module(boot, m, &at);

        list[i] = (struct mb_module){ (uint32_t)at, (uint32_t)(at + m->size), 0, 0 };
        if (status == VMM_OK)
            status = put_command_line(boot, m->name, boot_text(m->command_line), &list[i].string);
        if (status != VMM_OK)
            return status;
    }
    info->mods_count = (uint32_t)count;
    return count != 0 ? put(boot, list, count * sizeof(list[0]), &info->mods_addr) : VMM_OK;
}

static enum vmm_status put_map(struct boot *boot, struct mb_info *info)
{
    struct mb_map map[BOOT_MAP];

    for (size_t i = 0; i < boot->map_count; i++)
        map[i] = (struct mb_map){ sizeof(map[0]) - 4, boot->map[i].base, boot->map[i].size,
                                  boot->map[i].type };
    info->mmap_length = (uint32_t)(boot->map_count * sizeof(map[0]));
    return put(boot, map, info->mmap_length, &info->mmap_addr);
}

static enum vmm_status put_info(struct boot *boot, uint32_t *at)
{
    struct mb_info info = { .flags = INFO_MEMORY | INFO_COMMAND | INFO_MODULES | INFO_MAP |
                                     INFO_LOADER };
    enum vmm_status status;

    multiboot_memory_sizes(boot->memory, &info.mem_lower, &info.mem_upper);
    status = put_modules(boot, &info);
    if (status == VMM_OK)
        status = put_command_line(boot, boot->request->name, boot_text(boot->request->command_line),
                                  &info.cmdline);
    if (status == VMM_OK)
        status = put_text(boot, MULTIBOOT_LOADER_NAME, &info.boot_loader_name);
    if (status == VMM_OK)
        status = put_map(boot, &info);
    return status == VMM_OK ? put(boot, &info, sizeof(info), at) : status;
}

static enum vmm_status load_image(struct boot *boot, const struct mb_header *h, size_t offset,
                                  uint64_t *entry)
{
    const struct multiboot_flat flat = { h->header_addr, h->load_addr, h->load_end_addr,
                                         h->bss_end_addr, offset };
    struct elfload_result loaded;
    struct elf elf;
    enum vmm_status status;

    if (h->flags & FLAG_ADDRESSES) {
        *entry = h->entry_addr;
        return multiboot_load_flat(boot, &flat, 0, false);
    }
    status = elfload_open(boot, "Multiboot without address fields", &elf);
    if (status == VMM_OK)
        status = elfload(boot, &elf, NULL, &loaded);
    if (status == VMM_OK)
        *entry = loaded.entry;
    return status;
}

enum vmm_status multiboot_load(struct boot *boot)
{
    struct mb_header header;
    size_t offset;
    uint32_t info;
    enum vmm_status status;

    if (!find_header(boot->request->image, boot->request->size, &header, &offset))
        return boot_fail(boot, VMM_BAD_IMAGE, "Multiboot: no header in the first 8192 bytes");
    if (header.flags & FLAG_REQUIRED & ~FLAG_KNOWN)
        return boot_fail(boot, VMM_UNSUPPORTED,
                         "Multiboot: the header requires what flags 0x%x stand for; known are 0x%x",
                         header.flags & FLAG_REQUIRED, FLAG_KNOWN);
    status = load_image(boot, &header, offset, &boot->entry.rip);
    if (status == VMM_OK)
        status = put_info(boot, &info);
    if (status != VMM_OK)
        return status;
    boot->entry.mode = ENTRY_PROTECTED;
    boot->entry.rax = LOADER_MAGIC;
    boot->entry.rbx = info;
    return VMM_OK;
}
