/* SPDX-License-Identifier: MIT */
/*
 * The host interface (vmm/host.h) on the microhypervisor: one component, its heap, semaphores and threads.
 *
 * The main thread is the device thread: it waits on one semaphore with the timer's deadline, and looks at everything when it wakes. Output of the guest
 * goes into the terminal's ring at once, and the terminal is told within HOST_FLUSH_US, so that a guest that prints does not pay
 * a switch for each byte.
 */
#ifndef HOSTS_MICRO_HOST_H
#define HOSTS_MICRO_HOST_H

#include "framework/session/terminal.h"
#include "framework/sync.h"
#include "hosts/micro/engine.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define HOST_CHUNKS   64u
#define HOST_FLUSH_US 1000u

struct host_mutex {
    struct mutex mutex;
};

struct host_event {
    struct host *host;
    uint32_t     sm;
};

struct host {
    struct engine   engine;
    struct vm      *vm;
    uint32_t        wake;           // SM of the device thread
    _Atomic uint64_t deadline;      // the timer's; HOST_FOREVER: none
    _Atomic uint64_t sleeping;      // until when the device thread sleeps; 0: it is awake
    _Atomic uint32_t ended;
    struct terminal *_Atomic terminal; // NULL: none was to be had
    struct terminal *next;          // requested since the present one was lost, or NULL
    _Atomic uint32_t unflushed;     // there is output that the terminal has not been told of
    uint8_t held_byte;              // a byte of input that the guest had no room for, if `held`; device thread only
    bool held;
    _Atomic uint32_t refused;       // output found no room
    _Atomic uint64_t waited;        // ticks that vCPUs have spent waiting, in all
    uint64_t        wall_ns;        // wall clock at tick 0 of the TSC
    struct mapping   chunk[HOST_CHUNKS];
    unsigned        chunks;
};

enum status host_init(struct host *host) MUST_CHECK;

/* Guest memory in as few pieces as can be had, 2 MiB aligned where large enough. */
enum status host_memory(struct host *host, uint64_t size) MUST_CHECK;

/* The device thread: until the machine has ended or `until` (absolute ticks). True: it has ended. */
bool host_run(struct host *host, uint64_t until);

#endif
