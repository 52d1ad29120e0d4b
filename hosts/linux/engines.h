/* SPDX-License-Identifier: MIT */
/* The CPU engines of this build, and which one a machine gets. */
#ifndef HOSTS_LINUX_ENGINES_H
#define HOSTS_LINUX_ENGINES_H

#include "hosts/linux/options.h"
#include "vmm/engine.h"
#include "vmm/vm.h"

#include <stddef.h>
#include <stdint.h>

/* How an engine is made: create, then vm_create(), then attach, then the vCPUs' threads. */
struct engine_kind {
    const struct engine_ops *ops;
    struct engine *(*create)(struct host *host, unsigned vcpus); // NULL: out of memory
    bool (*attach)(struct engine *engine, struct vm *vm);       // false: out of memory
    bool (*begin_thread)(struct engine *engine); // in each vCPU's thread; may be NULL
    bool (*compare)(struct engine *engine); // with the interpreter; after create; may be NULL
    void (*destroy)(struct engine *engine);                      // after vm_destroy()
    uint64_t (*steps)(const struct engine *engine, unsigned vcpu); // guest instructions so far
    /* Lines for --stats: writes the next one and returns true, from n = 0 on. May be NULL. */
    bool (*describe)(const struct engine *engine, unsigned n, char *line, size_t size);
    /* What the sandbox leaves it: files, at most one a vCPU, and ioctl requests. May be NULL. */
    unsigned (*files)(const struct engine *engine, int *fd);
    const uint32_t *requests;
    unsigned request_count;
};

/* NULL: `error` says why and what to do; else it may say why it is not another one, or be empty. */
const struct engine_kind *engines_choose(enum options_engine wanted, char *error, size_t size);

#endif
