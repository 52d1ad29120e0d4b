/* SPDX-License-Identifier: MIT */
/* The guest's page tables. */
#include "vmm/cpu/walk.h"

#include "vmm/cpu/atomic.h"
#include "vmm/cpu/control.h"

/* Page-table entries (SDM volume 3, tables 4-4 to 4-20). */
#define PTE_P  0x001ull
#define PTE_W  0x002ull
#define PTE_U  0x004ull
#define PTE_A  0x020ull
#define PTE_D  0x040ull
#define PTE_PS 0x080ull
#define PTE_NX (1ull << 63)

/* One paging mode: what is the same at all its levels. */
struct format {
    uint8_t  levels;
    uint8_t  entry;     // bytes of an entry
    uint8_t  bits;      // of the linear address that a level translates
};

static const struct format format_32 = {2, 4, 10};
static const struct format format_pae = {3, 8, 9};
static const struct format format_64 = {4, 8, 9};

/* What the levels walked so far allow, and where the next table is. */
struct progress {
    uint64_t table;
    bool writable, user, no_execute;
};

static uint64_t physical_mask(const struct walk *w)
{
    return (1ull << w->physical_bits) - 1;
}

static uint64_t read_entry(const struct walk *w, uint64_t gpa, unsigned size)
{
    const uint8_t *p = w->ram(w->arg, gpa, size, false);

    if (p)
        return atomic_load_guest(p, size);
    return size == 4 ? 0xffffffffu : ~0ull;
}

static bool no_execute_enabled(const struct walk *w, const struct format *f)
{
    return f->entry == 8 && (w->efer & EFER_NXE);
}

/* Bits of a present entry that must be zero. level 0 is the last one. */
static uint64_t reserved_bits(const struct walk *w, const struct format *f, unsigned level, bool large)
{
    uint64_t reserved;

    if (f->entry == 4)
        return large ? 0x3fe000ull & ~((physical_mask(w) >> 32 & 0xff) << 13) : 0; // PSE-36
    reserved = ~physical_mask(w) & 0x000fffffffffffffull;
    if (!(w->efer & EFER_NXE))
        reserved |= PTE_NX;
    if (f->levels == 3) {
        reserved |= 0x7ff0000000000000ull;
        if (level == 2)
            return (reserved | 0x1e6ull) | PTE_NX; // a PDPTE has neither rights nor accessed bit
    }
    if (large)
        reserved |= ((1ull << (12 + f->bits * level)) - 1) & ~0x1fffull;
    if (level == 3)
        reserved |= PTE_PS;
    return reserved;
}

static bool is_large(const struct walk *w, const struct format *f, unsigned level, uint64_t entry)
{
    if (!(entry & PTE_PS))
        return false;
    if (f->entry == 4)
        return level == 1 && (w->cr4 & CR4_PSE);
    return level == 1 || (level == 2 && f->levels == 4);
}

static enum walk_status fault(const struct walk *w, const struct format *f, uint32_t access, uint32_t why,
                              struct walk_result *result)
{
    result->code = why | (access & (WALK_WRITE | WALK_USER));
    if ((access & WALK_FETCH) && (no_execute_enabled(w, f) || (w->cr4 & CR4_SMEP)))
        result->code |= PF_FETCH;
    return WALK_FAULT;
}

/* SDM volume 3, 4.6.1. */
static bool allowed(const struct walk *w, uint32_t access, const struct progress *p)
{
    bool user = access & WALK_USER;

    if (user && !p->user)
        return false;
    if (access & WALK_FETCH)
        return !p->no_execute && (user || !p->user || !(w->cr4 & CR4_SMEP));
    if (!user && p->user && (w->cr4 & CR4_SMAP) && ((access & WALK_IMPLICIT) || !(w->rflags & RFLAGS_AC)))
        return false;
    return !(access & WALK_WRITE) || p->writable || (!user && !(w->cr0 & CR0_WP));
}

/*
 * Sets bits of an entry; false if it has changed since it was read, so that the walk must start anew. Entries in a ROM keep what they
 * are.
 */
static bool mark(const struct walk *w, uint64_t gpa, unsigned size, uint64_t entry, uint64_t bits)
{
    uint8_t *p;

    if ((entry & bits) == bits)
        return true;
    p = w->ram(w->arg, gpa, size, true);
    return !p || atomic_cas_guest(p, size, &entry, entry | bits);
}

static uint64_t page_address(const struct walk *w, const struct format *f, uint64_t entry, uint64_t linear,
                             unsigned bits)
{
    uint64_t offset = linear & ((1ull << bits) - 1);

    if (f->entry == 4 && bits == 22)
        return (((entry & 0x1fe000ull) << 19 | (entry & 0xffc00000ull)) & physical_mask(w)) | offset;
    return (entry & physical_mask(w) & ~((1ull << bits) - 1)) | offset;
}

/* One pass. `again` if an entry changed under it. */
static enum walk_status pass(const struct walk *w, const struct format *f, uint64_t linear, uint32_t access,
                             struct walk_result *result, bool *again)
{
    struct progress p = {.table = w->cr3 & physical_mask(w) & ~0xfffull, .writable = true, .user = true};
    bool probe = access & WALK_PROBE;

    if (f->levels == 3)
        p.table = w->cr3 & 0xffffffe0ull;
    for (unsigned level = f->levels - 1u;; level--) {
        unsigned shift = 12u + f->bits * level;
        uint64_t index = (linear >> shift) & ((1u << f->bits) - 1);
        uint64_t gpa, entry;
        bool large, rights = !(f->levels == 3 && level == 2);

        if (!rights)
            index &= 3;
        gpa = p.table + index * f->entry;
        entry = read_entry(w, gpa, f->entry);
        if (!(entry & PTE_P))
            return fault(w, f, access, 0, result);
        large = is_large(w, f, level, entry);
        if (entry & reserved_bits(w, f, level, large))
            return fault(w, f, access, PF_PRESENT | PF_RESERVED, result);
        if (rights) {
            p.writable &= (entry & PTE_W) != 0;
            p.user &= (entry & PTE_U) != 0;
            p.no_execute |= no_execute_enabled(w, f) && (entry & PTE_NX);
        }
        if (level == 0 || large) {
            if (!allowed(w, access, &p))
                return fault(w, f, access, PF_PRESENT, result);
            *again = !probe && !mark(w, gpa, f->entry, entry, PTE_A | (access & WALK_WRITE ? PTE_D : 0));
            result->gpa = page_address(w, f, entry, linear, shift);
            result->page_bits = (uint8_t)shift;
            return WALK_OK;
        }
        if (rights && !probe && !mark(w, gpa, f->entry, entry, PTE_A)) {
            *again = true;
            return WALK_OK;
        }
        p.table = entry & physical_mask(w) & ~0xfffull;
    }
}

enum walk_status walk(const struct walk *w, uint64_t linear, uint32_t access, struct walk_result *result)
{
    const struct format *f = &format_32;
    enum walk_status status;
    bool again;

    if (!(w->cr0 & CR0_PG)) {
        result->gpa = linear;
        result->page_bits = 12;
        return WALK_OK;
    }
    if (w->efer & EFER_LMA) {
        if (w->cr4 & CR4_LA57)
            return WALK_UNSUPPORTED;
        f = &format_64;
    } else if (w->cr4 & CR4_PAE) {
        f = &format_pae;
    }
    do {
        again = false;
        status = pass(w, f, linear, access, result, &again);
    } while (again);
    return status;
}
