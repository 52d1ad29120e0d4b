/* SPDX-License-Identifier: MIT */
/*
 * The pattern of every server: calls, signals, one lock.
 *
 * Calls arrive at portals, each of which belongs to one object; they run on a local EC, one for each CPU that is served, on the caller's
 * time. Signals (semaphore ups by other components, bits raised by threads of this one, a deadline) are handled by the one thread in
 * entrypoint_run(). Both hold the lock while they run a handler, so handlers need no locks of their own. A handler never waits for a
 * client; it may call core and the parent.
 *
 * A client that is destroyed in the middle of a call leaves the local EC unfinished, perhaps with the lock held. Whoever calls it next
 * finishes it; while the signal thread waits for the lock it does just that from time to time, so the lock comes back.
 */
#ifndef FRAMEWORK_ENTRYPOINT_H
#define FRAMEWORK_ENTRYPOINT_H

#include "framework/message.h"
#include "framework/sync.h"
#include "framework/thread.h"

struct entrypoint;

/* Handles one call: the words are in utcb; returns the descriptor of the reply, written there too. */
typedef uint64_t (*entry_handler)(void *object, struct abi_utcb *utcb, uint64_t message);

/* Handles signals: the bits raised; 0 when another component signalled or the deadline passed. Look at everything. */
typedef void (*signal_handler)(void *context, uint64_t bits);

struct portal {
    struct entrypoint *entrypoint;
    entry_handler      handler; // NULL: unused
    void              *object;
    uint16_t           generation;
    uint16_t           cpu;
    uint32_t           selector;
};

struct entrypoint {
    struct mutex   lock;
    uint32_t       signal;   // selector of the SM to up
    uint64_t       pending;
    uint64_t       deadline; // absolute TSC, 0: none; set by handlers
    uint64_t       cpu_mask;
    unsigned       window_slots;         // capabilities that a message may bring; 0: none
    uint32_t       window[ABI_CPU_MAX];  // where they land; 0 once a handler has kept them
    struct portal *portals;  // the caller's array
    unsigned       portal_count;
    signal_handler signalled;
    void          *context;
    struct portal *nudge[ABI_CPU_MAX];
    struct thread *keepers[ABI_CPU_MAX];
    struct thread *local[ABI_CPU_MAX];
};

/*
 * portals: an array for so many portals, one more for each CPU. Threads come from the heap. The lock is not held.
 */
enum status entrypoint_init(struct entrypoint *entrypoint, uint64_t cpu_mask, struct portal *portals, unsigned count,
                            signal_handler signalled, void *context) MUST_CHECK;

/* From now on messages may bring up to `slots` capabilities. Before the first call. */
enum status entrypoint_open_windows(struct entrypoint *entrypoint, unsigned slots) MUST_CHECK;

/*
 * In a handler: keep what the message brought. Returns the first of window_slots slots, which the caller frees with slots_remove().
 * Capabilities that are not kept are taken away again when the handler returns.
 */
uint32_t entrypoint_keep(struct entrypoint *entrypoint);

/* A portal on a CPU for an object; its selector is in the result. Under the lock, or before entrypoint_run(). */
enum status portal_make(struct entrypoint *entrypoint, unsigned cpu, entry_handler handler, void *object,
                        struct portal **portal) MUST_CHECK;
void portal_end(struct portal *portal);

/* Raise bits from a thread of this component. */
void entrypoint_raise(struct entrypoint *entrypoint, uint64_t bits);

/* Handle signals for ever, on the calling thread. */
_Noreturn void entrypoint_run(struct entrypoint *entrypoint);

#endif
