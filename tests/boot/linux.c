/* SPDX-License-Identifier: MIT */
/*
 * Debian's own kernel through the loader, on machines of several sizes, whole, cut off and with a
 * mutated header. The file is $GRAFT_TEST_KERNEL or what the guest builder has fetched; without one
 * the test is skipped.
 */
#include "tests/boot/support.h"
#include "tests/unit/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB    (1ull << 20)
#define ROUNDS 400u

static struct boot boot;
static struct memory memory;
static uint8_t *kernel;
static size_t size;

static bool read_kernel(void)
{
    const char *path = getenv("GRAFT_TEST_KERNEL");
    FILE *file = fopen(path != NULL ? path : "build/guest/bzImage", "rb");
    long length;

    if (file == NULL)
        return false;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) > 0) {
        rewind(file);
        kernel = malloc((size_t)length);
        size = kernel != NULL ? fread(kernel, 1, (size_t)length, file) : 0;
    }
    fclose(file);
    return size != 0;
}

static enum vmm_status load(const uint8_t *image, size_t bytes, size_t initrd)
{
    const struct boot_module module = { .data = kernel, .size = initrd }; // any bytes will do
    const struct boot_request request = {
        .image = image,
        .size = bytes,
        .command_line = "console=ttyS0",
        .modules = &module,
        .module_count = 1,
    };

    return boot_load(&boot, &memory, &request);
}

static bool apart(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a + a_size <= b || b + b_size <= a;
}

static void machine(uint64_t mib, size_t initrd)
{
    uint64_t at, zero, disk, init_size = get32(kernel + 0x260);
    uint64_t ram = 0;
    uint8_t first[16];

    support_memory(&memory, mib * MIB, 0);
    ok(load(kernel, size, initrd) == VMM_OK, "%lu MiB: loads", mib);
    at = boot.entry.rip - 0x200;
    zero = boot.entry.rsi;
    disk = guest32(&memory, zero + 0x218);
    is_u64(at, get64(kernel + 0x258), "at its preferred address");
    ok(memory_read(&memory, boot.entry.rip, first, sizeof(first)) &&
           memcmp(first, kernel + (kernel[0x1f1] + 1u) * 512 + 0x200, sizeof(first)) == 0,
       "its 64-bit entry is where the first vCPU starts");
    ok(apart(at, init_size, disk, initrd) && disk + initrd <= memory.low_end,
       "the initial RAM disk is out of its way");
    for (size_t i = 0; i < boot.map_count; i++)
        ram += boot.map[i].type == E820_RAM ? boot.map[i].size : 0;
    is_u64(memory.size - ram, MEMORY_EXTENDED - PLACE_EBDA, "E820: all RAM but the BIOS's");
    support_memory_free(&memory);
}

static void damaged(void)
{
    uint8_t header[1024];
    uint64_t seed = 88172645463325252;
    unsigned right = 0, loaded = 0;

    memcpy(header, kernel, sizeof(header));
    support_memory(&memory, 256 * MIB, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        enum vmm_status status;
        size_t bytes = size;

        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        memcpy(kernel, header, sizeof(header));
        kernel[0x1f1 + seed % 0x80] = (uint8_t)(seed >> 32);
        if (i % 4 == 0)
            bytes = (seed >> 20) % size;
        status = load(kernel, bytes, 1000);
        loaded += status == VMM_OK;
        right += status == VMM_OK ? boot.entry.rip < memory.low_end : boot.why[0] != '\0';
    }
    memcpy(kernel, header, sizeof(header));
    support_memory_free(&memory);
    ok(right == ROUNDS, "%u damaged copies load or are refused with a reason", ROUNDS);
    ok(loaded > 0 && loaded < ROUNDS, "%u of them loaded", loaded);
}

int main(void)
{
    if (!read_kernel()) {
        ok(true, "Debian's kernel # SKIP no build/guest/bzImage: make the guest first");
        return tap_done();
    }
    machine(96, 4 * MIB);
    machine(256, 8 * MIB);
    machine(3072, 8 * MIB);
    machine(5120, 8 * MIB);
    damaged();
    free(kernel);
    return tap_done();
}
