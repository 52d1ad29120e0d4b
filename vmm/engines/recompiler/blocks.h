/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: the code cache, its blocks, and a descriptor for each page of guest RAM.
 *
 * A block is the translation of instructions of one guest-physical page, whatever its linear
 * address. Blocks of a page jump to one another directly; to other pages always through the views'
 * jump tables. So a page's blocks can be dropped together by making each one's entry for such jumps
 * lead out; nobody must be in translated code then. Space is not used again until the whole cache is
 * flushed. All under the engine's lock but the pages' flags.
 */
#ifndef VMM_ENGINES_RECOMPILER_BLOCKS_H
#define VMM_ENGINES_RECOMPILER_BLOCKS_H

#include "vmm/engines/recompiler/cpu.h"
#include "vmm/engines/recompiler/emit.h"

#define BLOCKS_MAX  (1u << 18)
#define BLOCKS_HASH (1u << 16)
#define BLOCKS_AROUND 512u

/* What a block wants of the status flags where it begins. */
enum block_flags {
    BLOCK_FLAGS_DEAD,   // nothing
    BLOCK_FLAGS_HOST,   // the host's, at `direct`
    BLOCK_FLAGS_MEMORY, // saved ones
};

struct block {
    uint32_t next_hash, next_page; // numbers; 0: none
    uint64_t page;                 // guest-physical address of its page
    uint64_t page2;                // of the next one, if its one instruction reaches into it
    uint32_t next_crossing;        // number; 0: none
    uint16_t first;                // offset of its code
    uint16_t low, end;             // offsets of all bytes that its translation depends on
    uint16_t mode;                 // REC_MODE_*
    uint8_t  flags;                // enum block_flags
    bool     dead;
    uint32_t code;                 // offset in the cache of its code: the entry for jumps by table
    uint32_t checked;              // behind the look whether it was the right one
    uint32_t entry;                // flags saved; looks whether to leave
    uint32_t direct;               // for jumps forward in its page
    uint32_t traps;                // of its table of instructions that the processor may refuse
    uint16_t trap_count;
};

struct block_trap {
    uint16_t host;  // offset of the instruction from `code`
    uint16_t guest; // of its offset in the page; BLOCK_TRAP_FLAGS
};
#define BLOCK_TRAP_FLAGS 0x8000u // the host's flags are the guest's

#define PAGE_CODE   1u // has blocks: no view may have a tag for writing
#define PAGE_TAGGED 2u // a view may have one
#define PAGE_WAITED 4u // a vCPU may wait for a write to it (monitor.h): likewise
#define PAGE_NOTED  (PAGE_CODE | PAGE_WAITED)

struct page {
    uint32_t first;         // block
    _Atomic uint8_t flags;
    uint8_t  writes;        // beside its code
    uint16_t pad;
};

struct stubs {
    uint64_t enter;     // uint32_t (struct rec_cpu *, uint64_t code)
    uint64_t lookup;    // R14: linear address; by the second table of the view
    uint64_t unknown;   // R14: linear address, nowhere found
    uint64_t leave;     // likewise, but it is in state.rip already
    uint64_t poll, interpret; // from the instruction at rec_cpu.offset
    /* Called, with data behind the call (flow.c). */
    uint64_t poll_at, interpret_at;
    uint64_t chain_direct, chain_entry, chain_plain;
    uint64_t fill;      // R14: linear address, kept; returns the addend in R15
    uint64_t helper;    // R15: rec_helper
    uint64_t stored, commit; // R14: where to go on; with and without work to do. Keep all else
};

struct blocks {
    struct recompiler_code code;
    bool bmi2;              // PEXT indexes the tables of a view
    bool alone;             // the machine has one vCPU
    struct emit emit;       // the rest of the cache
    uint8_t *begin;         // behind the stubs
    struct stubs stubs;
    struct page *pages;     // by number of the guest-physical page
    uint64_t page_count;
    uint32_t count;         // blocks in use; number 0 is none
    uint32_t *hash;
    uint32_t *around;       // by BLOCKS_AROUND bytes of code: the block that their first byte is of
    uint32_t crossing;      // first of the blocks with a second page
    struct block *block;
    struct translation *translation; // room for the one that is being made
    uint64_t translated, insns, invalidated, flushes;
};

bool blocks_init(struct blocks *blocks, struct host *host, const struct recompiler_code *code,
                 uint64_t memory_end);
void blocks_free(struct blocks *blocks, struct host *host);

/* What a block is the translation of. */
struct origin {
    uint64_t page;        // guest-physical addresses; page2: BLOCK_ONE_PAGE, or of the next one
    uint64_t page2;
    const uint8_t *bytes; // of both
    const uint8_t *bytes2;
    unsigned offset;
    unsigned mode;
};
#define BLOCK_ONE_PAGE (~0ull)

/* NULL: not there. */
struct block *blocks_find(struct blocks *blocks, const struct origin *place);
/* Translates; NULL: the cache is full. */
struct block *blocks_translate(struct blocks *blocks, const struct origin *place);
/* Does the instruction at `offset` of the page reach into the next one? */
bool blocks_crosses(const uint8_t *bytes, unsigned offset, unsigned mode);
/* The block that has host address `pc`. */
struct block *blocks_at(const struct blocks *blocks, uint64_t pc);
/* With all vCPUs stopped. */
void blocks_drop_page(struct blocks *blocks, struct page *page);
void blocks_flush(struct blocks *blocks);
/* Is there code in [offset, offset + size) of the page? */
bool blocks_overlap(const struct blocks *blocks, const struct page *page, unsigned offset,
                    unsigned size);

static inline struct page *blocks_page(struct blocks *blocks, uint64_t gpa)
{
    return gpa >> 12 < blocks->page_count ? &blocks->pages[gpa >> 12] : NULL;
}

static inline uint64_t blocks_address(const struct blocks *blocks, uint32_t offset)
{
    return (uint64_t)(uintptr_t)blocks->code.executable + offset;
}

static inline uint32_t blocks_offset(const struct blocks *blocks, const uint8_t *writable)
{
    return (uint32_t)(writable - blocks->code.writable);
}

/* Index of an address in the views' jump tables, as translated code computes it. */
#define BLOCKS_JUMP_BITS 0x3ffcull
static inline unsigned blocks_jump_index(const struct blocks *blocks, uint64_t linear)
{
    return blocks->bmi2 ? (linear & BLOCKS_JUMP_BITS) >> 2 : linear & 0xff;
}

/* stubs.c */
void stubs_make(struct blocks *blocks);

/* translate.c: emits a block; fills what it knows. False: no room. */
bool translate(struct blocks *blocks, struct block *block, const struct origin *place);

#endif
