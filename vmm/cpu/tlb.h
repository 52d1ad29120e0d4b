/* SPDX-License-Identifier: MIT */
/*
 * A translation look-aside buffer for an interpreter that executes everything, as a processor has
 * one (SDM volume 3, 4.10): translations stay until the guest flushes them by INVLPG or by loading
 * CR0, CR3 or CR4, or the mode changes. Entries are by page and kind of access; a write has its own,
 * so that the first one sets the dirty bit. Global pages are flushed with the others. One vCPU's,
 * used by its thread only.
 */
#ifndef VMM_CPU_TLB_H
#define VMM_CPU_TLB_H

#include <stdint.h>

#define TLB_ENTRIES 1024u // a power of two
#define TLB_PAGE    4096u
#define TLB_AC      0x020u // in a tag beside the access (vmm/cpu/walk.h): RFLAGS.AC was set

struct tlb_entry {
    uint64_t tag;        // linear page | access
    uint64_t generation; // of the flush before it; older ones are void
    uint64_t gpa;        // of the page
    uint8_t *host;       // NULL: not RAM
};

struct tlb {
    uint64_t generation; // from 1
    struct tlb_entry entry[TLB_ENTRIES];
};

static inline struct tlb_entry *tlb_slot(struct tlb *tlb, uint64_t tag)
{
    /* Fetches, reads and writes of one page lie apart: bits 1 (write) and 4 (fetch) of the access. */
    uint64_t kind = (tag << 7 & 0x100) | (tag << 5 & 0x200);

    return &tlb->entry[((tag >> 12) ^ kind) & (TLB_ENTRIES - 1)];
}

/* NULL: not there. */
static inline const struct tlb_entry *tlb_find(struct tlb *tlb, uint64_t tag)
{
    const struct tlb_entry *e = tlb_slot(tlb, tag);

    return e->tag == tag && e->generation == tlb->generation ? e : 0;
}

static inline const struct tlb_entry *tlb_put(struct tlb *tlb, uint64_t tag, uint64_t gpa,
                                              uint8_t *host)
{
    struct tlb_entry *e = tlb_slot(tlb, tag);

    *e = (struct tlb_entry){tag, tlb->generation, gpa, host};
    return e;
}

static inline void tlb_flush(struct tlb *tlb)
{
    tlb->generation++;
}

#endif
