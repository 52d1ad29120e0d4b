/* SPDX-License-Identifier: MIT */
/* Guest RAM, a fake host and kernel images for tests. */
#include "tests/boot/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ELF_HEADER32 52u
#define ELF_HEADER64 64u

static struct {
    uint8_t *base;
    uint64_t size, chunk;
} ram;

size_t host_guest_chunks(struct host *host, struct host_chunk *chunks, size_t max)
{
    size_t n = 0;

    (void)host;
    for (uint64_t at = 0; at < ram.size && n < max; at += ram.chunk, n++)
        chunks[n] = (struct host_chunk){ ram.base + at,
                                         ram.size - at < ram.chunk ? ram.size - at : ram.chunk };
    return n;
}

enum vmm_status host_guest_map(struct host *host, uint64_t gpa, uint8_t *base, uint64_t size,
                               bool writable)
{
    (void)host, (void)gpa, (void)base, (void)size, (void)writable;
    return VMM_OK;
}

void support_memory(struct memory *memory, uint64_t size, uint64_t chunk)
{
    ram.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    ram.size = size;
    ram.chunk = chunk != 0 ? chunk : size;
    if (ram.base == MAP_FAILED || memory_init(memory, NULL, size) != VMM_OK) {
        printf("Bail out! no guest memory\n");
        exit(1);
    }
}

void support_memory_free(struct memory *memory)
{
    munmap(ram.base, ram.size);
    memset(memory, 0, sizeof(*memory));
}

uint64_t host_ticks(struct host *host)
{
    return host->ticks;
}

uint64_t host_ticks_khz(struct host *host)
{
    return host->khz;
}

uint64_t host_poll_ticks(struct host *host)
{
    (void)host;
    return 0;
}

uint64_t host_wall_ns(struct host *host)
{
    return host->wall_ns;
}

void host_log(struct host *host, const char *line)
{
    (void)line;
    host->lines++;
}

void host_timer_set(struct host *host, uint64_t deadline)
{
    (void)host, (void)deadline;
}

struct host_mutex *host_mutex_create(struct host *host)
{
    return (struct host_mutex *)host;
}

void host_mutex_lock(struct host_mutex *mutex)
{
    (void)mutex;
}

void host_mutex_unlock(struct host_mutex *mutex)
{
    (void)mutex;
}

void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}

void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

void put64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint32_t guest32(const struct memory *memory, uint64_t gpa)
{
    uint32_t v;

    return memory_read(memory, gpa, &v, sizeof(v)) ? v : UINT32_MAX;
}

uint64_t guest64(const struct memory *memory, uint64_t gpa)
{
    uint64_t v;

    return memory_read(memory, gpa, &v, sizeof(v)) ? v : UINT64_MAX;
}

static void start(struct image *image, size_t size, size_t headers)
{
    memset(image->bytes, 0xc3, sizeof(image->bytes));
    memset(image->bytes, 0, headers);
    image->size = size;
    image->headers = headers;
}

void image_bzimage(struct image *image, unsigned version, bool relocatable)
{
    uint8_t *b = image->bytes;

    start(image, 4096, 1024);
    b[0x1f1] = 1;
    put32(b + 0x1f4, (4096 - 1024) / 16);
    put16(b + 0x1fe, 0xaa55);
    b[0x200] = 0xeb;
    b[0x201] = 0x66; // the header ends at 0x268
    memcpy(b + 0x202, "HdrS", 4);
    put16(b + 0x206, (uint16_t)version);
    b[0x211] = 1;
    put32(b + 0x214, 0x100000);
    put32(b + 0x22c, 0x7fffffff);
    put32(b + 0x230, 0x200000);
    b[0x234] = relocatable;
    put16(b + 0x236, version >= 0x20c ? 1 : 0);
    put32(b + 0x238, 2047);
    put64(b + 0x258, 0x1000000);
    put32(b + 0x260, 0x400000);
}

static void multiboot_header(uint8_t *p, uint32_t flags)
{
    put32(p, 0x1badb002);
    put32(p + 4, flags);
    put32(p + 8, 0 - 0x1badb002u - flags);
}

