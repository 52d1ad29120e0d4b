/* SPDX-License-Identifier: MIT */
/* Multiboot 2: the header's tags, then the information tags. */
#include "vmm/boot/multiboot2.h"

#include "lib/align.h"
#include "lib/string.h"
#include "vmm/boot/elfload.h"
#include "vmm/boot/multiboot.h"

#define HEADER_MAGIC  0xe85250d6u
#define HEADER_SEARCH 32768u
#define LOADER_MAGIC  0x36d76289u
#define INFO_MAX      8192u
#define TAG_OPTIONAL  1u

/* Header tags, section 3.1.3 on. */
enum {
    TAG_END         = 0,
    TAG_REQUEST     = 1,
    TAG_ADDRESS     = 2,
    TAG_ENTRY       = 3,
    TAG_CONSOLE     = 4,
    TAG_FRAMEBUFFER = 5,
    TAG_ALIGN       = 6,
    TAG_EFI_BS      = 7,
    TAG_ENTRY_EFI32 = 8,
    TAG_ENTRY_EFI64 = 9,
    TAG_RELOCATABLE = 10,
};

/* Information tags, section 3.6. */
enum {
    INFO_COMMAND  = 1,
    INFO_LOADER   = 2,
    INFO_MODULE   = 3,
    INFO_MEMORY   = 4,
    INFO_MAP      = 6,
    INFO_RSDP_OLD = 14,
    INFO_RSDP_NEW = 15,
    INFO_BASE     = 21,
    INFO_LAST     = 21,
};

struct mb2_header {
    uint32_t magic, architecture, length, checksum;
};
_Static_assert(sizeof(struct mb2_header) == 16, "section 3.1.1");

struct mb2_tag {
    uint16_t type, flags;
    uint32_t size;
};
_Static_assert(sizeof(struct mb2_tag) == 8, "section 3.1.3");

struct mb2_relocatable {
    uint32_t min, max, align, preference; // preference 2: highest
};
_Static_assert(sizeof(struct mb2_relocatable) == 16, "section 3.1.11");

/* What the header says. */
struct wishes {
    size_t header_offset;
    bool flat, entry, relocatable;
    uint32_t address[4]; // header, load, load end, bss end
    uint32_t entry_address;
    struct mb2_relocatable window;
};

static bool find_header(const uint8_t *image, size_t size, struct mb2_header *header,
                        size_t *offset)
{
    size_t end = MIN(size, (size_t)HEADER_SEARCH);

    for (size_t at = 0; at + sizeof(*header) <= end; at += 8) {
        memcpy(header, image + at, sizeof(*header));
        if (header->magic != HEADER_MAGIC ||
            header->magic + header->architecture + header->length + header->checksum != 0)
            continue;
        *offset = at;
        return true;
    }
    return false;
}

bool multiboot2_detect(const uint8_t *image, size_t size)
{
    struct mb2_header header;
    size_t offset;

    return find_header(image, size, &header, &offset);
}

static enum vmm_status read_request(struct boot *boot, const struct mb2_tag *tag,
                                    const uint8_t *body)
{
    for (size_t i = 0; i + 4 <= tag->size - sizeof(*tag); i += 4) {
        uint32_t type;

        memcpy(&type, body + i, 4);
        if (type > INFO_LAST && !(tag->flags & TAG_OPTIONAL))
            return boot_fail(boot, VMM_UNSUPPORTED,
                             "Multiboot 2: information tag %u is required, known are 1 to %u", type,
                             INFO_LAST);
    }
    return VMM_OK;
}

static bool copy_body(void *to, size_t need, const struct mb2_tag *tag, const uint8_t *body)
{
    if (tag->size < sizeof(*tag) + need)
        return false;
    memcpy(to, body, need);
    return true;
}

static enum vmm_status read_tag(struct boot *boot, const struct mb2_tag *tag, const uint8_t *body,
                                struct wishes *w)
{
    bool fits = true;

    switch (tag->type) {
    case TAG_REQUEST:
        return read_request(boot, tag, body);
    case TAG_ADDRESS:
        fits = w->flat = copy_body(w->address, sizeof(w->address), tag, body);
        break;
    case TAG_ENTRY:
        fits = w->entry = copy_body(&w->entry_address, sizeof(w->entry_address), tag, body);
        break;
    case TAG_RELOCATABLE:
        fits = w->relocatable = copy_body(&w->window, sizeof(w->window), tag, body);
        break;
    case TAG_CONSOLE:
    case TAG_FRAMEBUFFER:
    case TAG_ALIGN:
    case TAG_ENTRY_EFI32:
    case TAG_ENTRY_EFI64:
        break;
    case TAG_EFI_BS:
        if (!(tag->flags & TAG_OPTIONAL))
            return boot_fail(
                boot, VMM_UNSUPPORTED,
                "Multiboot 2: the kernel requires EFI boot services; there is no EFI here");
        break;
    default:
        if (!(tag->flags & TAG_OPTIONAL))
            return boot_fail(boot, VMM_UNSUPPORTED,
                             "Multiboot 2: header tag %u is required and not known", tag->type);
        break;
    }
    if (!fits)
        return boot_fail(boot, VMM_BAD_IMAGE, "Multiboot 2: header tag %u of %u bytes is too short",
                         tag->type, tag->size);
    return VMM_OK;
}

