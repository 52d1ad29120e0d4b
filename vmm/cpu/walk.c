/* SPDX-License-Identifier: MIT */
/* The guest's page tables. */
#include "vmm/cpu/walk.h"

#include "vmm/cpu/atomic.h"
#include "vmm/cpu/control.h"

#include <stddef.h>

/* Page-table entries (SDM volume 3, tables 4-4 to 4-20). */
#define PTE_P  0x001ull
#define PTE_W  0x002ull
#define PTE_U  0x004ull
#define PTE_A  0x020ull
#define PTE_D  0x040ull
#define PTE_PS 0x080ull
#define PTE_G  0x100ull
#define PTE_NX (1ull << 63)

/*
 * One paging mode: what is the same at all its levels. Constant in each call, so that the compiler
 * makes a walk of each.
 */
struct format {
    unsigned levels;
    unsigned entry; // bytes of an entry
    unsigned bits;  // of the linear address that a level translates
};

#define FORMAT_32  ((struct format){2, 4, 10})
#define FORMAT_PAE ((struct format){3, 8, 9})
#define FORMAT_64  ((struct format){4, 8, 9})

static inline uint64_t physical_mask(const struct walk *w)
{
    return (1ull << w->physical_bits) - 1;
}

/* Bits that must be zero in any present entry, as it were a table or a 4 KiB page. */
static inline uint64_t reserved_always(const struct walk *w, struct format f)
{
    if (f.entry == 4)
        return 0;
    return (~physical_mask(w) & 0x000fffffffffffffull) | (w->efer & EFER_NXE ? 0 : PTE_NX) |
           (f.levels == 3 ? 0x7ff0000000000000ull : 0);
}

/*
 * And those of a special one: a PDPTE of PAE has no rights, a PML4E no size, a large page a coarser
 * address (PSE-36 has bits 39:32 at 20:13).
 */
static inline uint64_t reserved_here(const struct walk *w, struct format f, unsigned level,
                                     bool large)
{
    if (f.levels == 3 && level == 2)
        return 0x1e6ull | PTE_NX;
    if (level == 3)
        return PTE_PS;
    if (!large)
        return 0;
    if (f.entry == 4)
        return 0x3fe000ull & ~((physical_mask(w) >> 32 & 0xff) << 13);
    return ((1ull << (12 + f.bits * level)) - 1) & ~0x1fffull;
}

static inline bool is_large(const struct walk *w, struct format f, unsigned level, uint64_t entry)
{
    if (!(entry & PTE_PS) || level == 0)
        return false;
    if (f.entry == 4)
        return w->cr4 & CR4_PSE;
    return level == 1 || (level == 2 && f.levels == 4);
}

static enum walk_status fault(const struct walk *w, struct format f, uint32_t access, uint32_t why,
                              struct walk_result *result)
{
    bool no_execute = f.entry == 8 && (w->efer & EFER_NXE);

    result->code = why | (access & (WALK_WRITE | WALK_USER));
    if ((access & WALK_FETCH) && (no_execute || (w->cr4 & CR4_SMEP)))
        result->code |= PF_FETCH;
    return WALK_FAULT;
}

/* SDM volume 3, 4.6.1. all: the AND of the entries' bits, any: their OR. */
static inline bool allowed(const struct walk *w, uint32_t access, uint64_t all, uint64_t any)
{
    bool user = access & WALK_USER, user_page = all & PTE_U;

    if (user && !user_page)
        return false;
    if (access & WALK_FETCH)
        return !((any & PTE_NX) && (w->efer & EFER_NXE)) &&
               (user || !user_page || !(w->cr4 & CR4_SMEP));
    if (!user && user_page && (w->cr4 & CR4_SMAP) &&
        ((access & WALK_IMPLICIT) || !(w->rflags & RFLAGS_AC)))
        return false;
    return !(access & WALK_WRITE) || (all & PTE_W) || (!user && !(w->cr0 & CR0_WP));
}

/*
 * Sets bits of an entry; false if it has changed since it was read, so that the walk must start
 * anew. Outside of RAM nothing is set.
 */
static bool mark(const struct walk *w, uint64_t gpa, unsigned size, uint64_t entry, uint64_t bits)
{
    uint8_t *p = w->ram(w->arg, gpa, size, true);

    return !p || atomic_cas_guest(p, size, &entry, entry | bits);
}

static inline uint64_t page_address(const struct walk *w, struct format f, uint64_t entry,
                                    uint64_t linear, unsigned bits)
{
    uint64_t offset = linear & ((1ull << bits) - 1);

    if (f.entry == 4 && bits == 22)
        return (((entry & 0x1fe000ull) << 19 | (entry & 0xffc00000ull)) & physical_mask(w)) |
               offset;
    return (entry & physical_mask(w) & ~((1ull << bits) - 1)) | offset;
}

/*
 * One pass. *again: an entry changed under it. The entries are noted in *note, which may be NULL.
 */
static inline __attribute__((always_inline)) enum walk_status
pass(const struct walk *w, struct format f, uint64_t linear, uint32_t access,
     struct walk_result *result, bool *again, struct walk_cached *note)
{
    uint64_t address_mask = physical_mask(w) & ~0xfffull, reserved = reserved_always(w, f),
             all = ~0ull, any = 0;
    uint64_t table = f.levels == 3 ? w->cr3 & 0xffffffe0ull : w->cr3 & address_mask;

