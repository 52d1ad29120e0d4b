/* SPDX-License-Identifier: MIT */
/* The device thread's timer, under the machine's clock: never early, never lost. */
#include "hosts/linux/host.h"
#include "tests/unit/tap.h"
#include "vmm/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MS     1000000ull
#define TIMERS 200u

struct alarm {
    struct clock_timer timer;
    struct alarm_clock *all;
    uint64_t deadline;
};

struct alarm_clock {
    struct host host;
    struct vm vm;                // nothing of it but the clock
    unsigned fired, early, late; // late: by more than half a second
    unsigned goal;
    uint64_t last;               // when the last one fired
    struct alarm alarm[TIMERS];
};

static void fire(void *owner)
{
    struct alarm *alarm = owner;
    struct alarm_clock *all = alarm->all;

    all->last = clock_now(&all->vm.clock);
    all->early += all->last < alarm->deadline;
    all->late += all->last > alarm->deadline + 500 * MS;
    if (++all->fired == all->goal)
        host_vm_ended(&all->host);
}

static struct alarm_clock *create(unsigned goal)
{
    struct alarm_clock *all = calloc(1, sizeof(*all));

    if (!host_init(&all->host, open("/dev/null", O_RDONLY)))
        abort();
    all->host.vm = &all->vm;
    all->goal = goal;
    if (clock_init(&all->vm.clock, &all->host) != VMM_OK)
        abort();
    for (unsigned i = 0; i < TIMERS; i++) {
        all->alarm[i].all = all;
        clock_timer_init(&all->alarm[i].timer, NULL, fire, &all->alarm[i]);
    }
    return all;
}

static void finish(struct alarm_clock *all)
{
    int files[HOST_FILES];
    unsigned count = host_files(&all->host, files);

    while (count)
        close(files[--count]);
    host_free(&all->host, all->vm.clock.lock);
    free(all);
}

static void set(struct alarm_clock *all, unsigned i, uint64_t ns)
{
    all->alarm[i].deadline = clock_now(&all->vm.clock) + ns;
    clock_timer_set(&all->vm.clock, &all->alarm[i].timer, all->alarm[i].deadline);
}

static bool run(struct alarm_clock *all, uint64_t ns)
{
    return host_run(&all->host, host_ticks(&all->host) + ns);
}

static void many(void)
{
    struct alarm_clock *all = create(TIMERS);

    for (unsigned i = 0; i < TIMERS; i++)
        set(all, i, (i * 37 % TIMERS) * MS / 2);
    ok(run(all, 20000 * MS), "%u timers run", TIMERS);
    is_u64(all->fired, TIMERS, "each once");
    is_u64(all->early, 0, "none early");
    is_u64(all->late, 0, "none late");
    finish(all);
}

static void later(void)
{
    struct alarm_clock *all = create(1);
    uint64_t begin = clock_now(&all->vm.clock);

    set(all, 0, 5 * MS);
    set(all, 0, 80 * MS);
    ok(!run(all, 30 * MS), "a timer that was moved does not come at its first time");
    ok(run(all, 20000 * MS) && all->early == 0, "but at its second");
    ok(all->last - begin >= 80 * MS, "not earlier");
    finish(all);
}

static void *sooner_thread(void *argument)
{
    static const struct timespec moment = {0, 50 * MS};
    struct alarm_clock *all = argument;

    nanosleep(&moment, NULL);
    set(all, 0, 10 * MS);
    return NULL;
}

/* The device thread sleeps towards a far deadline when another thread brings a near one. */
static void sooner(void)
{
    struct alarm_clock *all = create(1);
    uint64_t begin = host_ticks(&all->host);
    pthread_t thread;

    set(all, 1, 60000 * MS);
    pthread_create(&thread, NULL, sooner_thread, all);
    ok(run(all, 20000 * MS), "a near deadline of another thread wakes the device thread");
    pthread_join(thread, NULL);
    ok(host_ticks(&all->host) - begin < 5000 * MS, "in time");
    is_u64(all->fired, 1, "and only that timer");
    finish(all);
}

static void never(void)
{
    struct alarm_clock *all = create(1);

    set(all, 0, 5 * MS);
    clock_timer_set(&all->vm.clock, &all->alarm[0].timer, CLOCK_NEVER);
    ok(!run(all, 50 * MS) && all->fired == 0, "a timer that was disarmed does not come");
    host_timer_set(&all->host, 0);
    ok(!run(all, 20 * MS), "a deadline long past does no harm");
    finish(all);
}

int main(void)
{
    many();
    later();
    sooner();
    never();
    return tap_done();
}