static enum vmm_status read_header(struct boot *boot, struct wishes *w)
{
    const uint8_t *image = boot->request->image;
    struct mb2_header header;
    size_t at, end;

    if (!find_header(image, boot->request->size, &header, &w->header_offset))
        return boot_fail(boot, VMM_BAD_IMAGE, "Multiboot 2: no header in the first 32768 bytes");
    if (header.architecture != 0)
        return boot_fail(boot, VMM_UNSUPPORTED,
                         "Multiboot 2: architecture 0 (i386) expected, %u came",
                         header.architecture);
    if (!range_fits(w->header_offset, header.length, boot->request->size))
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "Multiboot 2: a header of %u bytes does not fit the file", header.length);
    end = w->header_offset + header.length;
    for (at = w->header_offset + sizeof(header); at <= end && end - at >= sizeof(struct mb2_tag);) {
        struct mb2_tag tag;
        enum vmm_status status;

        memcpy(&tag, image + at, sizeof(tag));
        if (tag.type == TAG_END)
            return VMM_OK;
        if (tag.size < sizeof(tag) || tag.size > end - at)
            return boot_fail(boot, VMM_BAD_IMAGE,
                             "Multiboot 2: header tag %u has a size of %u, %lu bytes are left",
                             tag.type, tag.size, end - at);
        status = read_tag(boot, &tag, image + at + sizeof(tag), w);
        if (status != VMM_OK)
            return status;
        at += ALIGN_UP((size_t)tag.size, 8ul);
    }
    return boot_fail(boot, VMM_BAD_IMAGE, "Multiboot 2: the header's tags do not end");
}

static enum vmm_status window_of(struct boot *boot, const struct wishes *w,
                                 struct elfload_window *window)
{
    uint32_t align = w->window.align != 0 ? w->window.align : 1;

    if (!is_power_of_two(align))
        return boot_fail(boot, VMM_BAD_IMAGE, "Multiboot 2: alignment 0x%x is not a power of two",
                         align);
    *window = (struct elfload_window){ w->window.min, (uint64_t)w->window.max + 1, align,
                                       w->window.preference == 2 };
    return VMM_OK;
}

static enum vmm_status load_flat(struct boot *boot, const struct wishes *w,
                                 const struct elfload_window *window, struct elfload_result *result)
{
    const struct multiboot_flat flat = { w->address[0], w->address[1], w->address[2], w->address[3],
                                         w->header_offset };
    uint64_t size;
    bool found;

    result->base = flat.load;
    if (window != NULL) {
        enum vmm_status status = multiboot_measure_flat(boot, &flat, &size);

        if (status != VMM_OK)
            return status;
        found = window->highest ? place_highest(&boot->place, size, window->align, window->min,
                                                window->max, &result->base)
                                : place_lowest(&boot->place, size, window->align, window->min,
                                               window->max, &result->base);
        if (!found)
            return boot_fail(boot, VMM_NO_MEMORY,
                             "Multiboot 2: no free RAM from 0x%lx to 0x%lx for the kernel",
                             window->min, window->max);
    }
    return multiboot_load_flat(boot, &flat, result->base - flat.load, window != NULL);
}

static enum vmm_status load_image(struct boot *boot, const struct wishes *w,
                                  struct elfload_result *result)
{
    struct elfload_window window;
    const struct elfload_window *where = w->relocatable ? &window : NULL;
    uint64_t asked; // the base that the image was linked for
    struct elf elf;
    enum vmm_status status = w->relocatable ? window_of(boot, w, &window) : VMM_OK;

    if (status != VMM_OK)
        return status;
    if (w->flat) {
        if (!w->entry)
            return boot_fail(boot, VMM_BAD_IMAGE,
                             "Multiboot 2: an address tag needs an entry tag beside it");
        status = load_flat(boot, w, where, result);
        asked = w->address[1];
    } else {
        status = elfload_open(boot, "Multiboot 2 without an address tag", &elf);
        if (status == VMM_OK)
            status = elfload(boot, &elf, where, result);
        asked = result->base;
        if (status == VMM_OK && w->entry && where != NULL)
            return boot_fail(boot, VMM_UNSUPPORTED,
                             "Multiboot 2: an ELF image with both an entry tag and relocation");
    }
    if (status == VMM_OK && w->entry)
        result->entry = w->entry_address + (result->base - asked);
    return status;
}

