/* SPDX-License-Identifier: MIT */
/* The paravirtual clock's page and wall clock. */
#include "vmm/paravirt/kvmclock.h"

#include "lib/string.h"

#define ENABLED     1u
#define FLAG_STABLE 1u
#define NS_PER_S    1000000000ull

struct pvclock_page {
    uint32_t version; // odd while it is being written
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t mul;
    int8_t   shift;
    uint8_t  flags;
    uint8_t  pad[2];
};
_Static_assert(sizeof(struct pvclock_page) == 32, "pvclock-abi.h");

struct pvclock_wall {
    uint32_t version, sec, nsec;
};
_Static_assert(sizeof(struct pvclock_wall) == 12, "pvclock-abi.h");

struct kvmclock_scale kvmclock_scale(uint64_t hz)
{
    struct kvmclock_scale scale = { 0, 0 };
    uint64_t mul;

    /* The factor's upper bit is to be set: bring hz into (10^9, 2 * 10^9]. */
    while (hz > 2 * NS_PER_S) {
        hz = hz / 2 + hz % 2;
        scale.shift--;
    }
    while (hz <= NS_PER_S) {
        hz *= 2;
        scale.shift++;
    }
    mul = clock_muldiv(NS_PER_S, 1ull << 32, hz);
    scale.mul = (uint32_t)mul;
    return scale;
}

uint64_t kvmclock_ns(struct kvmclock_scale scale, uint64_t ticks)
{
    ticks = scale.shift >= 0 ? ticks << scale.shift : ticks >> -scale.shift;
    return clock_muldiv(ticks, scale.mul, 1ull << 32);
}

/*
 * Version odd, the body, version even: the guest reads again if it sees the version odd or changed.
 * x86 keeps the order of stores; the fences keep the compiler's.
 */
static void publish(struct memory *memory, uint64_t gpa, void *page, size_t size)
{
    uint32_t version;

    if (!memory_is_ram(memory, gpa, size) || !memory_read(memory, gpa, &version, sizeof(version)))
        return;
    version = (version | 1) + 2;
    if (!memory_write(memory, gpa, &version, sizeof(version)))
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!memory_write(memory, gpa + sizeof(version), (const uint8_t *)page + sizeof(version),
                      size - sizeof(version)))
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    version++;
    (void)!memory_write(memory, gpa, &version, sizeof(version));
}

void kvmclock_update(const struct kvmclock *kvmclock, struct memory *memory,
                     const struct clock *clock, uint64_t tsc_skew)
{
    struct kvmclock_scale scale = kvmclock_scale(clock->hz);
    struct pvclock_page page = {
        .tsc_timestamp = tsc_skew,
        .mul = scale.mul,
        .shift = scale.shift,
        .flags = FLAG_STABLE,
    };

    if (kvmclock->system & ENABLED)
        publish(memory, kvmclock->system & ~(uint64_t)ENABLED, &page, sizeof(page));
}

void kvmclock_write_system(struct kvmclock *kvmclock, struct memory *memory,
                           const struct clock *clock, uint64_t tsc_skew, uint64_t value)
{
    kvmclock->system = value;
    kvmclock_update(kvmclock, memory, clock, tsc_skew);
}

void kvmclock_write_wall(struct kvmclock *kvmclock, struct memory *memory,
                         const struct clock *clock, uint64_t value)
{
    uint64_t up = kvmclock_ns(kvmclock_scale(clock->hz), clock_now(clock));
    uint64_t start = host_wall_ns(clock->host) - up;
    struct pvclock_wall wall = { 0, (uint32_t)(start / NS_PER_S), (uint32_t)(start % NS_PER_S) };

    kvmclock->wall = value;
    publish(memory, value, &wall, sizeof(wall));
}
