/* SPDX-License-Identifier: MIT */
/* Each kernel format: what is loaded where, what the kernel is told, and how wrong images are
 * refused. */
#include "tests/boot/support.h"
#include "tests/unit/tap.h"
#include "vmm/acpi/firmware.h"

#include <string.h>

#define MIB (1ull << 20)

static struct boot boot;
static struct memory memory;
static struct image image;
static const uint8_t initrd[5000] = { 0x1f, 0x8b };
static const struct boot_module module = { initrd, sizeof(initrd), "archive", "first" };

static enum vmm_status load(const char *command_line, size_t modules)
{
    const struct boot_request request = {
        .image = image.bytes,
        .size = image.size,
        .name = "kernel",
        .command_line = command_line,
        .modules = &module,
        .module_count = modules,
        .rsdp = FIRMWARE_UPPER,
    };
    enum vmm_status status = boot_load(&boot, &memory, &request);

    if (status != VMM_OK)
        tap_note("refused: %s", boot.why);
    return status;
}

static bool guest_is(uint64_t gpa, const char *text)
{
    char got[64] = { 0 };

    return strlen(text) < sizeof(got) && memory_read(&memory, gpa, got, strlen(text) + 1) &&
           strcmp(got, text) == 0;
}

static void linux_64(void)
{
    uint64_t zero;
    uint32_t end = 0;
    struct cpu_state state = { .valid = 0 };

    image_bzimage(&image, 0x20f, true);
    is_u64(load("console=ttyS0", 1), VMM_OK, "bzImage 2.15 loads");
    is_u64(boot.entry.mode, ENTRY_LONG, "at the 64-bit entry");
    is_u64(boot.entry.rip, 0x1000200, "512 bytes into the kernel at its preferred address");
    is_u64(guest32(&memory, 0x1000000), 0xc3c3c3c3, "where its code is");
    zero = boot.entry.rsi;
    is_u64(guest32(&memory, zero + 0x202), 0x53726448, "the zero page has the header");
    is_u64(guest32(&memory, zero + 0x210) & 0xff, 0xff, "and the loader's type");
    ok(guest_is(guest32(&memory, zero + 0x228), "console=ttyS0"), "command line");
    is_u64(guest32(&memory, zero + 0x21c), sizeof(initrd), "size of the initial RAM disk");
    is_u64(guest32(&memory, guest32(&memory, zero + 0x218)) & 0xffff, 0x8b1f, "and its contents");
    is_u64(guest64(&memory, zero + 0x70), FIRMWARE_UPPER, "ACPI root pointer");
    for (unsigned i = 0; i < (guest32(&memory, zero + 0x1e8) & 0xff); i++)
        if (guest32(&memory, zero + 0x2d0 + 20 * i + 16) == E820_RAM)
            end = (uint32_t)(guest64(&memory, zero + 0x2d0 + 20 * i) +
                             guest64(&memory, zero + 0x2d0 + 20 * i + 8));
    is_u64(end, 64 * MIB, "the last RAM of the E820 map ends where RAM does");
    entry_apply(&boot.entry, &state);
    is_u64(state.cs.attr, 0xa9b, "CS is a 64-bit code segment");
    is_u64(state.efer, 0x500, "long mode is active");
    is_u64(state.cr3, boot.entry.cr3, "over the loader's page tables");
    is_u64(guest64(&memory, guest64(&memory, guest64(&memory, state.cr3) & ~0xfffull) & ~0xfffull),
           0x83, "which map 0 to 0");
    is_u64(guest64(&memory, state.gdtr.base + 0x10), 0x00af9b000000ffff, "GDT: code 0x10");
    is_u64(guest64(&memory, state.gdtr.base + 0x18), 0x00cf93000000ffff, "GDT: data 0x18");
    is_u64(state.idtr.base | state.idtr.limit, 0x3ff, "IDTR: real mode's vectors");
}

