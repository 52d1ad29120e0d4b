/* SPDX-License-Identifier: MIT */
/* The host interface over real threads and real time. */
#ifndef TESTS_VMM_THREAD_HOST_H
#define TESTS_VMM_THREAD_HOST_H

#include "vmm/host.h"
#include "vmm/vm.h"

#include <stdatomic.h>

struct host {
    _Atomic uint64_t deadline;
    struct host_event *device;   // wakes the device thread
    _Atomic unsigned ended;
    _Atomic unsigned written;    // bytes to consoles
    uint8_t *guest;
    uint64_t guest_size;
    void *kept[512];
    unsigned kept_count;
};

struct thread_host_vcpu {
    struct vm *vm;
    unsigned id;
};

struct host *thread_host_new(uint64_t guest_size);
void thread_host_free(struct host *host);
/* Runs the machine to its end; the caller is its device thread. */
void thread_host_run(struct host *host, struct vm *vm, unsigned vcpus);

#endif
