/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: one vCPU as translated code sees it, and the engine around it.
 *
 * While translated code runs:
 *   guest RAX RCX RDX RBX RBP RSI RDI R8 to R12   in the host's registers of the same names
 *   guest RSP                                     host R13; outside 64-bit code its upper half is 0
 *   guest R13 R14 R15                             state.gpr[13..15]
 *   host R14 R15                                  scratch
 *   host RSP                                      address of struct rec_cpu's `state`
 *   GS                                            the view in use (view.h)
 * The status flags are the host's, or saved in `flags`; IF is in `interrupts`, the others in
 * state.rflags, where these are 0. What lies
 * below `state` is the stack for calls out of translated code.
 */
#ifndef VMM_ENGINES_RECOMPILER_CPU_H
#define VMM_ENGINES_RECOMPILER_CPU_H

#include "vmm/cpu/control.h"
#include "vmm/cpu/interp.h"
#include "vmm/cpu/state.h"
#include "vmm/engines/recompiler/recompiler.h"
#include "vmm/engines/recompiler/view.h"
#include "vmm/machine.h"

#include <stdatomic.h>

#define REC_STACK 65536u
#define REC_USER_VIEWS 8u // address spaces remembered, by PCID

/* Why translated code came back. */
enum rec_exit {
    REC_EXIT_LOOKUP,    // state.rip is set: find its block
    REC_EXIT_POLL,      // the same, after a look at what waits
    REC_EXIT_INTERPRET, // the instruction at `offset` is the interpreter's
    REC_EXIT_PLAIN,     // a block without shared checks is to begin at `offset`
    REC_EXIT_CHAIN_DIRECT, // find the block at `offset`, and let the jump at `site` go there
    REC_EXIT_CHAIN_ENTRY,  // likewise, for a jump backwards
    REC_EXIT_CHAIN_PLAIN,  // likewise, to a block without shared checks
};

/* What a block's translation depends on besides the code's bytes. */
#define REC_MODE_64     0x01u // else 32-bit
#define REC_MODE_USER   0x02u // CPL 3
#define REC_MODE_X87    0x04u // x87 and MMX do not fault
#define REC_MODE_SSE    0x08u
#define REC_MODE_AVX    0x10u
#define REC_MODE_FS     0x20u // FS has no limit, outside 64-bit code
#define REC_MODE_GS     0x40u
#define REC_MODE_SMAP   0x80u // STAC and CLAC change the view
#define REC_MODE_BASES  0x100u // FSGSBASE instructions
#define REC_MODE_PLAIN  0x200u // translated without shared checks
#define REC_MODE_CLOCK  0x400u // RDTSC does not fault
#define REC_MODE_NONE   0xffffu // everything is the interpreter's

/* Refused because of how the block was translated: one of REC_MODE_PLAIN can do it. */
enum rec_split {
    REC_SPLIT_NONE,
    REC_SPLIT_ONCE,  // for this instruction and those behind it in its block
    REC_SPLIT_LOOP,  // until a jump leaves the page: it would be refused again and again
};

#define REC_BOUNCE 64u // bytes: the longest operand

/* The page that the stack pointer was last used in, one for user and one for other code. */
struct rec_stack_page {
    uint64_t low;    // linear address
    uint64_t addend; // host address - linear address
};

#define REC_WROTE 16u // writes of an instruction, or of the delivery of an interrupt, that are remembered

#define REC_LINE_WORDS 8u

/* What MONITOR has armed. */
struct rec_monitor {
    const uint8_t *line;       // the host's address; NULL: nothing
    uint64_t gpa;
    uint64_t was[REC_LINE_WORDS];
    _Atomic uint64_t waiting;  // guest-physical address of the page, plus 1: the vCPU waits for a write to it
};

