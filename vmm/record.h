/* SPDX-License-Identifier: MIT */
/*
 * A run of one vCPU recorded, and replayed by the interpreter: so that what chained translated code
 * does over a whole boot is held against another engine (doc/testing.md).
 *
 * The log has, in the order in which the vCPU met them: every value that devices, clocks, MSRs and
 * CPUID gave it; what it wrote to devices; what devices wrote to RAM; every exception; and every
 * interrupt with the registers at which it came in. An interrupt's place is found again by these:
 * the replay steps until RIP and all registers are the same. Every RECORD_CHECK interrupts, at the
 * beginning and at the end there are hashes of all pages of RAM.
 *
 * In a replay no device is asked or told anything. The log comes from outside: every entry is bounded by
 * what is left of it, and used for nothing but values, comparisons and writes to RAM.
 *
 * Status flags are not compared at interrupts and exceptions, where translated code may have lost
 * those that are dead. The frame gets the recorded ones, and when it is returned from the replay has its own
 * again: had lost flags been alive, the two would part soon.
 *
 * Belongs to the vCPU's thread. Recording from within translated code uses general registers only.
 */
#ifndef VMM_RECORD_H
#define VMM_RECORD_H

#include "vmm/host.h"
#include "vmm/memory.h"
#include "vmm/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vm;
struct vcpu;

#define RECORD_MAGIC  0x3144524f43455247ull // "GRECORD1"
#define RECORD_CHECK  50u
#define RECORD_BUFFER (1u << 20)
#define RECORD_CHUNK  16384u // bytes of RAM in an entry, at most
#define RECORD_FRAMES 64u
#define RECORD_PAST   8u // a power of two

enum record_kind {
    RECORD_START = 1, // where: bytes of RAM
    RECORD_IN,        // where: port | size << 16
    RECORD_OUT,
    RECORD_READ,      // where: guest-physical address; extra: size
    RECORD_WRITE,     // the same, and CR8 + 1 in bits 15:8 behind a write to the local APIC
    RECORD_TSC,
    RECORD_MSR_READ,  // where: index; extra: 1: done, 0: #GP
    RECORD_MSR_WRITE, // the same, and CR8 + 1 in bits 15:8 for the local APIC's
    RECORD_CPUID,     // where, value: EAX | EBX << 32, ECX | EDX << 32
    RECORD_RAM,       // where: guest-physical address; extra: bytes, which follow
    RECORD_EVENT,     // where: the event that is injected; struct record_regs follows
    RECORD_FAULT,     // the same, for an exception
    RECORD_PAGES,     // value pairs of page number and hash follow
    RECORD_RAM_CHECK, // where: a number for it
    RECORD_END,       // where: enum vm_end_reason; registers follow
    RECORD_KINDS
};

struct record_entry {
    uint32_t kind;
    uint32_t follow; // bytes behind it, a multiple of 8
    uint64_t where, value, extra;
};
_Static_assert(sizeof(struct record_entry) == 32, "as in the log");

struct record_regs {
    uint64_t gpr[16]; // RSP in its place
    uint64_t rip, rflags, cr2, cr3, fs_base, gs_base;
    uint64_t others;  // hash of segments, tables and control registers
    uint64_t vectors; // hash of x87, SSE and AVX registers; 0: not looked at
};
_Static_assert(sizeof(struct record_regs) == 192, "as in the log");

/* A frame that was written with flags which may not be the replay's own. */
struct record_frame {
    uint64_t rip, rsp, cr3;
    uint64_t recorded, own; // status flags; equal: not in use
};

struct record {
    struct vm *vm;
    bool replays;
    bool over;              // failed, or the end has been reached
    uint64_t *page;         // hash by number
    uint64_t pages;
    uint64_t events, faults, checks, entries;
    struct memory_watch watch; // the engine's, who is told after us
    /* Recording. */
    uint8_t *buffer;
    size_t used;
    bool kicked;
    /* Replay. */
    const uint8_t *log;
    size_t size, at;
    size_t past[RECORD_PAST]; // where the entries before begin, by their number
    uint64_t steps;           // instructions
    uint64_t flags;           // how often they were not the recorded ones
    unsigned frames;          // the next one to be used
    struct record_frame frame[RECORD_FRAMES];
    bool waits;              // the next entry is to be met at `goal`
    struct record_regs goal;
    struct record_regs near; // what was there at its RIP the last time, if `near_count`
    uint64_t near_count;
    uint64_t differing;      // pages, at this check
};

/* For a machine with one vCPU whose configuration says so; set-up time. */
enum vmm_status record_create(struct vm *vm) VMM_MUST_CHECK;
void record_destroy(struct vm *vm);

/* The vCPU begins, behind its power-on; and its thread ends. */
void record_begin(struct vcpu *vcpu);
void record_end(struct vcpu *vcpu);
/* The vCPU's thread in a replay, in place of its loop. */
void replay_run(struct vcpu *vcpu);

/* To the file; in C code that may use vector registers. */
void record_flush(struct record *record);
/* May translated code make an entry? */
static inline bool record_room(const struct record *record)
{
    return !record->replays && record->used < RECORD_BUFFER / 2;
}

/*
 * What the vCPU reads or writes. Recording: makes the entry. A replay: takes it, which has to be of this
 * kind and place and, for what is written, value; `value` and `extra` become the log's.
 */
void record_access(struct vcpu *vcpu, enum record_kind kind, uint64_t where, uint64_t *value,
                   uint64_t *extra);
/* The event that is about to be injected by the vCPU: an interrupt (recording only), or an exception. */
void record_event(struct vcpu *vcpu);
void record_fault(struct vcpu *vcpu);

/* Between record.c and replay.c. */
void record_hash_all(struct record *record, void (*changed)(struct record *, uint64_t, uint64_t));
void record_registers(struct vcpu *vcpu, struct record_regs *regs, bool vectors);
void replay_access(struct vcpu *vcpu, enum record_kind kind, uint64_t where, uint64_t *value,
                   uint64_t *extra);
void replay_fault(struct vcpu *vcpu);

#endif