static void linux_variants(void)
{
    image_bzimage(&image, 0x20b, true);
    is_u64(load(NULL, 0), VMM_OK, "bzImage 2.11 loads");
    is_u64(boot.entry.mode, ENTRY_PROTECTED, "at the 32-bit entry");
    is_u64(boot.entry.rip, 0x1000000, "which is its first byte");
    image_bzimage(&image, 0x203, false);
    is_u64(load(NULL, 1), VMM_OK, "bzImage 2.03 loads");
    is_u64(boot.entry.rip, 0x100000, "at 1 MiB");
    image_bzimage(&image, 0x20f, true);
    put64(image.bytes + 0x258, 0x3000000);
    put32(image.bytes + 0x260, 0x1000001);
    is_u64(load(NULL, 0), VMM_NO_MEMORY, "a kernel larger than RAM is refused");
    image_bzimage(&image, 0x20f, true);
    put64(image.bytes + 0x258, 0x1100000 - 0x1000);
    is_u64(load(NULL, 0), VMM_OK, "an odd preferred address is taken as it is");
    image_bzimage(&image, 0x20f, true);
    image.size = 3000;
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "a truncated kernel is refused");
    image_bzimage(&image, 0x201, true);
    is_u64(load(NULL, 0), VMM_UNSUPPORTED, "protocol 2.01 is refused");
    image_bzimage(&image, 0x20f, true);
    image.bytes[0x211] = 0;
    is_u64(load(NULL, 0), VMM_UNSUPPORTED, "a zImage is refused");
    image_bzimage(&image, 0x20f, true);
    put32(image.bytes + 0x230, 0x300000);
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "an alignment of 3 MiB is refused");
    image_bzimage(&image, 0x20f, true);
    put32(image.bytes + 0x238, 4);
    is_u64(load("12345", 0), VMM_BAD_CONFIG, "a command line too long is refused");
    image_bzimage(&image, 0x20f, true);
    put32(image.bytes + 0x22c, 0x1ffff);
    is_u64(load(NULL, 1), VMM_NO_MEMORY, "an initial RAM disk that may only be low is refused");
    image_bzimage(&image, 0x20f, true);
    put64(image.bytes + 0x258, 0x123456789000);
    is_u64(load(NULL, 0), VMM_UNSUPPORTED, "a preferred address beyond 4 GiB is refused");
}

static void multiboot(void)
{
    uint64_t info;

    image_multiboot_elf(&image, false);
    is_u64(load("a b", 1), VMM_OK, "Multiboot 1, ELF32, loads");
    is_u64(boot.entry.rip, 0x100010, "entry is translated to physical");
    is_u64(boot.entry.rax, 0x2badb002, "loader magic");
    is_u64(guest32(&memory, 0x1007fc), 0xc3c3c3c3, "contents");
    is_u64(guest64(&memory, 0x100800), 0, "bss is cleared");
    info = boot.entry.rbx;
    is_u64(guest32(&memory, info), 0x24d, "information flags");
    is_u64(guest32(&memory, info + 8), (64 - 1) * 1024, "kilobytes above 1 MiB");
    ok(guest_is(guest32(&memory, info + 16), "kernel a b"), "name and command line");
    is_u64(guest32(&memory, info + 20), 1, "one module");
    is_u64(guest32(&memory, guest32(&memory, guest32(&memory, info + 24))) & 0xffff, 0x8b1f,
           "with its contents");
    ok(guest_is(guest32(&memory, guest32(&memory, info + 24) + 8), "archive first"),
       "and its name and text");
    is_u64(guest32(&memory, guest32(&memory, info + 48)), 20, "map entries of 20 bytes");
    image_multiboot_elf(&image, true);
    is_u64(load(NULL, 0), VMM_OK, "Multiboot 1, ELF64, loads");
    image_multiboot_flat(&image);
    ok(memory_fill(&memory, 0x100000, 0xff, 0x4000), "RAM with something in it");
    is_u64(load(NULL, 0), VMM_OK, "Multiboot 1 with address fields loads");
    is_u64(boot.entry.rip, 0x100090, "at its entry");
    is_u64(guest32(&memory, 0x100040), 0x1badb002, "header at its address");
    is_u64(guest32(&memory, 0x102ffc), 0, "bss is cleared");
    is_u64(guest32(&memory, 0x103000), 0xffffffff, "to its end and no further");
    image_multiboot_flat(&image);
    put32(image.bytes + 0x44, 0x10023);
    put32(image.bytes + 0x48, 0 - 0x1badb002u - 0x10023u);
    is_u64(load(NULL, 0), VMM_UNSUPPORTED, "unknown required flags are refused");
    image_multiboot_flat(&image);
    put32(image.bytes + 0x40 + 20, 0x200000);
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "a load end beyond the file is refused");
    image_multiboot_flat(&image);
    put32(image.bytes + 0x40 + 24, 0x100100);
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "an end of bss before that of data is refused");
    image_multiboot_flat(&image);
    put32(image.bytes + 0x40 + 12, 0xa0040);
    put32(image.bytes + 0x40 + 16, 0xa0000);
    put32(image.bytes + 0x40 + 24, 0);
    is_u64(load(NULL, 0), VMM_BAD_RANGE, "an image in the display's memory is refused");
}

static uint64_t info_tag(uint64_t info, uint32_t type)
{
    uint64_t end = info + guest32(&memory, info);

    for (uint64_t at = info + 8; at < end; at += (guest32(&memory, at + 4) + 7) & ~7u)
        if (guest32(&memory, at) == type)
            return at;
    return 0;
}

