/* SPDX-License-Identifier: MIT */
/* PVH direct boot. */
#include "vmm/boot/pvh.h"

#include "lib/align.h"
#include "lib/string.h"
#include "vmm/boot/elfload.h"
#include "vmm/boot/multiboot.h"

#define NOTE_OWNER         "Xen"
#define NOTE_PHYS32_ENTRY  18u
#define START_MAGIC        0x336ec578u
#define START_VERSION      1u

struct pvh_start_info {
    uint32_t magic, version;
    uint32_t flags;
    uint32_t nr_modules;
    uint64_t modlist_paddr;
    uint64_t cmdline_paddr;
    uint64_t rsdp_paddr;
    uint64_t memmap_paddr;
    uint32_t memmap_entries;
    uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h, version 1");

struct pvh_module {
    uint64_t paddr, size, cmdline_paddr, reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32, "start_info.h");

struct pvh_map {
    uint64_t addr, size;
    uint32_t type, reserved;
};
_Static_assert(sizeof(struct pvh_map) == 24, "start_info.h");

static bool find_entry(const struct elf *elf, uint32_t *entry)
{
    for (unsigned i = 0; i < elf->count; i++) {
        struct elf_segment s;
        struct elf_note note;

        if (elf_segment(elf, i, &s) != ELF_OK || s.type != ELF_SEGMENT_NOTE)
            continue;
        if (elf_find_note(elf, &s, NOTE_OWNER, NOTE_PHYS32_ENTRY, &note) != ELF_OK ||
            note.data_size < 4)
            continue;
        memcpy(entry, note.data, 4); // a 64-bit note holds a 32-bit value too
        return true;
    }
    return false;
}

bool pvh_detect(const uint8_t *image, size_t size)
{
    struct elf elf;
    uint32_t entry = 0;

    return elf_open(&elf, image, size) == ELF_OK && find_entry(&elf, &entry);
}

static enum vmm_status put(struct boot *boot, const void *data, size_t size, uint64_t *at)
{
    if (!boot_put(boot, data, size, 8, 0, boot->memory->low_end, at))
        return boot_fail(boot, VMM_NO_MEMORY, "PVH: no room for %lu bytes of start information",
                         size);
    return VMM_OK;
}

static enum vmm_status put_text(struct boot *boot, const char *text, uint64_t *at)
{
    return put(boot, boot_text(text), strlen(boot_text(text)) + 1, at);
}

static enum vmm_status put_modules(struct boot *boot, struct pvh_start_info *info)
{
    struct pvh_module list[PLACE_RANGES / 4];
    size_t count = boot->request->module_count;

    if (count > ARRAY_SIZE(list))
        return boot_fail(boot, VMM_BAD_CONFIG, "at most %lu modules expected, %lu were given",
                         ARRAY_SIZE(list), count);
    for (size_t i = 0; i < count; i++) {
        const struct boot_module *m = &boot->request->modules[i];
        enum vmm_status status;

        list[i] = (struct pvh_module){ .size = m->size };
        status = multiboot_put_module(boot, m, &list[i].paddr);
        if (status == VMM_OK)
            status = put_text(boot, m->command_line, &list[i].cmdline_paddr);
        if (status != VMM_OK)
            return status;
    }
    info->nr_modules = (uint32_t)count;
    return count != 0 ? put(boot, list, count * sizeof(list[0]), &info->modlist_paddr) : VMM_OK;
}

static enum vmm_status put_info(struct boot *boot, uint64_t *at)
{
    struct pvh_start_info info = { .magic = START_MAGIC, .version = START_VERSION };
    struct pvh_map map[BOOT_MAP];
    enum vmm_status status;

    info.rsdp_paddr = boot->request->rsdp;
    info.memmap_entries = (uint32_t)boot->map_count;
    for (size_t i = 0; i < boot->map_count; i++)
        map[i] = (struct pvh_map){ boot->map[i].base, boot->map[i].size, boot->map[i].type, 0 };
    status = put(boot, map, boot->map_count * sizeof(map[0]), &info.memmap_paddr);
    if (status == VMM_OK)
        status = put_modules(boot, &info);
    if (status == VMM_OK)
        status = put_text(boot, boot->request->command_line, &info.cmdline_paddr);
    return status == VMM_OK ? put(boot, &info, sizeof(info), at) : status;
}

enum vmm_status pvh_load(struct boot *boot)
{
    struct elfload_result loaded;
    struct elf elf;
    uint32_t entry = 0;
    enum vmm_status status = elfload_open(boot, "PVH", &elf);

    if (status == VMM_OK && !find_entry(&elf, &entry))
        status = boot_fail(boot, VMM_BAD_IMAGE, "PVH: no note 18 of owner Xen with an entry");
    if (status == VMM_OK)
        status = elfload(boot, &elf, NULL, &loaded);
    if (status == VMM_OK)
        status = put_info(boot, &boot->entry.rbx);
    if (status != VMM_OK)
        return status;
    boot->entry.mode = ENTRY_PROTECTED;
    boot->entry.rip = entry;
    return VMM_OK;
}
