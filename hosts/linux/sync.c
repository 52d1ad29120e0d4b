/* SPDX-License-Identifier: MIT */
/* Locks and events of the host interface. */
#include "hosts/linux/host.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Mutexes and events live as long as the machine; the host keeps them in a list, to free them then. */
struct host_owned {
    struct host_owned *next;
};

struct host_mutex {
    struct host_owned owned;
    pthread_mutex_t mutex;
};

/* `count` is the futex. Whoever signals looks at `waits` after it has counted. */
struct host_event {
    struct host_owned owned;
    struct host *host;
    _Atomic uint32_t count;
    _Atomic uint32_t waits;
};

static void own(struct host *host, struct host_owned *object)
{
    object->next = host->owned;
    host->owned = object;
}

void host_release(struct host *host)
{
    while (host->owned) {
        struct host_owned *object = host->owned;

        host->owned = object->next;
        host_free(host, object);
    }
}

struct host_mutex *host_mutex_create(struct host *host)
{
    struct host_mutex *mutex = host_alloc(host, sizeof(*mutex), 64);

    if (mutex) {
        pthread_mutex_init(&mutex->mutex, NULL);
        own(host, &mutex->owned);
    }
    return mutex;
}

void host_mutex_lock(struct host_mutex *mutex)
{
    pthread_mutex_lock(&mutex->mutex);
}

void host_yield(void)
{
    sched_yield();
}

void host_mutex_unlock(struct host_mutex *mutex)
{
    pthread_mutex_unlock(&mutex->mutex);
}

struct host_event *host_event_create(struct host *host)
{
    struct host_event *event = host_alloc(host, sizeof(*event), 64);

    if (event) {
        event->host = host;
        own(host, &event->owned);
    }
    return event;
}

void host_event_signal(struct host_event *event)
{
    atomic_fetch_add(&event->count, 1);
    if (atomic_load(&event->waits))
        syscall(SYS_futex, &event->count, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool take(struct host_event *event)
{
    uint32_t count = atomic_load(&event->count);

    while (count)
        if (atomic_compare_exchange_weak(&event->count, &count, count - 1))
            return true;
    return false;
}

/* Sleeps while there is no signal; false if the deadline passed. FUTEX_WAIT_BITSET: absolute. */
static bool sleep_until(struct host_event *event, uint64_t deadline)
{
    uint64_t ns = host_deadline_ns(event->host, deadline);
    struct timespec until = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    long result;

    atomic_store(&event->waits, 1);
    result = syscall(SYS_futex, &event->count, FUTEX_WAIT_BITSET_PRIVATE, 0,
                     deadline == HOST_FOREVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    atomic_store(&event->waits, 0);
    return !(result < 0 && errno == ETIMEDOUT);
}

bool host_event_wait(struct host_event *event, uint64_t deadline)
{
    while (!take(event))
        if (!sleep_until(event, deadline))
            return take(event);
    return true;
}
