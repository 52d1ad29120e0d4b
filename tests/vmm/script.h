/* SPDX-License-Identifier: MIT */
/* A CPU engine whose guest is a function of the test, and a guest image that loads. */
#ifndef TESTS_VMM_SCRIPT_H
#define TESTS_VMM_SCRIPT_H

#include "vmm/engine.h"
#include "vmm/vm.h"

#define SCRIPT_VCPUS 4u

struct engine {
    struct cpu_state state[SCRIPT_VCPUS];
    /* One entry of the guest: looks at the state and leaves with an exit in it. */
    void (*enter)(struct engine *engine, unsigned vcpu, struct cpu_state *state);
    unsigned entries[SCRIPT_VCPUS];
    _Atomic unsigned kicks[SCRIPT_VCPUS];
    void *context;
};

extern const struct engine_ops script_ops;

/* A Multiboot kernel of a few bytes. */
struct vm_image script_image(void);

#endif
