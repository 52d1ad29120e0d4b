/* SPDX-License-Identifier: MIT */
/*
 * The host interface: all that the VM process asks of what it runs on. Each host implements every
 * function here.
 *
 * Threads. The host starts one thread for each vCPU, which calls vcpu_loop(), and one device
 * thread, which makes the calls into the VM that vmm/vm.h lists under "from the device thread".
 * The VM process starts none. Time is in TSC ticks of the host (host_ticks), which never go back
 * and agree on all CPUs; deadlines are absolute ticks. Nothing here blocks but host_mutex_lock
 * (short) and host_event_wait. Unless said otherwise a function may be called from any of the
 * VM's threads.
 */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include "vmm/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;       // the host's own, passed to vm_create()
struct host_mutex; // not recursive
struct host_event; // a counting semaphore with one waiter

#define HOST_FOREVER UINT64_MAX

/* Time. */
uint64_t host_ticks(struct host *host);
uint64_t host_ticks_khz(struct host *host);  // exact and constant
/*
 * How long a vCPU that waits may look for a signal before it sleeps, at most: what waking a thread
 * costs. 0: not at all, others need the CPU.
 */
uint64_t host_poll_ticks(struct host *host);
uint64_t host_wall_ns(struct host *host);    // UTC, nanoseconds since 1970-01-01

/*
 * Set-up time only: zeroed, from a fixed heap; NULL when it is exhausted. align is a power of two
 * up to 4096.
 */
void *host_alloc(struct host *host, size_t size, size_t align);
void  host_free(struct host *host, void *memory);

/* Locks and events; NULL when out of memory. A waiting locker sleeps. */
struct host_mutex *host_mutex_create(struct host *host);
void host_mutex_lock(struct host_mutex *mutex);
void host_mutex_unlock(struct host_mutex *mutex);
/* Lets others run, for a thread that waits for one of them to get on. */
void host_yield(void);

struct host_event *host_event_create(struct host *host);
void host_event_signal(struct host_event *event);
/* Takes one signal; false if the deadline passed first. */
bool host_event_wait(struct host_event *event, uint64_t deadline);

/*
 * The one timer: the device thread calls vm_timer_due() at `deadline` or soon after. Replaces the
 * one set before.
 */
void host_timer_set(struct host *host, uint64_t deadline);

/*
 * Guest RAM: the chunks that the host holds for this guest, as the host likes them (2 MiB aligned
 * and few is best). Returns how many, at most max. They stay mapped here for the life of the VM
 * process. host_guest_map() makes part of one appear to the guest; base, size and gpa are
 * multiples of 4 KiB.
 */
struct host_chunk {
    uint8_t *base;
    uint64_t size;
};
size_t host_guest_chunks(struct host *host, struct host_chunk *chunks, size_t max);
enum vmm_status host_guest_map(struct host *host, uint64_t gpa, uint8_t *base, uint64_t size,
                               bool writable) VMM_MUST_CHECK;

/*
 * Character streams (serial ports and the debug console), by channel. Write takes up to n bytes
 * without blocking and returns how many it took; after less than n, the device thread calls
 * vm_console_ready() when there is room. Input: vm_console_input(). host_console_resume(): the
 * guest has taken input after vm_console_input() had refused some.
 */
enum host_console { HOST_CONSOLE_COM1, HOST_CONSOLE_COM2, HOST_CONSOLE_DEBUG, HOST_CONSOLES };
size_t host_console_write(struct host *host, enum host_console console, const uint8_t *bytes,
                          size_t n);
void host_console_resume(struct host *host, enum host_console console);

/* One line for the log, without line end. */
void host_log(struct host *host, const char *line);

/*
 * The VM has come to its end: vm_end() says how. Called once, by the thread that ended it; every
 * vcpu_loop() returns soon.
 */
void host_vm_ended(struct host *host);

#endif
