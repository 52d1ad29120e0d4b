/* SPDX-License-Identifier: MIT */
/*
 * Execution contexts: threads, local ECs (servers behind portals) and vCPUs.
 *
 * An EC stays on its CPU. While it is not running its whole state is here, so that nothing is kept
 * on the kernel stack: entry code saves all user registers in `regs`, and the EC continues from
 * there. A hypercall that has to be restarted leaves RIP at the SYSCALL instruction; one that waits
 * is completed by who wakes it. All fields are touched by the EC's own CPU only, except where
 * noted.
 */
#ifndef KERNEL_EC_H
#define KERNEL_EC_H

#include "abi/utcb.h"
#include "kernel/object.h"
#include "kernel/regs.h"
#include "lib/rbtree.h"

struct sc;
struct sm;
struct space;
struct vcpu;

enum ec_state {
    EC_IDLE,     // a local EC that waits for a call; a thread without SC yet; a vCPU
    EC_RUNNABLE,
    EC_CALLING,  // waits for the reply of `callee`
    EC_HELPING,  // wants to call `callee`, which is busy: gives it its time, then tries again
    EC_BLOCKED,  // waits on the semaphore `sm`
    EC_STOPPED   // never runs again
};

/* Things to be done before an EC returns to user level. */
#define EC_HAZARD_RECALL 0x1u // set from any CPU
#define EC_HAZARD_EVENT  0x2u // an exception waits to be delivered to a busy handler

/* The spaces that an EC refers to: its PD's; a vCPU's own. NULL where there is none. */
enum { SPACES_OBJECTS, SPACES_HOST, SPACES_GUEST, SPACES_PORTS, SPACES_MSRS, SPACES_COUNT };

struct ec {
    struct regs regs;
    uint8_t state;           // enum ec_state
    uint8_t hazard;          // EC_HAZARD_*; set from any CPU
    bool in_event;           // CALLING or HELPING for an event, not for a call of its own
    uint8_t kind;            // enum abi_ec
    uint16_t cpu;
    bool timed;              // in sched.timeouts
    uint8_t wake_status;     // set by who takes it off the semaphore
    struct abi_utcb *utcb;   // kernel address, NULL if it has none
    struct object object;
    cap_t **directory;       // of the PD's object space
    struct pd *pd;           // = object.owner
    void *xstate;            // XSAVE image
    struct ec *caller;       // who waits for this one's reply
    struct ec *callee;       // CALLING, HELPING
    uint64_t fs_base;
    uint64_t event_base;     // ~0: none
    struct sc *sc;           // a thread's own; tree lock
    struct list_node portals; // into this EC, by pt.link; tree lock
    struct list_node helpers;   // ECs that help this one, by help_link
    struct list_node help_link;
    struct list_node parked;    // SCs whose chain ends in this blocked EC
    struct sm *sm;           // BLOCKED: this and the next four are under its lock
    struct rb_node sm_node;  // key: ABI_PRIO_MAX - priority
    bool sm_all;             // takes the whole count
    uint64_t wake_value;
    struct ec *inbox_next;   // in the inbox of its CPU
    struct rb_node timeout;  // key: deadline in TSC ticks
    uint64_t event_vector, event_error, event_cr2; // EC_HAZARD_EVENT
    struct node *utcb_node;  // tree lock
    struct list_node revoke_link; // tree lock: its revocation that is under way, in space.revokes
    uint64_t revoke_base, revoke_count;
    struct space *spaces[SPACES_COUNT]; // counted references
    struct vcpu *vcpu;
    struct ec *runner;       // vCPU: the thread that runs it
    struct ec *running;      // thread: the vCPU that it runs
    uint64_t resume_rip;     // thread: where it takes up a run that was interrupted, 0 if none was
};
_Static_assert(offsetof(struct ec, regs) == 0, "RSP0 points to its end");
_Static_assert(offsetof(struct ec, state) == REGS_SIZE, "syscall.S");
_Static_assert(offsetof(struct ec, object) % OBJECT_ALIGN == 0, "capabilities point there");

static inline struct ec *ec_of(struct object *object)
{
    return container_of(object, struct ec, object);
}

/*
 * The capability in a selector of the EC's object space, 0 if there is none. No lock: see
 * kernel/object.h.
 */
static ALWAYS_INLINE cap_t ec_lookup(const struct ec *ec, uint64_t sel)
{
    if (sel > ABI_SEL_MAX)
        return 0;
    cap_t *table = ec->directory[sel / 512];
    return table ? table[sel % 512] : 0;
}

/* The object in a selector if it is of the type and all `perms` are there, else NULL. */
static ALWAYS_INLINE struct object *ec_object(const struct ec *ec, uint64_t sel,
                                              enum object_type type, unsigned perms)
{
    cap_t cap = ec_lookup(ec, sel);
    if ((cap & perms) != perms || !cap_object(cap) || cap_object(cap)->type != type)
        return NULL;
    return cap_object(cap);
}

/* What portals and SCs refer to when their EC has died. It is stopped. */
extern struct ec ec_dead;

struct ec_config {
    struct pd *pd;
    uint8_t kind;
    uint16_t cpu;
    uint64_t page;       // user address of the UTCB or state page, 0 none
    uint64_t rsp, rip, event_base, fs_base;
    struct space *spaces[SPACES_COUNT]; // of a vCPU; those of the PD come by themselves
};

/* Tree lock. Everything is paid by config->pd; nothing is left behind by a failure. */
enum abi_status ec_create(const struct ec_config *config, struct ec **result) MUST_CHECK;
/* Spaces that lose their last reference by it join the list of the dead. */
void ec_free(struct ec *ec, struct list_node *dead);

/* On its CPU: takes it out of everything that goes on; it never runs again. */
void ec_stop(struct ec *ec);

/* A hypercall of this EC is over: results as abi/hypercall.h says. */
void ec_complete(struct ec *ec, enum abi_status status, uint64_t value);

/* The hypercall that this EC is in starts anew when the EC runs again. */
static inline void ec_restart(struct ec *ec)
{
    ec->regs.rip -= 2;
}

#endif
