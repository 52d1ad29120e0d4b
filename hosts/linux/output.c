/* SPDX-License-Identifier: MIT */
/* The console's way out. */
#include "hosts/linux/output.h"

#include "hosts/linux/host.h"
#include "vmm/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE   4096u
#define POLL_NS 100000000u

/* False: nobody reads any more. */
static bool write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(fd, bytes, n);

        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) { // somebody else made the file non-blocking
            struct pollfd p = {fd, POLLOUT, 0};

            (void)poll(&p, 1, -1);
        } else if (done == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Copies the first bytes out without making room; 0: there are none, and the writer is idle. */
static size_t peek(struct output *output, uint8_t *piece, bool *closing)
{
    size_t n;

    pthread_mutex_lock(&output->lock);
    n = output->count;
    if (n > OUTPUT_SIZE - output->first)
        n = OUTPUT_SIZE - output->first;
    if (n > PIECE)
        n = PIECE;
    memcpy(piece, output->bytes + output->first, n);
    output->idle = n == 0;
    *closing = output->closing;
    pthread_mutex_unlock(&output->lock);
    return n;
}

/* Makes room; true if the stream goes on at leisure, so that the writer may nap. */
static bool drop(struct output *output, size_t n, bool lost)
{
    bool leisure, tell;

    pthread_mutex_lock(&output->lock);
    output->first = (output->first + n) % OUTPUT_SIZE;
    output->count -= n;
    output->written += n;
    tell = output->wanted || (lost && !output->lost);
    output->lost |= lost;
    leisure = output->count < PIECE && !output->closing;
    pthread_mutex_unlock(&output->lock);
    if (tell)
        output->changed(output->context);
    return leisure;
}

static void *writer(void *argument)
{
    static const struct timespec nap = {0, OUTPUT_NAP_NS};
    struct output *output = argument;
    uint8_t piece[PIECE];
    bool closing, lost = false;
    size_t n;

    for (;;) {
        n = peek(output, piece, &closing);
        if (n == 0 && closing)
            break;
        if (n == 0) {
            (void)host_event_wait(output->wake, HOST_FOREVER);
            continue;
        }
        if (output->take)
            lost = lost || !output->take(output->take_context, piece, n);
        else
            lost = lost || !write_all(output->fd, piece, n);
        if (drop(output, n, lost))
            clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
    host_event_signal(output->done);
    return NULL;
}

bool output_start(struct output *output, struct host *host, int fd, void (*changed)(void *),
                  void *context)
{
    output->fd = fd;
    output->changed = changed;
    output->context = context;
    output->wake = host_event_create(host);
    output->done = host_event_create(host);
    pthread_mutex_init(&output->lock, NULL);
    return output->wake && output->done &&
           pthread_create(&output->thread, NULL, writer, output) == 0;
}

/* With the lock held. */
static void wake_writer(struct output *output)
{
    if (output->idle)
        host_event_signal(output->wake);
    output->idle = false;
}

size_t output_put(struct output *output, const uint8_t *bytes, size_t n)
{
    size_t taken = 0;

    pthread_mutex_lock(&output->lock);
    if (output->lost || output->closing)
        taken = n;
    for (; taken < n && output->count < OUTPUT_SIZE; taken++, output->count++)
        output->bytes[(output->first + output->count) % OUTPUT_SIZE] = bytes[taken];
    if (taken < n)
        output->wanted = true;
    wake_writer(output);
    pthread_mutex_unlock(&output->lock);
    return taken;
}

bool output_take_ready(struct output *output)
{
    bool ready;

    pthread_mutex_lock(&output->lock);
    ready = output->wanted && output->count < OUTPUT_SIZE;
    if (ready)
        output->wanted = false;
    pthread_mutex_unlock(&output->lock);
    return ready;
}

bool output_lost(struct output *output)
{
    bool lost;

    pthread_mutex_lock(&output->lock);
    lost = output->lost;
    pthread_mutex_unlock(&output->lock);
    return lost;
}

static uint64_t progress(struct output *output)
{
    uint64_t written;

    pthread_mutex_lock(&output->lock);
    written = output->written;
    pthread_mutex_unlock(&output->lock);
    return written;
}

bool output_finish(struct output *output, struct host *host, uint64_t patience_ns,
                   bool (*given_up)(void *context))
{
    uint64_t poll = clock_muldiv(POLL_NS, host_ticks_khz(host), 1000000);
    uint64_t since = host_ns(), seen = progress(output);

    pthread_mutex_lock(&output->lock);
    output->closing = true;
    wake_writer(output);
    pthread_mutex_unlock(&output->lock);
    while (!host_event_wait(output->done, host_ticks(host) + poll)) {
        if (progress(output) != seen) {
            seen = progress(output);
            since = host_ns();
        }
        if (host_ns() - since >= patience_ns || given_up(output->context))
            return false;
    }
    pthread_join(output->thread, NULL);
    return true;
}
