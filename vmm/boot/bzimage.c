/* SPDX-License-Identifier: MIT */
/* Linux's bzImage: setup header, zero page, initial RAM disk. */
#include "vmm/boot/bzimage.h"

#include "lib/align.h"
#include "lib/string.h"

#define SECTOR        512u
#define ZERO_PAGE     4096u
#define HEADER        0x1f1u // the setup header's place in the file and in the zero page
#define HEADER_MAX    0x290u // where the header must have ended (zero-page.rst)
#define E820_MAX      128u
#define ENTRY_64      0x200u // from the start of the loaded kernel

#define LOADED_HIGH   0x01u  // loadflags
#define XLF_KERNEL_64 0x01u
#define LOADER_OTHER  0xffu

#define PROTOCOL_MIN  0x0202u
#define INITRD_MAX    0x37ffffffu // before protocol 2.03

/* Offsets in the zero page, and with the same numbers in the file. */
enum {
    Z_EXT_MEM_K    = 0x002,
    Z_RSDP         = 0x070,
    Z_EXT_RAMDISK  = 0x0c0,
    Z_ALT_MEM_K    = 0x1e0,
    Z_E820_ENTRIES = 0x1e8,
    Z_SETUP_SECTS  = 0x1f1,
    Z_SYSSIZE      = 0x1f4,
    Z_BOOT_FLAG    = 0x1fe,
    Z_JUMP         = 0x200,
    Z_MAGIC        = 0x202,
    Z_VERSION      = 0x206,
    Z_LOADER       = 0x210,
    Z_LOADFLAGS    = 0x211,
    Z_CODE32       = 0x214,
    Z_RAMDISK      = 0x218,
    Z_RAMDISK_SIZE = 0x21c,
    Z_CMDLINE      = 0x228,
    Z_INITRD_MAX   = 0x22c, // 2.03
    Z_ALIGNMENT    = 0x230, // 2.05
    Z_RELOCATABLE  = 0x234, // 2.05
    Z_XLOADFLAGS   = 0x236, // 2.12
    Z_CMDLINE_SIZE = 0x238, // 2.06
    Z_PREFERRED    = 0x258, // 2.10
    Z_INIT_SIZE    = 0x260, // 2.10
    Z_E820         = 0x2d0,
};

struct e820_wire {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_wire) == 20, "as the zero page holds it");
_Static_assert(Z_E820 + E820_MAX * sizeof(struct e820_wire) <= ZERO_PAGE, "fits the zero page");
_Static_assert(BOOT_MAP <= E820_MAX, "a map fits");

/* The header, decoded, with the defaults of older protocols. */
struct header {
    unsigned version;
    size_t   setup_size; // real mode part of the file
    size_t   kernel_size;
    uint32_t initrd_max; // highest address of the initial RAM disk's last byte
    uint32_t alignment;
    uint32_t cmdline_size;
    uint64_t preferred;
    uint64_t init_size;
    bool     relocatable;
    bool     has_64;
};

static uint64_t get(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static void put(uint8_t *p, unsigned bytes, uint64_t v)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

bool bzimage_detect(const uint8_t *image, size_t size)
{
    return size >= 2 * SECTOR && memcmp(image + Z_MAGIC, "HdrS", 4) == 0 &&
           get(image + Z_BOOT_FLAG, 2) == 0xaa55;
}

static enum vmm_status read_sizes(struct boot *boot, struct header *h)
{
    const uint8_t *f = boot->request->image;
    size_t sectors = f[Z_SETUP_SECTS] != 0 ? f[Z_SETUP_SECTS] : 4;
    uint64_t code;

    h->version = (unsigned)get(f + Z_VERSION, 2);
    if (h->version < PROTOCOL_MIN)
        return boot_fail(boot, VMM_UNSUPPORTED,
                         "bzImage: boot protocol 2.02 or later expected, the kernel has %u.%02u",
                         h->version >> 8, h->version & 0xff);
    if (!(f[Z_LOADFLAGS] & LOADED_HIGH))
        return boot_fail(boot, VMM_UNSUPPORTED,
                         "bzImage expected, this is a zImage (not loaded high)");
    h->setup_size = (sectors + 1) * SECTOR;
    if (h->setup_size >= boot->request->size)
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "bzImage: %lu bytes of setup code expected, the file has %lu in all",
                         h->setup_size, boot->request->size);
    h->kernel_size = boot->request->size - h->setup_size;
    /* Before 2.04 the upper half of the field is not to be relied on. */
    code = get(f + Z_SYSSIZE, h->version >= 0x204 ? 4 : 2) * 16;
    if (code > ALIGN_UP(h->kernel_size, 16ul))
        return boot_fail(boot, VMM_BAD_IMAGE,
                         "bzImage: truncated, %lu bytes of kernel expected, %lu there",
                         (unsigned long)code, h->kernel_size);
    return VMM_OK;
}