void image_multiboot_flat(struct image *image)
{
    uint8_t *h = image->bytes + 0x40;

    start(image, 0x1000, 0x80);
    multiboot_header(h, 0x10003);
    put32(h + 12, 0x100040);        // header
    put32(h + 16, 0x100000);        // load
    put32(h + 20, 0);               // to the end of the file
    put32(h + 24, 0x103000);        // bss
    put32(h + 28, 0x100090);        // entry
}

static void elf32(uint8_t *b, unsigned headers)
{
    memcpy(b, "\x7f" "ELF\1\1\1", 7);
    put16(b + 16, 2);
    put16(b + 18, 3);
    put32(b + 20, 1);
    put32(b + 24, 0xc0100010);
    put32(b + 28, ELF_HEADER32);
    put16(b + 40, ELF_HEADER32);
    put16(b + 42, 32);
    put16(b + 44, (uint16_t)headers);
    put32(b + 52, 1); // LOAD
    put32(b + 56, 0x400);
    put32(b + 60, 0xc0100000);
    put32(b + 64, 0x100000);
    put32(b + 68, 0x800);
    put32(b + 72, 0x1800);
    put32(b + 76, 7);
    put32(b + 80, 0x1000);
}

static void elf64(uint8_t *b, unsigned headers)
{
    memcpy(b, "\x7f" "ELF\2\1\1", 7);
    put16(b + 16, 2);
    put16(b + 18, 62);
    put32(b + 20, 1);
    put64(b + 24, 0x100010);
    put64(b + 32, ELF_HEADER64);
    put16(b + 52, ELF_HEADER64);
    put16(b + 54, 56);
    put16(b + 56, (uint16_t)headers);
    put32(b + 64, 1);
    put32(b + 68, 7);
    put64(b + 72, 0x400);
    put64(b + 80, 0x100000);
    put64(b + 88, 0x100000);
    put64(b + 96, 0x800);
    put64(b + 104, 0x1800);
    put64(b + 112, 0x1000);
}

void image_multiboot_elf(struct image *image, bool is_64)
{
    start(image, 0xc00, 0x180);
    if (is_64)
        elf64(image->bytes, 1);
    else
        elf32(image->bytes, 1);
    multiboot_header(image->bytes + 0x100, 3);
}

static uint8_t *tag(uint8_t *p, uint16_t type, uint16_t flags, uint32_t size)
{
    put16(p, type);
    put16(p + 2, flags);
    put32(p + 4, size);
    return p + (size + 7) / 8 * 8;
}

void image_multiboot2(struct image *image, enum image_mb2 kind)
{
    uint8_t *h = image->bytes + 0x100, *p = h + 16;
    uint32_t length;

    start(image, 0xc00, 0x180);
    if (kind != MB2_FLAT)
        elf64(image->bytes, 1);
    put32(p + 8, 4); // memory sizes
    put32(p + 12, 6);
    p = tag(p, 1, 0, 16);
    if (kind == MB2_FLAT) {
        put32(p + 8, 0x200100);
        put32(p + 12, 0x200000);
        put32(p + 16, 0);
        put32(p + 20, 0x204000);
        p = tag(p, 2, 0, 24);
        put32(p + 8, 0x200180);
        p = tag(p, 3, 0, 12);
    }
    if (kind == MB2_RELOCATABLE) {
        put32(p + 8, 0x800000);
        put32(p + 12, 0xffffff);
        put32(p + 16, 0x200000);
        put32(p + 20, 2);
        p = tag(p, 10, 0, 24);
    }
    if (kind == MB2_EFI)
        p = tag(p, 7, 0, 8);
    p = tag(p, 0, 0, 8);
    length = (uint32_t)(p - h);
    put32(h, 0xe85250d6);
    put32(h + 4, 0);
    put32(h + 8, length);
    put32(h + 12, 0 - 0xe85250d6u - length);
}

void image_pvh(struct image *image)
{
    uint8_t *b = image->bytes, *note = b + 0x100, *program = b + ELF_HEADER64 + 56;

    start(image, 0xc00, 0x180);
    elf64(b, 2);
    put32(program, 4); // NOTE
    put64(program + 8, 0x100);
    put64(program + 32, 20);
    put64(program + 40, 20);
    put64(program + 48, 4);
    put32(note, 4);
    put32(note + 4, 4);
    put32(note + 8, 18);
    memcpy(note + 12, "Xen", 4);
    put32(note + 16, 0x100020);
}
