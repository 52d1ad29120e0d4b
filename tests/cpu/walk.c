/* SPDX-License-Identifier: MIT */
/*
 * The guest page walk: each paging mode, each access right, each bit of the error code, accessed
 * and dirty bits, and the cache.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <string.h>

#define PAGE  0x00401000ull // linear
#define FRAME 0x00200000ull // physical
#define NX    (1ull << 63)

static struct guest g;

/* OK gives WALK_OK and the address; a fault gives its code. */
static bool reaches(uint64_t linear, uint32_t access, uint64_t gpa)
{
    struct walk_result r = {0};
    enum walk_status status = guest_walk(&g, linear, access, &r);

    if (status == WALK_OK && r.gpa == gpa)
        return true;
    tap_note("    status %u, address %lx, code %x", status, r.gpa, r.code);
    return false;
}

static bool faults(uint64_t linear, uint32_t access, uint32_t code)
{
    struct walk_result r = {0};
    enum walk_status status = guest_walk(&g, linear, access, &r);

    if (status == WALK_FAULT && r.code == code)
        return true;
    tap_note("    status %u, address %lx, code %x", status, r.gpa, r.code);
    return false;
}

static void start(enum guest_paging paging)
{
    guest_reset(&g, GUEST_PROTECTED32, 0);
    guest_paging(&g, paging);
}

static void test_rights(enum guest_paging paging, const char *name)
{
    unsigned size = paging == PAGING_32 ? 4 : 8;
    bool nx = paging != PAGING_32;

    start(paging);
    guest_map(&g, PAGE, FRAME, 7, false);
    ok(reaches(PAGE + 0x123, WALK_USER | WALK_WRITE, FRAME + 0x123), "%s: a page for all", name);
    ok(faults(PAGE + 0x1000, 0, 0) &&
           faults(PAGE + 0x1000, WALK_WRITE | WALK_USER, PF_WRITE | PF_USER),
       "%s: not present", name);
    ok(faults(PAGE + 0x1000, WALK_FETCH, nx ? PF_FETCH : 0),
       "%s: a fetch is told only where there is no-execute", name);
    guest_map(&g, PAGE, FRAME, 5, false);
    ok(reaches(PAGE, WALK_USER, FRAME) &&
           faults(PAGE, WALK_USER | WALK_WRITE, PF_PRESENT | PF_WRITE | PF_USER) &&
           faults(PAGE, WALK_WRITE, PF_PRESENT | PF_WRITE),
       "%s: read-only", name);
    g.state->cr0 &= ~CR0_WP;
    ok(reaches(PAGE, WALK_WRITE, FRAME) && faults(PAGE, WALK_USER | WALK_WRITE, 7),
       "%s: CR0.WP clear frees the supervisor only", name);
    g.state->cr0 |= CR0_WP;
    guest_map(&g, PAGE, FRAME, 3, false);
    ok(reaches(PAGE, WALK_WRITE, FRAME) && faults(PAGE, WALK_USER, PF_PRESENT | PF_USER),
       "%s: supervisor only", name);
    guest_map(&g, PAGE, FRAME, 7, false);
    guest_write(&g, guest_entry(&g, PAGE, 1), size,
                guest_read(&g, guest_entry(&g, PAGE, 1), size) & ~4ull);
    ok(faults(PAGE, WALK_USER, PF_PRESENT | PF_USER), "%s: an upper level withholds U", name);
    guest_write(&g, guest_entry(&g, PAGE, 1), size,
                (guest_read(&g, guest_entry(&g, PAGE, 1), size) | 4) & ~2ull);
    ok(faults(PAGE, WALK_WRITE, PF_PRESENT | PF_WRITE), "%s: and W", name);
    guest_write(&g, guest_entry(&g, PAGE, 1), size,
                guest_read(&g, guest_entry(&g, PAGE, 1), size) | 2);
    g.state->cr4 |= CR4_SMEP | CR4_SMAP;
    ok(faults(PAGE, WALK_FETCH, PF_PRESENT | PF_FETCH) &&
           reaches(PAGE, WALK_FETCH | WALK_USER, FRAME),
       "%s: SMEP", name);
    ok(faults(PAGE, 0, PF_PRESENT) && faults(PAGE, WALK_WRITE, PF_PRESENT | PF_WRITE) &&
           reaches(PAGE, WALK_USER, FRAME),
       "%s: SMAP", name);
    g.state->rflags |= RFLAGS_AC;
    ok(reaches(PAGE, WALK_WRITE, FRAME) && faults(PAGE, WALK_IMPLICIT, PF_PRESENT),
       "%s: RFLAGS.AC lifts it, not for implicit accesses", name);
    if (nx) {
        g.state->cr4 &= ~(CR4_SMEP | CR4_SMAP);
        guest_map(&g, PAGE, FRAME, 7 | NX, false);
        ok(reaches(PAGE, WALK_USER, FRAME) &&
               faults(PAGE, WALK_FETCH | WALK_USER, PF_PRESENT | PF_FETCH | PF_USER),
           "%s: no-execute", name);
        g.state->efer &= ~EFER_NXE;
        ok(faults(PAGE, 0, PF_PRESENT | PF_RESERVED), "%s: without EFER.NXE its bit is reserved",
           name);
    }
}