static enum vmm_status read_header(struct boot *boot, struct header *h)
{
    const uint8_t *f = boot->request->image;
    enum vmm_status status = read_sizes(boot, h);

    if (status != VMM_OK)
        return status;
    h->initrd_max = h->version >= 0x203 ? (uint32_t)get(f + Z_INITRD_MAX, 4) : INITRD_MAX;
    h->cmdline_size = h->version >= 0x206 ? (uint32_t)get(f + Z_CMDLINE_SIZE, 4) : 255;
    h->relocatable = h->version >= 0x205 && f[Z_RELOCATABLE] != 0;
    h->alignment = h->version >= 0x205 ? (uint32_t)get(f + Z_ALIGNMENT, 4) : 0;
    if (h->relocatable && !is_power_of_two(h->alignment))
        return boot_fail(boot, VMM_BAD_IMAGE, "bzImage: alignment 0x%x is not a power of two",
                         h->alignment);
    h->preferred = h->version >= 0x20a ? get(f + Z_PREFERRED, 8) : MEMORY_EXTENDED;
    h->init_size = h->version >= 0x20a ? get(f + Z_INIT_SIZE, 4) : 0;
    h->init_size = MAX(h->init_size, (uint64_t)h->kernel_size);
    h->has_64 = h->version >= 0x20c && (get(f + Z_XLOADFLAGS, 2) & XLF_KERNEL_64);
    return VMM_OK;
}

static enum vmm_status place_kernel(struct boot *boot, const struct header *h, uint64_t *at)
{
    *at = h->preferred;
    if (h->preferred >= MEMORY_HIGH)
        return boot_fail(boot, VMM_UNSUPPORTED,
                         "bzImage: load address below 4 GiB expected, the kernel prefers 0x%lx",
                         h->preferred);
    /*
     * A kernel loaded below its preferred address decompresses to that address all the same, so
     * look above only.
     */
    if (place_take(&boot->place, *at, h->init_size) != VMM_OK &&
        (!h->relocatable || !place_lowest(&boot->place, h->init_size, h->alignment, h->preferred,
                                          boot->memory->low_end, at)))
        return boot_fail(boot, VMM_NO_MEMORY,
                         "bzImage: needs 0x%lx bytes of RAM at 0x%lx%s, RAM ends at 0x%lx",
                         h->init_size, h->preferred, h->relocatable ? " or above" : "",
                         boot->memory->low_end);
    if (!memory_write(boot->memory, *at, boot->request->image + h->setup_size, h->kernel_size))
        return boot_fail(boot, VMM_BAD_RANGE, "bzImage: 0x%lx is not RAM", *at);
    return VMM_OK;
}

static enum vmm_status place_initrd(struct boot *boot, const struct header *h, uint8_t *zero)
{
    const struct boot_module *m = boot->request->modules;
    uint64_t end, at;

