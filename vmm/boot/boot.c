/* SPDX-License-Identifier: MIT */
/* Which format an image has, and what the formats' loaders share. */
#include "vmm/boot/boot.h"

#include "lib/align.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vmm/boot/bzimage.h"
#include "vmm/boot/multiboot.h"
#include "vmm/boot/multiboot2.h"
#include "vmm/boot/pvh.h"

static const struct format {
    bool (*detect)(const uint8_t *image, size_t size);
    enum vmm_status (*load)(struct boot *boot);
} formats[] = {
    { bzimage_detect, bzimage_load },
    { multiboot2_detect, multiboot2_load },
    { multiboot_detect, multiboot_load },
    { pvh_detect, pvh_load },
};

enum vmm_status boot_fail(struct boot *boot, enum vmm_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_string_va(boot->why, sizeof(boot->why), format, arguments);
    va_end(arguments);
    return status;
}

bool boot_put(struct boot *boot, const void *data, size_t size, uint64_t align, uint64_t min,
              uint64_t max, uint64_t *at)
{
    return place_lowest(&boot->place, size, align, min, max, at) &&
           memory_write(boot->memory, *at, data, size);
}

const char *boot_text(const char *text)
{
    return text != NULL ? text : "";
}

static enum vmm_status nothing_fits(struct boot *boot)
{
    const uint8_t *f = boot->request->image;
    size_t size = boot->request->size;

    if (size < 4)
        return boot_fail(boot, VMM_BAD_IMAGE, "a kernel image expected, %lu bytes came", size);
    if (memcmp(f, "\x7f" "ELF", 4) == 0)
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "this ELF image has neither a Multiboot header nor a PVH note: nothing "
                         "says how to start it");
    return boot_fail(
        boot, VMM_BAD_IMAGE,
        "bzImage, Multiboot or PVH kernel expected; the file begins with %02x %02x %02x %02x", f[0],
        f[1], f[2], f[3]);
}

enum vmm_status boot_load(struct boot *boot, struct memory *memory,
                          const struct boot_request *request)
{
    enum vmm_status status;

    *boot = (struct boot){ .memory = memory, .request = request };
    place_init(&boot->place, memory);
    boot->map_count = memory_e820(memory, PLACE_EBDA, 0, boot->map, BOOT_MAP);
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (!formats[i].detect(request->image, request->size))
            continue;
        status = formats[i].load(boot);
        if (status == VMM_OK && !entry_tables(&boot->entry, memory, &boot->place))
            status = boot_fail(boot, VMM_NO_MEMORY,
                               "no room for descriptor and page tables in low RAM");
        return status;
    }
    return nothing_fits(boot);
}
