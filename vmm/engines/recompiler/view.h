/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: a view of an address space, as GS shows it to translated code. A TLB
 * of host addresses and a table of where jumps go.
 *
 * The guest's own flushes (INVLPG, INVPCID, loads of CR0, CR3, CR4) keep it right, as they do for a
 * processor's TLB; with PCIDs the guest itself says which address spaces outlive a switch. One view
 * a PCID for user code; for the kernel one for all address spaces, from which a load of CR3 drops
 * what is not global. Used by its vCPU's thread only, or with all vCPUs stopped.
 */
#ifndef VMM_ENGINES_RECOMPILER_VIEW_H
#define VMM_ENGINES_RECOMPILER_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#define VIEW_ENTRIES 4096u // powers of two
#define VIEW_DRIVEN  2048u
#define VIEW_ALL     (VIEW_ENTRIES + VIEW_DRIVEN)
#define VIEW_JUMPS   4096u
#define VIEW_SECOND  8192u
#define VIEW_USED    512u
#define VIEW_LEADS   2048u
#define VIEW_FOLD    12u
#define VIEW_NO_TAG  (~0ull) // what no address compares equal to

#define VIEW_BLOOM 64u // words

/*
 * The TLB is in columns, by view_index(). Tags are linear page addresses; in empty entries one that
 * belongs elsewhere, so that no address of this entry is within a page's length behind it. What
 * another page has driven out is in the entries from VIEW_ENTRIES on, for view_recall().
 */
struct view {
    uint64_t read[VIEW_ALL];   // tag: readable
    uint64_t write[VIEW_ALL];  // tag: writable, neither code nor anything else that is watched
    uint64_t addend[VIEW_ALL]; // host address - linear address
    uint64_t host[VIEW_ALL];   // address of the page
    bool     global[VIEW_ALL]; // survives loads of CR3
    /*
     * Where jumps lead. The first VIEW_JUMPS entries are by low bits of the address, and it is the
     * block there that looks at the tag; what another has driven out of these is in those behind,
     * by view_second(), whose tags stub `lookup` looks at.
     */
    uint64_t jump_tag[VIEW_JUMPS + VIEW_SECOND]; // linear address
    uint64_t jump_to[VIEW_JUMPS + VIEW_SECOND];  // host code; where nothing is known, of a stub
    /* Not used by translated code. */
    uint64_t unknown, unknown2;    // these stubs
    uint32_t jump_block[VIEW_JUMPS + VIEW_SECOND]; // number of the block, for the dispatcher
    uint16_t pcid;
    bool     live;                 // may hold something
    uint32_t mode;                 // REC_MODE_* of the jumps
    unsigned clock;                // of the last use
    unsigned used_count[2];        // by `global`; above VIEW_USED: any entry may be
    uint16_t used[2][VIEW_USED];
    unsigned jumps_used_count;     // above VIEW_LEADS: any
    uint16_t jumps_used[VIEW_LEADS];
    uint64_t jump_pages[VIEW_BLOOM];  // pages that jumps may lead to
    uint64_t large_pages[VIEW_BLOOM]; // regions with entries of large pages
    bool     low;                     // holds something of addresses without bit 63
    bool     local_jumps;             // some lead to pages that are not global
    bool     globals;                 // may hold something that is, which INVLPG with any PCID flushes
};

static inline unsigned view_index(uint64_t linear)
{
    return linear >> 12 & (VIEW_ENTRIES - 1);
}

static inline uint64_t view_empty(unsigned index)
{
    return index < VIEW_ENTRIES ? (uint64_t)(index ^ VIEW_ENTRIES / 2) << 12 : VIEW_NO_TAG;
}

/* Index of the other place for a jump. */
static inline unsigned view_second(uint64_t linear)
{
    return VIEW_JUMPS + ((linear ^ linear >> VIEW_FOLD) >> 2 & (VIEW_SECOND - 1));
}

void view_init(struct view *view, uint64_t unknown, uint64_t unknown2);
/* Everything, or everything that is not global. */
void view_flush(struct view *view);
void view_flush_local(struct view *view);
void view_flush_jumps(struct view *view);
/* What is known of one address; of the large page around it as well. */
void view_flush_page(struct view *view, uint64_t linear);
/* Pages may be written to no longer without being noticed: host page `host`. */
void view_unwrite(struct view *view, uint64_t host);

/* Puts the page back that another has driven out of its entry. False: it has no such tag. */
bool view_recall(struct view *view, uint64_t linear, bool write);
/* host: of the page. page_bits: of the translation. */
void view_enter(struct view *view, uint64_t linear, uint8_t *host, bool write, bool global,
                unsigned page_bits);
void view_enter_jump(struct view *view, unsigned index, uint64_t linear, uint64_t code,
                     uint32_t block, bool global);

#endif
