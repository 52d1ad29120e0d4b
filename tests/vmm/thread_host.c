/* SPDX-License-Identifier: MIT */
/*
 * The host interface over real threads and real time, for tests of what several vCPUs do at once.
 */
#include "tests/vmm/thread_host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct host_mutex {
    pthread_mutex_t mutex;
};

struct host_event {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned count;
};

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

uint64_t host_ticks(struct host *host)
{
    struct timespec now;

    (void)host;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t host_ticks_khz(struct host *host)
{
    (void)host;
    return 1000000;
}

uint64_t host_poll_ticks(struct host *host)
{
    (void)host;
    return 0;
}

uint64_t host_wall_ns(struct host *host)
{
    (void)host;
    return 1700000000ull * 1000000000;
}

void *host_alloc(struct host *host, size_t size, size_t align)
{
    void *memory = aligned_alloc(align < 16 ? 16 : align, (size + 4095) & ~4095ull);

    if (memory)
        memset(memory, 0, size);
    (void)host;
    return memory;
}

void host_free(struct host *host, void *memory)
{
    (void)host;
    free(memory);
}

struct host_mutex *host_mutex_create(struct host *host)
{
    struct host_mutex *mutex = calloc(1, sizeof(*mutex));

    pthread_mutex_init(&mutex->mutex, NULL);
    host->kept[host->kept_count++] = mutex;
    return mutex;
}

void host_mutex_lock(struct host_mutex *mutex)
{
    pthread_mutex_lock(&mutex->mutex);
}

void host_mutex_unlock(struct host_mutex *mutex)
{
    pthread_mutex_unlock(&mutex->mutex);
}

struct host_event *host_event_create(struct host *host)
{
    struct host_event *event = calloc(1, sizeof(*event));
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&event->mutex, NULL);
    pthread_cond_init(&event->cond, &attributes);
    host->kept[host->kept_count++] = event;
    return event;
}

void host_event_signal(struct host_event *event)
{
    pthread_mutex_lock(&event->mutex);
    event->count++;
    pthread_cond_signal(&event->cond);
    pthread_mutex_unlock(&event->mutex);
}

bool host_event_wait(struct host_event *event, uint64_t deadline)
{
    struct timespec until = to_timespec(deadline);
    bool taken;

    pthread_mutex_lock(&event->mutex);
    while (!event->count && deadline == HOST_FOREVER)
        pthread_cond_wait(&event->cond, &event->mutex);
    while (!event->count && pthread_cond_timedwait(&event->cond, &event->mutex, &until) == 0)
        continue;
    taken = event->count;
    event->count -= taken;
    pthread_mutex_unlock(&event->mutex);
    return taken;
}

void host_timer_set(struct host *host, uint64_t deadline)
{
    atomic_store(&host->deadline, deadline);
    host_event_signal(host->device);
}

size_t host_guest_chunks(struct host *host, struct host_chunk *chunks, size_t max)
{
    (void)max;
    chunks[0] = (struct host_chunk){host->guest, host->guest_size};
    return 1;
}

enum vmm_status host_guest_map(struct host *host, uint64_t gpa, uint8_t *base, uint64_t size,
                               bool writable)
{
    (void)host;
    (void)gpa;
    (void)base;
    (void)size;
    (void)writable;
    return VMM_OK;
}

size_t host_console_write(struct host *host, enum host_console console, const uint8_t *bytes,
                          size_t n)
{
    (void)console;
    (void)bytes;
    atomic_fetch_add(&host->written, (unsigned)n);
    return n;
}

void host_console_resume(struct host *host, enum host_console console)
{
    (void)host;
    (void)console;
}

void host_log(struct host *host, const char *line)
{
    (void)host;
    printf("# %s\n", line);
}

void host_vm_ended(struct host *host)
{
    atomic_store(&host->ended, 1);
    host_event_signal(host->device);
}

struct host *thread_host_new(uint64_t guest_size)
{
    struct host *host = calloc(1, sizeof(*host));

    host->deadline = HOST_FOREVER;
    host->guest_size = guest_size;
    host->guest = aligned_alloc(4096, guest_size);
    memset(host->guest, 0, guest_size);
    host->device = host_event_create(host);
    return host;
}

void thread_host_free(struct host *host)
{
    while (host->kept_count)
        free(host->kept[--host->kept_count]);
    free(host->guest);
    free(host);
}

static void *run_vcpu(void *argument)
{
    struct thread_host_vcpu *vcpu = argument;

    vcpu_loop(vcpu->vm, vcpu->id);
    return NULL;
}

void thread_host_run(struct host *host, struct vm *vm, unsigned vcpus)
{
    pthread_t thread[VM_VCPUS_MAX];
    struct thread_host_vcpu vcpu[VM_VCPUS_MAX];

    for (unsigned i = 0; i < vcpus; i++) {
        vcpu[i] = (struct thread_host_vcpu){vm, i};
        pthread_create(&thread[i], NULL, run_vcpu, &vcpu[i]);
    }
    while (!atomic_load(&host->ended)) {
        if (atomic_load(&host->deadline) <= host_ticks(host)) {
            atomic_store(&host->deadline, HOST_FOREVER);
            vm_timer_due(vm);
        }
        (void)host_event_wait(host->device, atomic_load(&host->deadline));
    }
    for (unsigned i = 0; i < vcpus; i++)
        pthread_join(thread[i], NULL);
}
