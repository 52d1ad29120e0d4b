/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables: guest-linear to guest-physical addresses (SDM volume 3, chapter 4; APM
 * volume 2, chapter 5).
 *
 * No paging, 32-bit, PAE and 4-level paging; 5-level paging is not offered (WALK_UNSUPPORTED). A
 * walk makes the processor's checks (present, reserved bits, write protection, user/supervisor,
 * no-execute, SMEP, SMAP) and sets accessed and dirty bits by locked operations, as other vCPUs
 * walk and write the same tables. Tables outside RAM read as all ones.
 *
 * walk_cached() gives what walk() would: it remembers where the entries of earlier walks are on the
 * host and what they were, and repeats the result only if every entry still is the same. It relies
 * on guest RAM not moving on the host; so nothing ever has to be flushed, but by who changes
 * `masked`. A cache belongs to one vCPU's thread.
 */
#ifndef VMM_CPU_WALK_H
#define VMM_CPU_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* What is attempted; the bits are those of the page-fault error code. */
#define WALK_WRITE   0x02u
#define WALK_USER    0x04u // at CPL 3, and not one of the processor's own accesses
#define WALK_FETCH   0x10u
#define WALK_IMPLICIT \
    0x100u // an access of the processor's own (descriptor tables): SMAP heeds no RFLAGS.AC
#define WALK_PROBE   0x200u // set no accessed and dirty bits, as a debugger does

/* Page-fault error code (SDM volume 3, 4.7). */
#define PF_PRESENT  0x01u
#define PF_WRITE    0x02u
#define PF_USER     0x04u
#define PF_RESERVED 0x08u
#define PF_FETCH    0x10u

enum walk_status {
    WALK_OK = 0,
    WALK_FAULT,       // page fault with `code`
    WALK_UNSUPPORTED, // a paging mode that is not offered
};

/* The control state that a walk depends on; eight bytes of RAM at gpa as in struct interp_ops. */
struct walk {
    uint8_t *(*ram)(void *arg, uint64_t gpa, unsigned size, bool write);
    void *arg;
    uint64_t cr0, cr3, cr4, efer, rflags;
    unsigned physical_bits;
    uint64_t masked; // lines of physical addresses that stay 0: bit 20 while A20 is masked, or none
};

struct walk_result {
    uint64_t gpa;
    uint32_t code;      // after WALK_FAULT
    uint8_t  page_bits; // log2 of the page's size
    bool     global;    // its translation outlives a load of CR3
};

#define WALK_CACHE  16u // a power of two
#define WALK_LEVELS 4u

struct walk_cached {
    uint64_t page;      // linear
    uint64_t cr3;
    uint64_t gpa;       // of the page
    uint32_t mode;      // the bits of CR0, CR4, EFER and RFLAGS that matter
    uint32_t access;
    uint8_t  page_bits;
    bool     global;
    uint8_t  levels;    // entries that follow; 0: nothing here
    const uint8_t *where[WALK_LEVELS];
    uint64_t entry[WALK_LEVELS];
};

struct walk_cache {
    struct walk_cached line[WALK_CACHE];
};

void walk_forget(struct walk_cache *cache);
enum walk_status walk_cached(const struct walk *w, struct walk_cache *cache, uint64_t linear,
                             uint32_t access, struct walk_result *result)
    __attribute__((warn_unused_result));

enum walk_status walk(const struct walk *w, uint64_t linear, uint32_t access,
                      struct walk_result *result) __attribute__((warn_unused_result));

#endif