    if (boot->request->module_count > 1)
        return boot_fail(boot, VMM_UNSUPPORTED,
                         "Linux takes one initial RAM disk, %lu modules were given",
                         boot->request->module_count);
    if (boot->request->module_count == 0 || m->size == 0)
        return VMM_OK;
    end = MIN((uint64_t)h->initrd_max + 1, boot->memory->low_end);
    if (!place_highest(&boot->place, m->size, PLACE_PAGE, MEMORY_EXTENDED, end, &at) ||
        !memory_write(boot->memory, at, m->data, m->size))
        return boot_fail(
            boot, VMM_NO_MEMORY,
            "no room for an initial RAM disk of %lu bytes beside the kernel below 0x%lx", m->size,
            end);
    put(zero + Z_RAMDISK, 4, at);
    put(zero + Z_RAMDISK_SIZE, 4, m->size);
    put(zero + Z_EXT_RAMDISK, 4, at >> 32);
    return VMM_OK;
}

static enum vmm_status place_command_line(struct boot *boot, const struct header *h, uint8_t *zero)
{
    const char *text = boot_text(boot->request->command_line);
    size_t length = strlen(text);
    uint64_t at;

    if (length > h->cmdline_size)
        return boot_fail(boot, VMM_BAD_CONFIG,
                         "the kernel takes a command line of %u characters, %lu were given",
                         h->cmdline_size, length);
    if (!boot_put(boot, text, length + 1, 16, 0, MEMORY_LEGACY, &at))
        return boot_fail(boot, VMM_NO_MEMORY, "no room for the command line in low RAM");
    put(zero + Z_CMDLINE, 4, at);
    return VMM_OK;
}

static void fill_zero_page(const struct boot *boot, const struct header *h, uint64_t kernel,
                           uint8_t *zero)
{
    const uint8_t *f = boot->request->image;
    /* The header ends where its jump instruction leads: older headers are shorter. */
    size_t end = MIN(MIN(Z_MAGIC + (size_t)f[Z_JUMP + 1], h->setup_size), (size_t)HEADER_MAX);
    uint64_t extended = (boot->memory->low_end - MEMORY_EXTENDED) >> 10;

    memcpy(zero + HEADER, f + HEADER, MAX(end, (size_t)Z_INITRD_MAX) - HEADER);
    zero[Z_LOADER] = LOADER_OTHER;
    put(zero + Z_CODE32, 4, kernel);
    put(zero + Z_RAMDISK, 8, 0); // address and size; place_initrd() knows better
    /* Protocol 2.14; older kernels do not read it and search the BIOS area. */
    put(zero + Z_RSDP, 8, boot->request->rsdp);
    put(zero + Z_EXT_MEM_K, 2, MIN(extended, 0xffffull));
    put(zero + Z_ALT_MEM_K, 4, extended);
    zero[Z_E820_ENTRIES] = (uint8_t)boot->map_count;
    for (size_t i = 0; i < boot->map_count; i++) {
        const struct memory_e820_entry *e = &boot->map[i];
        struct e820_wire wire = { e->base, e->size, e->type };

        memcpy(zero + Z_E820 + i * sizeof(wire), &wire, sizeof(wire));
    }
}

enum vmm_status bzimage_load(struct boot *boot)
{
    uint8_t zero[ZERO_PAGE] = { 0 };
    struct header h = { 0 };
    uint64_t kernel, page;
    enum vmm_status status = read_header(boot, &h);

    if (status == VMM_OK)
        status = place_kernel(boot, &h, &kernel);
    if (status != VMM_OK)
        return status;
    fill_zero_page(boot, &h, kernel, zero);
    status = place_command_line(boot, &h, zero);
    if (status == VMM_OK)
        status = place_initrd(boot, &h, zero);
    if (status != VMM_OK)
        return status;
    if (!boot_put(boot, zero, sizeof(zero), PLACE_PAGE, 0, MEMORY_LEGACY, &page))
        return boot_fail(boot, VMM_NO_MEMORY, "no room for the zero page in low RAM");
    boot->entry.mode = h.has_64 ? ENTRY_LONG : ENTRY_PROTECTED;
    boot->entry.rip = kernel + (h.has_64 ? ENTRY_64 : 0);
    boot->entry.rsi = page;
    return VMM_OK;
}