static void test_accessed(enum guest_paging paging, const char *name)
{
    unsigned size = paging == PAGING_32 ? 4 : 8;
    uint64_t leaf, upper;

    start(paging);
    guest_map(&g, PAGE, FRAME, 7, false);
    leaf = guest_entry(&g, PAGE, 0);
    upper = guest_entry(&g, PAGE, 1);
    guest_write(&g, upper, size, guest_read(&g, upper, size) & ~0x20ull);
    ok(reaches(PAGE, WALK_PROBE | WALK_WRITE, FRAME) && !(guest_read(&g, leaf, size) & 0x60),
       "%s: a probe marks nothing", name);
    ok(reaches(PAGE, 0, FRAME) && (guest_read(&g, leaf, size) & 0x60) == 0x20 &&
           (guest_read(&g, upper, size) & 0x60) == 0x20,
       "%s: a read marks accessed", name);
    ok(reaches(PAGE, WALK_WRITE, FRAME) && (guest_read(&g, leaf, size) & 0x60) == 0x60 &&
           (guest_read(&g, upper, size) & 0x60) == 0x20,
       "%s: a write marks dirty in the last level only", name);
    guest_map(&g, PAGE, FRAME, 5, false);
    ok(faults(PAGE, WALK_WRITE, 3) && !(guest_read(&g, leaf, size) & 0x60),
       "%s: a refused access does not mark the page", name);
}

static void test_large(void)
{
    start(PAGING_32);
    guest_map(&g, 0x00c00000, 0x00800000, 3, true);
    ok(reaches(0x00c12345, WALK_WRITE, 0x00812345), "32-bit: a 4 MiB page");
    guest_map(&g, 0x00c00000, 0x00800000 | 0x5ull << 13, 3, true);
    ok(reaches(0x00c12345, 0, 0x500812345), "32-bit: PSE-36 gives address bits 39:32");
    guest_map(&g, 0x00c00000, 0x00800000 | 1ull << 21, 3, true);
    ok(faults(0x00c00000, 0, PF_PRESENT | PF_RESERVED),
       "32-bit: bit 21 of a large page is reserved");
    g.state->cr4 &= ~CR4_PSE;
    guest_map(&g, 0x00c00000, GUEST_TABLES, 3, true);
    ok(reaches(0x00c00000, 0, GUEST_TABLES + 0x1000),
       "32-bit: without CR4.PSE there is no large page");
    start(PAGING_PAE);
    guest_map(&g, 0xc0200000, 0x00400000, 3, true);
    ok(reaches(0xc0212345, WALK_WRITE, 0x00412345), "PAE: a 2 MiB page");
    guest_map(&g, 0xc0200000, 0x00400000 | 1ull << 13, 3, true);
    ok(faults(0xc0200000, 0, PF_PRESENT | PF_RESERVED), "PAE: reserved low address bits");
    guest_write(&g, guest_entry(&g, 0xc0200000, 2), 8,
                guest_read(&g, guest_entry(&g, 0xc0200000, 2), 8) | 2);
    ok(faults(0xc0200000, 0, PF_PRESENT | PF_RESERVED), "PAE: a PDPTE has no W");
    start(PAGING_64);
    guest_map(&g, 0xffff800000200000, 0x00400000, 3, true);
    ok(reaches(0xffff800000212345, WALK_WRITE, 0x00412345), "4-level: a 2 MiB page");
    guest_write(&g, guest_entry(&g, 0xffff880040000000, 2), 8, 0x80000083);
    ok(reaches(0xffff880052345678, WALK_WRITE, 0x92345678), "4-level: a 1 GiB page");
    guest_write(&g, guest_entry(&g, 0xffff880040000000, 2), 8, 0x80200083);
    ok(faults(0xffff880052345678, WALK_WRITE, PF_PRESENT | PF_RESERVED | PF_WRITE),
       "4-level: reserved bits of a 1 GiB page");
    guest_write(&g, guest_entry(&g, 0xffff880040000000, 3), 8,
                guest_read(&g, guest_entry(&g, 0xffff880040000000, 3), 8) | 0x80);
    ok(faults(0xffff880052345678, 0, PF_PRESENT | PF_RESERVED),
       "4-level: PS is reserved in a PML4E");
    guest_map(&g, PAGE, FRAME | 1ull << 40, 3, false);
    ok(faults(PAGE, 0, PF_PRESENT | PF_RESERVED),
       "4-level: an address beyond the guest's physical bits");
    guest_map(&g, PAGE, FRAME, 3 | 0x7ffull << 52 | 0xe00, false);
    ok(reaches(PAGE, 0, FRAME), "4-level: ignored bits are ignored");
    g.state->cr4 |= CR4_LA57;
    ok(guest_walk(&g, PAGE, 0, &(struct walk_result){0}) == WALK_UNSUPPORTED,
       "5-level paging is not offered");
}

