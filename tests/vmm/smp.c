/* SPDX-License-Identifier: MIT */
/*
 * Four vCPUs on threads: two tokens go round as inter-processor interrupts, in opposite
 * directions, while each vCPU's timer ticks and now and then a device is used. Between interrupts
 * a vCPU halts, or runs until it is kicked. One lost wake-up and the ring stands still (the alarm
 * ends the program). Half way the machine is reset.
 */
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "tests/vmm/script.h"
#include "tests/vmm/thread_host.h"
#include "vmm/machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VCPUS 4u
#define WORKS 64u
#define CLOCKWISE 0x50u
#define COUNTER   0x60u
#define TICK      0xe0u

enum { WRMSR, OUT };

struct work {
    unsigned kind;
    uint32_t where;
    uint64_t value;
};

struct guest {
    struct work work[WORKS];   // what this processor does next
    unsigned first, count;
    uint64_t seed;
    unsigned ticks;
    bool waits;                // for the others to come up
};

static struct host *host;
static struct vm *vm;
static struct guest guest[VCPUS];
static _Atomic unsigned hops[2];
static _Atomic unsigned online, boots;
static unsigned goal;

static void todo(struct guest *g, unsigned kind, uint32_t where, uint64_t value)
{
    if (g->count == WORKS)
        abort();
    g->work[(g->first + g->count++) % WORKS] = (struct work){kind, where, value};
}

static void send(struct guest *g, unsigned to, uint32_t low)
{
    todo(g, WRMSR, 0x830, (uint64_t)to << 32 | low);
}

/* The first instructions of a processor. */
static void begin(unsigned id)
{
    struct guest *g = &guest[id];
    uint64_t seed = g->seed;

    memset(g, 0, sizeof(*g));
    g->seed = seed ? seed : id + 1;
    todo(g, WRMSR, 0x1b, 0xfee00c00 | (id ? 0 : 0x100));
    todo(g, WRMSR, 0x80f, 0x1ff);
    todo(g, WRMSR, 0x832, 0x20000 | TICK);
    todo(g, WRMSR, 0x83e, 0xb);
    todo(g, WRMSR, 0x838, 500000);
    if (id) {
        atomic_fetch_add(&online, 1);
        return;
    }
    atomic_store(&online, 1);
    atomic_fetch_add(&boots, 1);
    g->waits = true;
    todo(g, WRMSR, 0x830, 0xc4500);
    todo(g, WRMSR, 0x830, 0xc4699);
}

static void pass(struct guest *g, unsigned id, unsigned vector)
{
    unsigned way = vector == COUNTER;
    unsigned n = atomic_fetch_add(&hops[way], 1);

    if (way == 0 && n == goal / 2)
        todo(g, OUT, 0xcf9, 6);
    else if (way == 0 && n >= goal)
        todo(g, OUT, 0x4004, 0x3401);
    else
        send(g, (id + (way ? VCPUS - 1 : 1)) % VCPUS, vector);
}

static void interrupt(struct guest *g, unsigned id, unsigned vector)
{
    todo(g, WRMSR, 0x80b, 0);
    if (vector == TICK)
        g->ticks++;
    else
        pass(g, id, vector);
    if (random_below(&g->seed, 8) == 0)
        todo(g, OUT, 0x3f8, 'x');
}

static void perform(struct guest *g, struct cpu_state *s)
{
    struct work work = g->work[g->first];

    g->first = (g->first + 1) % WORKS;
    g->count--;
    s->q1 = s->rip + 1;
    s->gpr[CPU_RAX] = (uint32_t)work.value;
    s->gpr[CPU_RDX] = work.value >> 32;
    if (work.kind == OUT) {
        s->reason = EXIT_IO;
        s->q0 = work.where << 16 | (work.where == 0x4004 ? 2 : 1) << 4;
        return;
    }
    s->gpr[CPU_RCX] = work.where;
    s->insn_len = 2;
    s->reason = EXIT_MSR;
    s->q0 = 1;
}

static void spin(struct engine *engine, unsigned id)
{
    uint64_t end = host_ticks(host) + 20000;

    while (!atomic_exchange(&engine->kicks[id], 0) && host_ticks(host) < end)
        continue;
}

static void enter(struct engine *engine, unsigned id, struct cpu_state *s)
{
    struct guest *g = &guest[id];

    if (id == 0 ? s->rip == 0x100020 : s->rip == 0) {
        begin(id);
        s->rip++;
    }
    s->rflags |= 0x200;
    if (s->event & CPU_EVENT_VALID) {
        interrupt(g, id, s->event & 0xff);
        s->event = 0;
    }
    if (g->waits && !g->count && atomic_load(&online) == VCPUS) {
        g->waits = false;
        send(g, 1, CLOCKWISE);
        send(g, VCPUS - 1, COUNTER);
    }
    if (g->count) {
        perform(g, s);
        return;
    }
    s->reason = EXIT_RECALL;
    if (g->waits || random_below(&g->seed, 3) == 0) {
        spin(engine, id);
        return;
    }
    s->insn_len = 1;
    s->reason = EXIT_HLT;
}

int main(int argc, char **argv)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    const struct vm_config config = {.memory = 16 << 20, .vcpus = VCPUS, .kernel = script_image()};
    bool ticked = true;

    goal = argc > 1 ? (unsigned)atoi(argv[1]) : 4000;
    alarm(120);
    host = thread_host_new(16 << 20);
    engine->enter = enter;
    vm = vm_create(host, &script_ops, engine, &config);
    if (!ok(vm != NULL, "a machine with %u vCPUs", VCPUS))
        return tap_done();
    thread_host_run(host, vm, VCPUS);
    is_u64(vm_end(vm).reason, VM_END_POWEROFF, "powered off");
    ok(hops[0] > goal, "the token went round: %u hops", hops[0]);
    ok(hops[1] > goal / 4, "so did the other: %u hops", hops[1]);
    is_u64(boots, 2, "with a reset in between");
    for (unsigned i = 0; i < VCPUS; i++)
        ticked &= guest[i].ticks > 0;
    ok(ticked, "each vCPU's timer ticked");
    vm_destroy(vm);
    thread_host_free(host);
    free(engine);
    return tap_done();
}
