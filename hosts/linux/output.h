/* SPDX-License-Identifier: MIT */
/*
 * The console's way out: a buffer that takes bytes without blocking, and a thread that writes them.
 *
 * Whoever reads standard output may be slow or stop: only the writer waits for them. An idle
 * writer is woken by the first byte and writes it at once; then it looks again every OUTPUT_NAP_NS,
 * so a stream of bytes costs no system call each.
 */
#ifndef HOSTS_LINUX_OUTPUT_H
#define HOSTS_LINUX_OUTPUT_H

#include "vmm/host.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_SIZE   65536u
#define OUTPUT_NAP_NS 1000000u

struct output {
    int fd;
    /* Takes what would be written to fd; false: nobody reads any more. NULL: it is written. */
    bool (*take)(void *context, const uint8_t *bytes, size_t n);
    void *take_context;
    void (*changed)(void *context); // by the writer: there is room that was wanted, or it is lost
    void *context;
    pthread_t thread;
    struct host_event *wake, *done;
    pthread_mutex_t lock;           // of what follows
    size_t first, count;
    uint64_t written;               // in all
    bool idle;                      // the writer waits for `wake`
    bool wanted;                    // bytes were refused
    bool lost;                      // nobody reads any more; bytes go nowhere
    bool closing;
    uint8_t bytes[OUTPUT_SIZE];
};

/* Starts the writer; `take` is set before. False: no memory or no thread. */
bool output_start(struct output *output, struct host *host, int fd, void (*changed)(void *),
                  void *context) __attribute__((warn_unused_result));

/* Takes up to n bytes; returns how many. Any thread. */
size_t output_put(struct output *output, const uint8_t *bytes, size_t n);

/* True once after output_put() took less than all and there is room again. */
bool output_take_ready(struct output *output);
bool output_lost(struct output *output);

/*
 * Writes what is left, and ends the writer. Gives up (false) when patience_ns have passed without
 * a byte being taken, or when given_up() says so, which is asked ten times a second.
 */
bool output_finish(struct output *output, struct host *host, uint64_t patience_ns,
                   bool (*given_up)(void *context));

#endif