    for (unsigned level = f.levels - 1u;; level--) {
        unsigned shift = 12u + f.bits * level;
        bool rights = !(f.levels == 3 && level == 2), large, last;
        uint64_t index = linear >> shift & (rights ? (1u << f.bits) - 1 : 3);
        uint64_t gpa = (table + index * f.entry) & ~w->masked, entry, bits = PTE_A;
        const uint8_t *where = w->ram(w->arg, gpa, f.entry, false);

        entry = where ? atomic_load_guest(where, f.entry) : f.entry == 4 ? 0xffffffffu : ~0ull;
        if (!(entry & PTE_P))
            return fault(w, f, access, 0, result);
        large = is_large(w, f, level, entry);
        last = large || level == 0;
        if (entry & (reserved | reserved_here(w, f, level, large)))
            return fault(w, f, access, PF_PRESENT | PF_RESERVED, result);
        if (rights) {
            all &= entry;
            any |= entry;
        }
        if (last && !allowed(w, access, all, any))
            return fault(w, f, access, PF_PRESENT, result);
        if (last && (access & WALK_WRITE))
            bits |= PTE_D;
        if (rights && (entry & bits) != bits && !(access & WALK_PROBE)) {
            if (!mark(w, gpa, f.entry, entry, bits)) {
                *again = true;
                return WALK_OK;
            }
            entry |= bits;
        }
        if (note) {
            note->where[f.levels - 1 - level] = where;
            note->entry[f.levels - 1 - level] = entry;
        }
        if (last) {
            result->gpa = page_address(w, f, entry, linear, shift) & ~w->masked;
            result->page_bits = (uint8_t)shift;
            result->global = (entry & PTE_G) && (w->cr4 & CR4_PGE);
            if (note)
                note->levels = (uint8_t)(f.levels - level);
            return WALK_OK;
        }
        table = entry & address_mask;
    }
}

static enum walk_status walk_noted(const struct walk *w, uint64_t linear, uint32_t access,
                                   struct walk_result *result, struct walk_cached *note)
{
    enum walk_status status;
    bool again;

    if (!(w->cr0 & CR0_PG)) {
        result->gpa = linear & ~w->masked;
        result->page_bits = 12;
        result->global = false;
        return WALK_OK;
    }
    if ((w->efer & EFER_LMA) && (w->cr4 & CR4_LA57))
        return WALK_UNSUPPORTED;
    do {
        again = false;
        if (w->efer & EFER_LMA)
            status = pass(w, FORMAT_64, linear, access, result, &again, note);
        else if (w->cr4 & CR4_PAE)
            status = pass(w, FORMAT_PAE, linear, access, result, &again, note);
        else
            status = pass(w, FORMAT_32, linear, access, result, &again, note);
    } while (again);
    return status;
}

enum walk_status walk(const struct walk *w, uint64_t linear, uint32_t access,
                      struct walk_result *result)
{
    return walk_noted(w, linear, access, result, NULL);
}

/*
 * All that the result depends on, besides CR3 and the entries. No two of these bits are the same.
 */
static inline uint32_t mode_of(const struct walk *w)
{
    return (uint32_t)((w->cr0 & (CR0_WP | CR0_PG)) | (w->rflags & RFLAGS_AC) |
                      (w->efer & (EFER_LMA | EFER_NXE)) |
                      (w->cr4 & (CR4_PSE | CR4_PAE | CR4_LA57 | CR4_SMEP | CR4_SMAP)));
}

/* Is every entry what it was? Lines of fewer than four levels repeat their last entry. */
static inline bool unchanged(const struct walk_cached *line)
{
    uint64_t differences = 0;

    if (line->levels == 0)
        return false;
    if (line->mode & (EFER_LMA | CR4_PAE))
        for (unsigned i = 0; i < WALK_LEVELS; i++)
            differences |= atomic_load_guest(line->where[i], 8) ^ line->entry[i];
    else
        for (unsigned i = 0; i < WALK_LEVELS; i++)
            differences |= atomic_load_guest(line->where[i], 4) ^ line->entry[i];
    return differences == 0;
}

/* Completes a line after a walk; without it if an entry is not in RAM. */
static void complete(struct walk_cached *line)
{
    for (unsigned i = 0; i < line->levels; i++)
        if (!line->where[i]) {
            line->levels = 0;
            return;
        }
    for (unsigned i = line->levels; i < WALK_LEVELS && line->levels; i++) {
        line->where[i] = line->where[i - 1];
        line->entry[i] = line->entry[i - 1];
    }
}

void walk_forget(struct walk_cache *cache)
{
    for (unsigned i = 0; i < WALK_CACHE; i++)
        cache->line[i].levels = 0;
}

enum walk_status walk_cached(const struct walk *w, struct walk_cache *cache, uint64_t linear,
                             uint32_t access, struct walk_result *result)
{
    unsigned fetch = access & WALK_FETCH ? WALK_CACHE / 2 : 0;
    struct walk_cached *line = &cache->line[(linear >> 12 & (WALK_CACHE / 2 - 1)) | fetch];
    uint64_t offset = linear & 0xfff;
    uint32_t mode = mode_of(w);
    enum walk_status status;

    if (line->page == linear - offset && line->cr3 == w->cr3 && line->mode == mode &&
        line->access == access && unchanged(line)) {
        result->gpa = line->gpa | offset;
        result->page_bits = line->page_bits;
        result->global = line->global && (w->cr4 & CR4_PGE);
        return WALK_OK;
    }
    line->levels = 0;
    status = walk_noted(w, linear, access, result, line);
    if (status != WALK_OK) {
        line->levels = 0;
        return status;
    }
    complete(line);
    line->page = linear - offset;
    line->cr3 = w->cr3;
    line->mode = mode;
    line->access = access;
    line->gpa = result->gpa - offset;
    line->page_bits = result->page_bits;
    line->global = result->global;
    return WALK_OK;
}
