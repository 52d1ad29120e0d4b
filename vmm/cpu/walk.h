/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables: guest-linear to guest-physical addresses (SDM volume 3, chapter 4; APM volume 2, chapter 5).
 *
 * No paging, 32-bit, PAE and 4-level paging; 5-level paging is not offered (WALK_UNSUPPORTED). A walk makes the processor's checks
 * (present, reserved bits, write protection, user/supervisor, no-execute, SMEP, SMAP) and sets accessed and dirty bits by
 * locked operations, as other vCPUs walk and write the same tables. Nothing is cached. Tables outside RAM read as all ones.
 */
#ifndef VMM_CPU_WALK_H
#define VMM_CPU_WALK_H

#include <stdbool.h>
#include <stdint.h>

/* What is attempted; the bits are those of the page-fault error code. */
#define WALK_WRITE   0x02u
#define WALK_USER    0x04u // at CPL 3, and not one of the processor's own accesses
#define WALK_FETCH   0x10u
#define WALK_IMPLICIT 0x100u // an access of the processor's own (descriptor tables): SMAP heeds no RFLAGS.AC
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
};

struct walk_result {
    uint64_t gpa;
    uint32_t code;      // after WALK_FAULT
    uint8_t  page_bits; // log2 of the page's size
};

enum walk_status walk(const struct walk *w, uint64_t linear, uint32_t access, struct walk_result *result)
    __attribute__((warn_unused_result));

#endif