struct rec_cpu {
    uint8_t stack[REC_STACK];
    struct cpu_state state; // host RSP points here
    /* Used by translated code. */
    _Atomic uint64_t poll;      // not 0: leave at the next loop, somebody wants it
    uint16_t flags;             // AH of LAHF in 15:8, OF in bit 0
    uint8_t  interrupts;        // RFLAGS.IF, which state.rflags has not while translated code runs
    uint8_t  pad;
    uint64_t page;              // linear address of the page whose code runs
    struct rec_stack_page stack_page[2]; // by REC_MODE_USER
    uint64_t jump_mask;         // bits of an address that index view.jump_*
    uint64_t tlb_mask;          // those that index the TLB
    uint64_t value;             // an operand between two accesses
    uint64_t address;           // likewise
    uint64_t addend[48];        // of groups of accesses
    uint32_t split;             // enum rec_split: why the last access was refused
    uint64_t after_store;       // stub to pass after a store that may have gone to `bounce`
    /*
     * An operand in two pages, while its instruction runs, from the second byte on: what has to be
     * aligned is not, in two pages, and is not here.
     */
    _Alignas(64) uint8_t bounce[1 + REC_BOUNCE];
    uint8_t  vectors[16][32];   // registers, while a C function uses them
    uint64_t bounce_linear;     // where its bytes belong, and how many
    uint32_t bounce_size;
    uint64_t bit_mask[2];       // 31, 63
    int32_t  offset;            // of the instruction it left at, from `page`
    uint32_t exit;              // enum rec_exit
    uint32_t argument;          // of a helper
    uint32_t after_sti;         // offset in its page, plus 1, of what the last STI protects; or 0
    uint64_t site;              // REC_EXIT_CHAIN_*: the jump's displacement, executable address
    uint64_t host_rsp;          // of the C code that entered
    uint64_t view_base;         // GS
    uint64_t host_gs;
    /* The dispatcher's. */
    struct engine *engine;
    struct vcpu *vcpu;
    struct view *view;
    struct view *kernel, *kernel_ac; // CPL below 3; with RFLAGS.AC
    struct view *user[REC_USER_VIEWS];
    struct view *current_user;  // NULL: to be looked for
    unsigned user_clock;
    struct walk walk;
    struct walk_cache walks;
    uint64_t cr0, cr3, cr4, efer; // as of the last look: what changed flushes views
    uint32_t mode;
    bool     fpu;               // the guest's vector registers are in the processor
    uint64_t flushes;           // of the code cache, when it was last entered
    uint32_t plain;             // REC_MODE_PLAIN: look for such a block next; or 0
    uint32_t pauses;            // PAUSE instructions
    bool     filling;           // it walks the guest's tables from within translated code
    bool     exclusive;         // this vCPU has stopped the others
    uint32_t wrote_count;       // of what the interpreter writes in this step
    struct rec_wrote {
        uint64_t gpa, size;
    } wrote[REC_WROTE];
    struct rec_monitor monitor;
    _Atomic uint32_t inside;    // may be in translated code
    _Atomic uint32_t kicked;
    _Atomic uint64_t entries, interpreted, fills;
};
_Static_assert(offsetof(struct rec_cpu, state) % 4096 == 0, "stack aligned, page of its own");

/* Displacements from host RSP. */
#define AT(field)  ((int32_t)(offsetof(struct rec_cpu, field) - offsetof(struct rec_cpu, state)))
#define AT_GPR(n)  (8 * (int32_t)(n))

struct blocks;
struct lockstep;

struct engine {
    struct host *host;
    struct vm *vm;
    unsigned count;
    struct blocks *blocks;
    struct lockstep *lockstep;     // NULL: not compared
    struct recompiler_code code;
    struct host_mutex *lock;       // of `blocks`
    _Atomic uint32_t stopping;     // somebody wants all vCPUs out of translated code
    struct rec_cpu *cpu[];
};

/*
 * All other vCPUs are out of translated code, and stay out until rec_resume_all(). The caller is
 * out as well and holds no lock. Both hold engine->lock in between. Nested calls count as one.
 */
void rec_stop_all(struct rec_cpu *cpu);
void rec_resume_all(struct rec_cpu *cpu);

/*
 * From the stub of a memory access that missed: `kind` is REC_ACCESS_*, and the size above them.
 * Returns host - linear address, or REC_REFUSED: the interpreter has to do it. With general
 * registers only: the guest's vector registers are live.
 */
#define REC_ACCESS_COMMIT  0x01u // the instruction is followed by a look at after_store
#define REC_ACCESS_FINAL   0x02u // in a plain block without that
#define REC_ACCESS_WRITTEN 0x04u // SHARED: others of the group write, this one only reads
#define REC_ACCESS_WRITE   0x10u
#define REC_ACCESS_STACK   0x40u
#define REC_ACCESS_SHARED  0x80u // for a group of accesses: if it lies in two pages, leave it
#define REC_ACCESS_SIZE(kind) ((kind) >> 8 & 0x1ff) // in bytes
/*
 * The instruction's own operand, so far behind the checked address, has to be aligned: log2 of its
 * size, 0: it need not be. One that is not is refused before anything is marked accessed or dirty.
 */
#define REC_ACCESS_ALIGNED(log2, behind) ((uint32_t)(log2) << 17 | (uint32_t)(behind) << 20)
#define REC_ACCESS_ALIGN(kind)  (1u << ((kind) >> 17 & 7)) // in bytes
#define REC_ACCESS_BEHIND(kind) ((kind) >> 20 & 0xff)
#define REC_REFUSED        (1ull << 63 | 1)
uint64_t rec_fill(struct rec_cpu *cpu, uint64_t linear, uint32_t kind);
/* The same for C code that acts for the guest, a page that is known being found quickly. */
uint64_t rec_addend(struct rec_cpu *cpu, uint64_t linear, bool write);
/* What a store has left in cpu->bounce goes to its two pages. */
void rec_commit(struct rec_cpu *cpu);

/*
 * Called from translated code with all registers in the state and the flags saved. Returns 0 to go
 * on behind the call, or the host address of code to go to. General registers only, as above.
 */
typedef uint64_t rec_helper(struct rec_cpu *cpu);
/* Leaves the instruction at cpu->offset to the interpreter. */
uint64_t rec_give_up(struct rec_cpu *cpu);

#endif
