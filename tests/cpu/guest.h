/* SPDX-License-Identifier: MIT */
/*
 * A small guest for directed tests: 4 MiB of RAM from 0, everything else a device that records its
 * accesses, a CPU state, page tables of each kind built on request. Guest-linear is guest-physical
 * unless guest_map() says otherwise.
 */
#ifndef TESTS_CPU_GUEST_H
#define TESTS_CPU_GUEST_H

#include "vmm/cpu/control.h"
#include "vmm/cpu/interp.h"

#define GUEST_RAM    (4u << 20)
#define GUEST_TABLES 0x100000u // page tables are allocated from here up
#define GUEST_GDT    0x8000u
#define GUEST_CODE   0x10000u
#define GUEST_STACK  0x20000u
#define GUEST_ACCESSES 64u

struct guest_access {
    bool write;
    uint64_t gpa, value;
    unsigned size;
};

struct guest {
    uint8_t *ram;
    struct cpu_state *state;
    struct interp interp;
    uint64_t tables;          // next free page
    struct guest_access access[GUEST_ACCESSES];
    unsigned accesses;
    uint64_t device_value;    // what the device reads as
    uint32_t needed;          // groups that were asked for
};

enum guest_mode { GUEST_REAL, GUEST_PROTECTED32, GUEST_LONG };
enum guest_paging { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_64 };

void guest_init(struct guest *g);
void guest_free(struct guest *g);
/* Another vCPU on the same memory. */
void guest_join(struct guest *g, const struct guest *other);
/*
 * Power-on state of the mode, with flat segments at privilege cpl, code at GUEST_CODE, stack at
 * GUEST_STACK.
 */
void guest_reset(struct guest *g, enum guest_mode mode, unsigned cpl);
/* Empty tables of the kind, CR0, CR3, CR4, EFER to go with them. */
void guest_paging(struct guest *g, enum guest_paging paging);
/*
 * One 4 KiB page (or large one where `large`), with all of P, W, U in the upper levels; flags are
 * the last entry's low 12 bits and NX (bit 63).
 */
void guest_map(struct guest *g, uint64_t linear, uint64_t gpa, uint64_t flags, bool large);
/* Where the entry of a level is (0 the last), as guest-physical address. */
uint64_t guest_entry(struct guest *g, uint64_t linear, unsigned level);
uint64_t guest_read(const struct guest *g, uint64_t gpa, unsigned size);
void guest_write(struct guest *g, uint64_t gpa, unsigned size, uint64_t value);
/* Puts code at GUEST_CODE and RIP there, and makes one step. */
enum interp_status guest_step(struct guest *g, const char *hex);
/* A walk with the guest's control registers. */
enum walk_status guest_walk(struct guest *g, uint64_t linear, uint32_t access,
                            struct walk_result *result);

/*
 * Did the step fault so (code < 0: without an error code), with RIP still on GUEST_CODE; was it
 * done? If not, a note says what it was.
 */
bool guest_faulted(const struct guest *g, enum interp_status status, unsigned vector, int code);
bool guest_done(const struct guest *g, enum interp_status status);

#endif
