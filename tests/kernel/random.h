/* SPDX-License-Identifier: MIT */
/*
 * Random hypercalls by a generator that knows the state: on each CPU one thread with a slot area of its own, and fixtures that stand for the
 * situations a single call cannot bring about (a PD that is out of memory, a busy server, a dead one, a vCPU that somebody runs, ...).
 */
#ifndef TESTS_KERNEL_RANDOM_H
#define TESTS_KERNEL_RANDOM_H

#include "remote.h"
#include "rig.h"

#define SLOTS    64 // of each generator
#define STATUSES ABI_STATUS_COUNT
#define BIT(n)   (1u << (n))
#define FILL     32
#define PRIO_GENERATOR 50
#define CHAIN    (ABI_DEPTH_MAX + 1)

/* Kinds of what a slot was last known to hold; stale knowledge is part of the test. */
enum kind { EMPTY, PD, OBJ, HST, GST, PIO, MSR, LOCAL, THREAD, VCPU, SC, PT, SM, KINDS };

/* Selectors of the fixtures, from generator.fixture on. */
enum fixture {
    FIX_POOR,                              // a remote server without a free frame
    FIX_FILL = FIX_POOR + REMOTE_SELECTORS,
    FIX_RICH = FIX_FILL + FILL,            // one with some
    FIX_CHAIN = FIX_RICH + REMOTE_SELECTORS, // capabilities derived from each other as deep as it goes; the last cannot be derived from
    FIX_DEAD_EC = FIX_CHAIN + CHAIN,
    FIX_DEAD_PT,                           // a portal whose EC is gone
    FIX_FULL,                              // a semaphore that counts no further
    FIX_ZERO,                              // one that stays at 0
    FIX_RENEWED,                           // all before are made anew with the slots, all from here stay
    FIX_THREAD = FIX_RENEWED,              // without an SC
    FIX_HOLD,                              // a semaphore
    FIX_BUSY_EC, FIX_BUSY_PT, FIX_BUSY_THREAD, FIX_BUSY_SC, // a server that is always handling the thread's call
    FIX_GST, FIX_VCPU, FIX_RUNNER, FIX_RUNNER_SC,           // a vCPU that this thread runs
    FIX_GO, FIX_REAPER, FIX_REAPER_SC,     // a thread that destroys DOOMED once for each GO
    FIX_DOOMED,                            // a semaphore
    FIX_VICTIM,                            // a vCPU that the recaller destroys when asked
    FIX_OWN, FIX_OWN_SC,                   // the generator's own thread
    FIX_RECALLER, FIX_RECALLER_SC,
    FIX_COUNT
};

struct generator {
    uint64_t state;
    uint64_t digest;     // of all calls with their answers: equal in runs that did the same
    uint64_t base;       // first slot
    uint64_t fixture;
    uint64_t cpu;
    uint64_t sandbox;    // a PD of its own with OBJ and HST space at +1, +2: pays for most, and is made anew when it is dry
    struct abi_utcb *utcb;
    struct generator *other; // on the next CPU; itself if there is none
    uint8_t kind[SLOTS];
    uint32_t count[ABI_HYPERCALL_COUNT][STATUSES];
    uint64_t undocumented, calls;
    volatile bool kill_victim, finished;
};

extern struct generator generators[ABI_CPU_MAX];

/* Pages of generator memory, by CPU: UTCBs of its threads. */
enum page { PAGE_OWN, PAGE_RECALLER, PAGE_BUSY, PAGE_BUSY_THREAD, PAGE_RUNNER, PAGE_REAPER, PAGE_VCPU, PAGE_VICTIM, PAGE_THREAD, PAGES };
static inline uint64_t page_of(const struct generator *g, enum page page)
{
    return utcb_address(256 + (unsigned)g->cpu * 16 + page);
}
static inline struct generator *generator_of(uint64_t utcb)
{
    return &generators[(utcb - utcb_address(256)) / PAGE / 16];
}

/* Numbers. */
uint64_t any(struct generator *g);
static inline uint64_t below(struct generator *g, uint64_t n)
{
    return any(g) % n;
}
uint64_t any_value(struct generator *g);

/* Slots: any; one believed to hold a kind, or any if there is none; an empty one, by force. */
uint64_t any_slot(struct generator *g);
uint64_t slot_of(struct generator *g, enum kind kind);
uint64_t empty_slot(struct generator *g);
/* One that holds such an object, made if there is none. */
uint64_t need(struct generator *g, enum kind kind);

/* A call with its bookkeeping. */
uint64_t perform(struct generator *g, uint64_t rdi, struct call *c);
void record(struct generator *g, unsigned number, uint64_t status);

/* random_world.c */
bool world_begin(struct generator *g);  // threads and lasting fixtures
void world_renew(struct generator *g);  // sandbox, slots and the other fixtures; by the generator
void world_end(struct generator *g);    // by the main thread, when the generator is done

/* random_aim.c: arguments right for a call as far as known; and arguments for which it should return the status. */
uint64_t sensible(struct generator *g, unsigned number, struct call *c);
uint64_t aimed(struct generator *g, unsigned number, enum abi_status status, struct call *c);
uint64_t page_for_utcb(struct generator *g);

#endif
