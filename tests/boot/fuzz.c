/* SPDX-License-Identifier: MIT */
/*
 * Mutated images of every format: each load ends in success with an entry below 4 GiB or in a
 * refusal that says why, and touches nothing outside of the file and of guest RAM (the sanitizers
 * see to that).
 */
#include "tests/boot/support.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 20000u
#define MIB    (1ull << 20)

static struct memory memory;
static struct boot boot;
static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % below;
}

static void mutate(struct image *image)
{
    static const uint32_t odd[] = { 0,          1,          0x7fffffff, 0x80000000,
                                    0xffffffff, 0xfffffff8, 0xa0000,    0x1000000 };

    for (unsigned n = 1 + pick(4); n-- > 0;) {
        size_t at = pick((uint32_t)image->headers - 4);

        if (pick(2) == 0)
            image->bytes[at] = (uint8_t)pick(256);
        else
            put32(image->bytes + at / 4 * 4, odd[pick(sizeof(odd) / sizeof(odd[0]))]);
    }
    if (pick(8) == 0)
        image->size = pick((uint32_t)image->size + 1);
}

static bool one(const struct image *image, unsigned *loaded)
{
    uint8_t *copy = malloc(image->size != 0 ? image->size
                                            : 1); // exact, so that a read beyond is seen
    const struct boot_module module = { .data = image->bytes, .size = 100, .command_line = "m" };
    struct boot_request request = { .image = copy, .size = image->size, .command_line = "c" };
    enum vmm_status status;

    request.modules = &module;
    request.module_count = pick(2);
    memcpy(copy, image->bytes, image->size);
    status = boot_load(&boot, &memory, &request);
    free(copy);
    *loaded += status == VMM_OK;
    if (status == VMM_OK)
        return boot.entry.rip < MEMORY_HIGH && boot.entry.gdt < MEMORY_LEGACY;
    return boot.why[0] != '\0' && memchr(boot.why, '\0', sizeof(boot.why)) != NULL;
}

static void fuzz(const char *name, void (*make)(struct image *image))
{
    struct image image;
    unsigned loaded = 0, right = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        make(&image);
        if (i != 0)
            mutate(&image);
        right += one(&image, &loaded);
    }
    ok(right == ROUNDS, "%s: all of %u mutants load or are refused with a reason", name, ROUNDS);
    ok(loaded > 0 && loaded < ROUNDS, "%s: %u of them loaded", name, loaded);
}

static void make_linux(struct image *image)
{
    image_bzimage(image, 0x202 + pick(14), pick(2) == 0);
    put64(image->bytes + 0x258, 0x200000);
    put32(image->bytes + 0x260, 0x100000);
}

static void make_multiboot(struct image *image)
{
    image_multiboot_elf(image, pick(2) == 0);
}

static void make_multiboot2(struct image *image)
{
    image_multiboot2(image, (enum image_mb2)pick(3));
    if (get32(image->bytes + 0x100 + 32) == 10) // a window within this test's RAM
        put32(image->bytes + 0x100 + 40, 0x400000);
}

int main(void)
{
    support_memory(&memory, 16 * MIB, 4 * MIB);
    fuzz("bzImage", make_linux);
    fuzz("Multiboot 1, address fields", image_multiboot_flat);
    fuzz("Multiboot 1, ELF", make_multiboot);
    fuzz("Multiboot 2", make_multiboot2);
    fuzz("PVH", image_pvh);
    support_memory_free(&memory);
    return tap_done();
}
