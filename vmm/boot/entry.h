/* SPDX-License-Identifier: MIT */
/*
 * The state in which a guest kernel starts, when no firmware runs before it.
 *
 * A loader fills struct boot_entry. entry_tables() puts what the state needs into guest RAM: a
 * descriptor table with flat segments (code 0x10, data 0x18) and, for 64-bit entries, page tables
 * that map the first 4 GiB to themselves. entry_apply() sets the boot processor's registers; groups
 * not named here (debug registers, PAT, FPU, system call MSRs) stay as reset left them.
 */
#ifndef VMM_BOOT_ENTRY_H
#define VMM_BOOT_ENTRY_H

#include "vmm/boot/place.h"
#include "vmm/cpu/state.h"

enum entry_mode {
    ENTRY_PROTECTED, // 32 bits, paging off
    ENTRY_LONG,      // 64 bits, identity mapping
};

struct boot_entry {
    enum entry_mode mode;
    uint64_t rip;
    uint64_t rax, rbx, rsi;
    uint64_t gdt, cr3; // from entry_tables()
};

/* False if there is no room in low RAM. */
bool entry_tables(struct boot_entry *entry, struct memory *memory,
                  struct place *place) VMM_MUST_CHECK;
void entry_apply(const struct boot_entry *entry, struct cpu_state *state);

#endif
