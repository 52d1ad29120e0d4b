/* SPDX-License-Identifier: MIT */
/*
 * The attacks. Each runs in a component of its own without any authority, named "attack-" and the attack's name,
 * while the victim works. An attack checks that what it tries is refused; that nobody else notices is the victim's
 * to say.
 */
#ifndef TESTS_ISOLATION_ATTACKER_H
#define TESTS_ISOLATION_ATTACKER_H

#include "framework/hypercall.h"
#include "tests/components/check.h"
#include "tests/unit/random.h"

struct attack {
    struct checks checks;
    uint64_t seed;
};

/* The kernel (hypercalls.c). */
void attack_selectors(struct attack *a); // every hypercall on every selector below 4096, random arguments
void attack_wild(struct attack *a);      // random hypercalls on what it does have; ends by chance or after a second

/* Core (core.c). */
void attack_core(struct attack *a);      // every operation with random words and capabilities
void attack_attach(struct attack *a);    // others' dataspaces, addresses that are not its own
void attack_threads(struct attack *a);   // stops every thread that core knows by number, its own too
void attack_log(struct attack *a);       // floods the log with lines that look like another's

/* Init (parent.c). */
void attack_parent(struct attack *a);    // forged sessions, malformed and oversize messages
void attack_sessions(struct attack *a);  // as many sessions as it gets

/* Resources (starve.c). */
void attack_memory(struct attack *a);
void attack_kernel(struct attack *a);    // kernel memory, by each kind of object
void attack_time(struct attack *a);      // threads at the highest priority, spinning on every CPU
void attack_faults(struct attack *a);    // many threads that fault again and again

/* Any hypercall with these registers; all results are dropped but the status. */
uint64_t raw_hypercall(uint64_t target, const uint64_t argument[6]);

/* A value that is more often than not one that means something: a selector, an address, a border, any number. */
uint64_t random_argument(uint64_t *seed);

#endif