static void test_tables_elsewhere(void)
{
    start(PAGING_64);
    g.state->cr3 = 0xfee00000;
    ok(faults(PAGE, 0, PF_PRESENT | PF_RESERVED), "tables on a device read as all ones");
    guest_reset(&g, GUEST_REAL, 0);
    ok(reaches(0x12345678, WALK_WRITE, 0x12345678), "without paging an address is itself");
}

/* Random tables, walked with and without the cache while entries change: always the same answer. */
static void test_cache(void)
{
    static struct walk_cache cache;
    uint64_t random = 7, differences = 0, hits = 0;

    start(PAGING_64);
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t page = (random_u64(&random) & 7) << 12 | 0x600000, x = random_u64(&random);
        uint32_t access = (uint32_t)(x & (WALK_WRITE | WALK_USER)) | (x & 0x100 ? WALK_FETCH : 0);
        struct walk_result a = {0}, b = {0};
        enum walk_status sa, sb;
        struct walk w;

        if ((x >> 9 & 7) == 0)
            guest_map(&g, page, FRAME + (x >> 20 & 0xff000), (x >> 12 & 0x67) | 1 | (x & NX),
                      false);
        if ((x >> 9 & 511) == 1) // an upper entry loses or gains rights
            guest_write(&g, guest_entry(&g, page, 1 + (x >> 40 & 1)), 1, (x >> 41 & 0x26) | 1);
        if ((x >> 9 & 255) == 2)
            g.state->cr4 ^= CR4_SMAP;
        if ((x >> 9 & 255) == 3)
            g.state->cr0 ^= CR0_WP;
        w = (struct walk){.ram = g.interp.ops->ram,
                          .arg = &g,
                          .cr0 = g.state->cr0,
                          .cr3 = g.state->cr3,
                          .cr4 = g.state->cr4,
                          .efer = g.state->efer,
                          .physical_bits = 40};
        sb = walk(&w, page, access | WALK_PROBE, &b);
        for (unsigned l = 0; l < WALK_CACHE; l++)
            hits += cache.line[l].levels && cache.line[l].page == page &&
                    cache.line[l].access == access;
        sa = walk_cached(&w, &cache, page + (x & 0xfff), access, &a);
        differences +=
            sa != sb || (sa == WALK_OK ? a.gpa != (b.gpa | (x & 0xfff)) : a.code != b.code);
    }
    ok(differences == 0,
       "300000 walks of changing tables: the cached walk always agrees (%lu found a line)", hits);
    ok(hits > 20000, "and the cache was in use");
}

int main(void)
{
    guest_init(&g);
    test_rights(PAGING_32, "32-bit");
    test_rights(PAGING_PAE, "PAE");
    test_rights(PAGING_64, "4-level");
    test_accessed(PAGING_32, "32-bit");
    test_accessed(PAGING_PAE, "PAE");
    test_accessed(PAGING_64, "4-level");
    test_large();
    test_tables_elsewhere();
    test_cache();
    guest_free(&g);
    return tap_done();
}
