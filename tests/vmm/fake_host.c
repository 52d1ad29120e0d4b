/* SPDX-License-Identifier: MIT */
/* The host interface for tests. */
#include "tests/vmm/fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host_mutex {
    struct host *host;
    bool held;
};

struct host_event {
    struct host *host;
    unsigned count;
};

/* Freed with the host. */
static void *keep(struct host *host, size_t size)
{
    if (host->kept_count == FAKE_KEPT)
        abort();
    return host->kept[host->kept_count++] = calloc(1, size);
}

struct host *fake_host_new(uint64_t guest_size)
{
    struct host *host = calloc(1, sizeof(*host));

    host->ticks = 123456789;
    host->deadline = HOST_FOREVER;
    host->console_room = SIZE_MAX;
    host->guest_size = guest_size;
    host->guest = guest_size ? aligned_alloc(4096, guest_size) : NULL;
    if (host->guest)
        memset(host->guest, 0, guest_size);
    return host;
}

void fake_host_free(struct host *host)
{
    while (host->kept_count)
        free(host->kept[--host->kept_count]);
    free(host->guest);
    free(host);
}

void fake_host_pass(struct host *host, struct clock *clock, uint64_t nanoseconds)
{
    uint64_t end = host->ticks + nanoseconds;

    while (host->deadline <= end) {
        if (host->ticks < host->deadline)
            host->ticks = host->deadline;
        host->deadline = HOST_FOREVER;
        clock_run(clock);
    }
    host->ticks = end;
}

uint64_t host_ticks(struct host *host)
{
    return host->ticks;
}

uint64_t host_ticks_khz(struct host *host)
{
    (void)host;
    return FAKE_HZ / 1000;
}

uint64_t host_poll_ticks(struct host *host)
{
    (void)host;
    return 0;
}

uint64_t host_wall_ns(struct host *host)
{
    return FAKE_WALL * 1000000000ull + (host->ticks - 123456789);
}

void *host_alloc(struct host *host, size_t size, size_t align)
{
    size_t rounded = (size + align - 1) / align * align;
    void *memory = aligned_alloc(align < 16 ? 16 : align, (rounded + 15) / 16 * 16);

    (void)host;
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void host_free(struct host *host, void *memory)
{
    (void)host;
    free(memory);
}

struct host_mutex *host_mutex_create(struct host *host)
{
    struct host_mutex *mutex = keep(host, sizeof(*mutex));

    mutex->host = host;
    return mutex;
}

void host_mutex_lock(struct host_mutex *mutex)
{
    if (mutex->held) {
        printf("Bail out! a lock is taken twice\n");
        abort();
    }
    mutex->held = true;
    mutex->host->locks_held++;
}

void host_mutex_unlock(struct host_mutex *mutex)
{
    if (!mutex->held) {
        printf("Bail out! a free lock is released\n");
        abort();
    }
    mutex->held = false;
    mutex->host->locks_held--;
}

void host_yield(void)
{
}

struct host_event *host_event_create(struct host *host)
{
    struct host_event *event = keep(host, sizeof(*event));

    event->host = host;
    return event;
}

void host_event_signal(struct host_event *event)
{
    event->count++;
    event->host->signals++;
}

bool host_event_wait(struct host_event *event, uint64_t deadline)
{
    (void)deadline;
    if (event->host->locks_held) {
        printf("Bail out! waiting with a lock held\n");
        abort();
    }
    if (!event->count && event->host->wait)
        event->host->wait(event->host);
    if (!event->count)
        return false;
    event->count--;
    return true;
}

void host_timer_set(struct host *host, uint64_t deadline)
{
    host->deadline = deadline;
    host->timer_calls++;
}

size_t host_guest_chunks(struct host *host, struct host_chunk *chunks, size_t max)
{
    size_t n = host->chunks && host->chunks < max ? host->chunks : 1;
    uint64_t part = host->guest_size / n & ~4095ull;

    for (size_t i = 0; i < n; i++)
        chunks[i] = (struct host_chunk){host->guest + i * part, part};
    chunks[n - 1].size = host->guest_size - (n - 1) * part;
    return host->guest_size ? n : 0;
}

enum vmm_status host_guest_map(struct host *host, uint64_t gpa, uint8_t *base, uint64_t size,
                               bool writable)
{
    (void)host;
    (void)base;
    return gpa % 4096 || size % 4096 || !size || !writable ? VMM_BAD_RANGE : VMM_OK;
}

size_t host_console_write(struct host *host, enum host_console console, const uint8_t *bytes,
                          size_t n)
{
    size_t taken = 0;

    while (taken < n && host->console_room) {
        if (host->console_size[console] < FAKE_CONSOLE)
            host->console[console][host->console_size[console]++] = bytes[taken];
        host->console_room--;
        taken++;
    }
    return taken;
}

void host_console_resume(struct host *host, enum host_console console)
{
    (void)console;
    host->resumed++;
}

void host_log(struct host *host, const char *line)
{
    int n = snprintf(host->log + host->log_size, sizeof(host->log) - host->log_size, "%s\n", line);

    if (n > 0 && host->log_size + (size_t)n < sizeof(host->log))
        host->log_size += (size_t)n;
}

void host_vm_ended(struct host *host)
{
    host->ended = true;
}
