/* SPDX-License-Identifier: MIT */
/*
 * Execution contexts: threads, local ECs (servers behind portals) and vCPUs.
 *
 * An EC stays on its CPU. While it is not running its whole state is here, so that nothing is kept on the kernel stack: entry code saves
 * all user registers in `regs`, and the EC continues from there. A hypercall that has to wait or be restarted leaves RIP at the
 * SYSCALL instruction. Everything below `regs` is touched by the EC's own CPU only, except where noted.
 */
#ifndef KERNEL_EC_H
#define KERNEL_EC_H

#include "abi/utcb.h"
#include "kernel/object.h"
#include "kernel/offsets.h"
#include "lib/rbtree.h"

struct sc;
struct sm;
struct space;
struct vcpu;

/* General registers by encoding, as in struct abi_event. */
struct regs {
    uint64_t gpr[16];
    uint64_t rip, rflags;
};

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

enum ec_state {
    EC_IDLE,     // a local EC that waits for a call; a thread without SC yet; a vCPU
    EC_RUNNABLE,
    EC_CALLING,  // waits for the reply of `callee`
    EC_HELPING,  // wants to call `callee`, which is busy: gives it its time, then tries again
    EC_BLOCKED,  // waits on the semaphore `sm`
    EC_STOPPED   // never runs again
};

/* Things to be done before an EC returns to user level; its CPU looks at them at each resumption. */
#define EC_HAZARD_RECALL 0x1u // set from any CPU
#define EC_HAZARD_EVENT  0x2u // an exception waits to be delivered to a busy handler

struct ec {
    struct object object;
    uint8_t kind;            // enum abi_ec
    uint8_t state;           // enum ec_state
    uint8_t hazard;          // EC_HAZARD_*
    bool in_event;           // CALLING: an event, not a call of its own
    uint16_t cpu;
    uint16_t pad;
    struct pd *pd;
    struct abi_utcb *utcb;   // kernel address, NULL if it has none
    struct regs regs;
    void *xstate;            // XSAVE image
    struct ec *caller;       // who waits for this one's reply
    struct ec *callee;       // CALLING, HELPING
    uint64_t fs_base;
    struct sc *sc;           // a thread's own
    uint64_t event_base;     // ~0: none
    struct list_node helpers;   // ECs that help this one, by help_link
    struct list_node help_link;
    struct list_node parked;    // SCs whose chain ends in this blocked EC
    struct sm *sm;           // BLOCKED: under that semaphore's lock
    struct list_node sm_link;
    uint8_t sm_prio;
    uint8_t sm_flags;
    uint8_t wake_status;     // set by who takes it off the semaphore
    uint64_t wake_value;
    struct ec *inbox_next;   // in the inbox of its CPU
    struct rb_node timeout;  // key = deadline in TSC ticks; in sched.timeouts while timed
    bool timed;
    struct abi_event event;  // EC_HAZARD_EVENT: vector, error, cr2
    struct node *utcb_node;  // tree lock
    struct { struct list_node link; struct space *space; uint64_t base, count; } revoke; // tree lock
    /* vCPU only */
    struct vcpu *vcpu;
    struct space *gst, *pio, *msr; // counted references
    struct ec *runner;       // the thread that runs it
    struct ec *running;      // (thread) the vCPU that it runs
};
_Static_assert(offsetof(struct ec, regs) == EC_REGS, "offsets.h");
_Static_assert(offsetof(struct ec, regs.rip) == EC_RIP, "offsets.h");

#endif