static void multiboot2(void)
{
    uint64_t info;

    image_multiboot2(&image, MB2_ELF);
    is_u64(load("x=1", 1), VMM_OK, "Multiboot 2, ELF, loads");
    is_u64(boot.entry.rax, 0x36d76289, "loader magic");
    is_u64(boot.entry.rip, 0x100010, "entry");
    info = boot.entry.rbx;
    ok(guest_is(info_tag(info, 1) + 8, "x=1"), "command line tag");
    ok(guest_is(info_tag(info, 3) + 16, "first"), "module tag");
    is_u64(guest32(&memory, info_tag(info, 6) + 8), 24, "memory map tag");
    is_u64(guest32(&memory, info_tag(info, 4) + 8), 639, "memory sizes tag");
    is_u64(guest64(&memory, info_tag(info, 15) + 8), 0x2052545020445352, "root pointer tag");
    is_u64(info_tag(info, 21), 0, "no load base: it was not relocated");
    image_multiboot2(&image, MB2_FLAT);
    is_u64(load(NULL, 0), VMM_OK, "Multiboot 2 with an address tag loads");
    is_u64(boot.entry.rip, 0x200180, "at its entry tag");
    is_u64(guest32(&memory, 0x200100), 0xe85250d6, "header at its address");
    image_multiboot2(&image, MB2_RELOCATABLE);
    is_u64(load(NULL, 0), VMM_OK, "a relocatable image loads");
    is_u64(boot.entry.rip, 0xe00010, "at the highest aligned address of its window");
    is_u64(guest32(&memory, info_tag(boot.entry.rbx, 21) + 8), 0xe00000, "and is told where");
    image_multiboot2(&image, MB2_EFI);
    is_u64(load(NULL, 0), VMM_UNSUPPORTED, "EFI boot services are refused");
    image_multiboot2(&image, MB2_ELF);
    put32(image.bytes + 0x118, 99);
    is_u64(load(NULL, 0), VMM_UNSUPPORTED, "an unknown required information is refused");
    image_multiboot2(&image, MB2_ELF);
    put32(image.bytes + 0x114, 4);
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "a tag shorter than its head is refused");
}

static void pvh(void)
{
    uint64_t info;

    image_pvh(&image);
    is_u64(load("pvh", 1), VMM_OK, "PVH loads");
    is_u64(boot.entry.rip, 0x100020, "at the note's entry");
    info = boot.entry.rbx;
    is_u64(guest32(&memory, info), 0x336ec578, "start information");
    is_u64(guest32(&memory, info + 4), 1, "version 1");
    is_u64(guest64(&memory, guest64(&memory, info + 16) + 8), sizeof(initrd), "module");
    ok(guest_is(guest64(&memory, info + 24), "pvh"), "command line");
    is_u64(guest64(&memory, info + 32), FIRMWARE_UPPER, "root pointer");
    is_u64(guest32(&memory, info + 48), boot.map_count, "map entries");
    is_u64(guest64(&memory, guest64(&memory, info + 40) + 8), PLACE_EBDA, "of which the first");
    image_pvh(&image);
    put64(image.bytes + 64 + 24, 0xfee00000);
    is_u64(load(NULL, 0), VMM_BAD_RANGE, "a segment outside of RAM is refused");
    image_pvh(&image);
    put32(image.bytes + 0x108, 17);
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "an ELF image that nothing says how to start is refused");
    image.size = 3;
    is_u64(load(NULL, 0), VMM_BAD_IMAGE, "three bytes are refused");
}

int main(void)
{
    const struct firmware_config firmware = { .cpus = 1, .memory = 64 * MIB, .low_end = 64 * MIB };
    uint64_t rsdp;

    support_memory(&memory, 64 * MIB, 24 * MIB);
    is_u64(firmware_install(&memory, &firmware, &rsdp), VMM_OK, "firmware tables");
    is_u64(guest32(&memory, 4 * 0x15), 0xf000ff00, "INT 15h goes to the service that declines");
    is_u64(guest64(&memory, 0xfff00), 0x5d01064e80e58955, "by the carry flag");
    is_u64(guest32(&memory, (guest32(&memory, 4 * 0x12) & 0xffff) + 0xf0000), 0xcf027fb8, "INT 12h: 639 KiB");
    ok(guest32(&memory, 4 * 0x0f) == 0xf000ff30 && guest32(&memory, 4 * 0x77) == 0xf000ff40, "the PICs' interrupts");
    linux_64();
    linux_variants();
    multiboot();
    multiboot2();
    pvh();
    support_memory_free(&memory);
    return tap_done();
}