/* The information structure under construction. */
struct info {
    uint8_t  bytes[INFO_MAX];
    uint32_t length;
    bool     full;
};

static void *add_tag(struct info *info, uint32_t type, size_t body)
{
    uint32_t head[2] = { type, (uint32_t)(8 + body) };
    size_t total = ALIGN_UP(8 + body, 8ul);
    uint8_t *at = info->bytes + info->length;

    if (info->full || body > INFO_MAX || total > INFO_MAX - info->length) {
        info->full = true;
        return NULL;
    }
    memset(at, 0, total);
    memcpy(at, head, sizeof(head));
    info->length += (uint32_t)total;
    return at + sizeof(head);
}

/* Words, then text with its end or nothing. */
static void add(struct info *info, uint32_t type, const void *words, size_t size, const char *text)
{
    size_t length = text != NULL ? strlen(text) + 1 : 0;
    uint8_t *body = add_tag(info, type, size + length);

    if (body == NULL)
        return;
    if (size != 0)
        memcpy(body, words, size);
    if (length != 0)
        memcpy(body + size, text, length);
}

static enum vmm_status add_modules(struct boot *boot, struct info *info)
{
    for (size_t i = 0; i < boot->request->module_count; i++) {
        const struct boot_module *m = &boot->request->modules[i];
        uint64_t at;
        uint32_t words[2];
        enum vmm_status status = multiboot_put_module(boot, m, &at);

        if (status != VMM_OK)
            return status;
        words[0] = (uint32_t)at;
        words[1] = (uint32_t)(at + m->size);
        add(info, INFO_MODULE, words, sizeof(words), boot_text(m->command_line));
    }
    return VMM_OK;
}

static void add_memory(const struct boot *boot, struct info *info)
{
    uint32_t sizes[2];
    uint32_t head[2] = { 24, 0 }; // entry size and version
    uint8_t *body;

    multiboot_memory_sizes(boot->memory, &sizes[0], &sizes[1]);
    add(info, INFO_MEMORY, sizes, sizeof(sizes), NULL);
    body = add_tag(info, INFO_MAP, sizeof(head) + boot->map_count * 24);
    if (body == NULL)
        return;
    memcpy(body, head, sizeof(head));
    for (size_t i = 0; i < boot->map_count; i++) {
        const struct memory_e820_entry *e = &boot->map[i];
        uint64_t entry[3] = { e->base, e->size, e->type };

        memcpy(body + sizeof(head) + i * sizeof(entry), entry, sizeof(entry));
    }
}

static void add_rsdp(const struct boot *boot, struct info *info)
{
    uint8_t rsdp[36];

    if (boot->request->rsdp == 0 ||
        !memory_read(boot->memory, boot->request->rsdp, rsdp, sizeof(rsdp)))
        return;
    add(info, INFO_RSDP_OLD, rsdp, 20, NULL);
    add(info, INFO_RSDP_NEW, rsdp, sizeof(rsdp), NULL);
}

static enum vmm_status put_info(struct boot *boot, const struct elfload_result *loaded,
                                bool relocated, uint64_t *at)
{
    struct info info = { .length = 8 };
    uint32_t base = (uint32_t)loaded->base;
    enum vmm_status status;

    add(&info, INFO_COMMAND, NULL, 0, boot_text(boot->request->command_line));
    add(&info, INFO_LOADER, NULL, 0, MULTIBOOT_LOADER_NAME);
    status = add_modules(boot, &info);
    if (status != VMM_OK)
        return status;
    add_memory(boot, &info);
    add_rsdp(boot, &info);
    if (relocated)
        add(&info, INFO_BASE, &base, sizeof(base), NULL);
    (void)add_tag(&info, 0, 0);
    memcpy(info.bytes, &info.length, 4);
    if (info.full)
        return boot_fail(boot, VMM_BAD_CONFIG,
                         "Multiboot 2: command lines do not fit %u bytes of boot information",
                         INFO_MAX);
    if (!boot_put(boot, info.bytes, info.length, 8, 0, boot->memory->low_end, at))
        return boot_fail(boot, VMM_NO_MEMORY,
                         "Multiboot 2: no room for %u bytes of boot information", info.length);
    return VMM_OK;
}

enum vmm_status multiboot2_load(struct boot *boot)
{
    struct wishes w = { 0 };
    struct elfload_result loaded = { 0 };
    enum vmm_status status = read_header(boot, &w);

    if (status == VMM_OK)
        status = load_image(boot, &w, &loaded);
    if (status == VMM_OK)
        status = put_info(boot, &loaded, w.relocatable, &boot->entry.rbx);
    if (status != VMM_OK)
        return status;
    boot->entry.mode = ENTRY_PROTECTED;
    boot->entry.rip = loaded.entry & 0xffffffff;
    boot->entry.rax = LOADER_MAGIC;
    return VMM_OK;
}
