/* SPDX-License-Identifier: MIT */
/*
 * The host interface (vmm/host.h) on Linux: an ordinary process.
 *
 * Ticks are nanoseconds of CLOCK_MONOTONIC, host_ticks_khz() 1000000; or, for an engine that lets
 * the guest read the processor's own TSC, that TSC (tsc_khz). What Linux waits for is always in
 * nanoseconds: host_deadline_ns() converts.
 *
 * The main thread is the device thread: an epoll loop over a timerfd, an eventfd, a signalfd and
 * standard input. Another thread writes the console's output (output.h), one a vCPU runs the
 * guest. Guest RAM is mapped once and for all (guest_memory.h); engines in this process reach it by
 * memory_pointer(), and KVM is told by `map`.
 */
#ifndef HOSTS_LINUX_HOST_H
#define HOSTS_LINUX_HOST_H

#include "hosts/linux/escape.h"
#include "hosts/linux/guest_memory.h"
#include "hosts/linux/image.h"
#include "hosts/linux/output.h"
#include "hosts/linux/record_file.h"
#include "hosts/linux/terminal.h"
#include "hosts/linux/trace.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define HOST_INPUT 128u // bytes read at once
#define HOST_LINE  200u // longest line of the log; more is cut

struct host {
    struct vm *vm;                // from vm_create() on
    struct guest_memory memory;
    struct image kernel, initrd;  // size 0: none
    struct image modules[VM_MODULES_MAX];
    unsigned cpus;                // that this process may use
    uint64_t tsc_khz;             // ticks are the TSC's; 0: nanoseconds. Set before vm_create()
    uint64_t slow;                // so many nanoseconds are one, by which the guest's clock is slow; 0: 1. Likewise
    /* Makes guest RAM appear to the guest; NULL: the engine needs none. */
    bool (*map)(void *context, uint64_t gpa, uint8_t *base, uint64_t size, bool writable);
    void *map_context;
    struct terminal terminal;     // raw only while the machine runs
    struct output output;
    bool verbose;
    struct trace trace;
    struct record_file record;
    int  epoll, timer, wake, signals;

    pthread_mutex_t timer_lock;   // of the two deadlines, in ticks
    uint64_t deadline;            // the machine's
    uint64_t armed;               // the timerfd's: it may come too early, never too late
    _Atomic uint32_t work;        // what the device thread was woken for (loop.c)
    _Atomic uint32_t ended;

    /* Input; device thread only. */
    int  input;                   // -1: closed
    bool input_polls;             // epoll knows this kind of file
    bool input_watched;           // it is in the epoll set
    struct escape escape;
    uint8_t held[HOST_INPUT * ESCAPE_BYTES_MAX]; // what the guest had no room for yet
    size_t held_first, held_count;
    struct host_owned *owned;     // sync.c: mutexes and events
    bool stuck;                   // the console's thread has not ended
    bool interrupted;             // a signal or the escape key ended the machine

    uint8_t debug_line[HOST_LINE]; // of the debug console, under the machine lock
    size_t debug_used;
};

/*
 * Before any thread is started. Blocks the signals that the device thread takes (threads inherit
 * that). False: said why in the log.
 */
bool host_init(struct host *host, int input) __attribute__((warn_unused_result));
/* Starts the console's thread; before any vcpu_loop(). False: said why in the log. */
bool host_start_output(struct host *host, int output) __attribute__((warn_unused_result));
/* CLOCK_MONOTONIC now, and the time on it that a deadline in ticks is, rounded up. */
uint64_t host_ns(void);
uint64_t host_deadline_ns(struct host *host, uint64_t deadline);

/* vm_config.images. */
bool host_images(struct host *host, bool needed);

/* Makes guest RAM. */
bool host_memory(struct host *host, uint64_t size) __attribute__((warn_unused_result));

/* The device thread, until the machine has ended (true) or `until` (host_ns()) has passed. */
bool host_run(struct host *host, uint64_t until);

/* Puts the terminal back and waits for the console's output to be read. Only after the end. */
void host_finish(struct host *host);

/* Frees mutexes and events. With no thread left but the caller. */
void host_release(struct host *host);

/* The files that it needs, but for output and log: sets fd[] and returns how many. */
#define HOST_FILES (12u + VM_MODULES_MAX)
unsigned host_files(const struct host *host, int fd[HOST_FILES]);

/* A line for the log in the manner of printf. */
__attribute__((format(printf, 2, 3)))
void host_say(struct host *host, const char *format, ...);

/* loop.c, for host.c: wakes the device thread for these bits. */
#define HOST_OUTPUT 1u // there is room, or nobody reads any more
#define HOST_RESUME 2u // the guest takes input again
#define HOST_ENDED  4u
#define HOST_COMMAND 8u // the command (command.h) is over
void host_wake(struct host *host, uint32_t bits);
bool loop_init(struct host *host, int input) __attribute__((warn_unused_result));

#endif
