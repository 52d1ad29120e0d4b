/* SPDX-License-Identifier: MIT */
/* The tree lock, rendezvous of all CPUs, and the freeing of what is dead. */
#include "kernel/tree.h"

#include "kernel/cpu.h"
#include "kernel/interrupt.h"
#include "kernel/object_kinds.h"
#include "kernel/paging.h"
#include "kernel/space.h"
#include "kernel/spinlock.h"
#include "kernel/trap.h"
#include "kernel/vcpu.h"

/* One rendezvous at a time: its initiator holds the lock. */
static struct {
    struct spinlock lock;
    uint64_t pending;          // CPUs that have yet to answer; atomic
    const struct batch *batch;
} tree;

void tree_lock(void)
{
    struct cpu *cpu = cpu_self();
    uint32_t ticket = spinlock_ticket(&tree.lock);

    while (!spinlock_is_mine(&tree.lock, ticket)) {
        cpu_pause();
        rendezvous_serve();
    }
    if (!cpu->current_ec || !cpu->current_sc) {
        if (cpu->current_ec)
            ec_restart(cpu->current_ec);
        spinlock_unlock(&tree.lock);
        schedule();
    }
}

void tree_unlock(void)
{
    spinlock_unlock(&tree.lock);
}

/* This CPU's part: what dies here stops here, and nothing of it stays loaded. */
static void serve(const struct batch *batch)
{
    struct cpu *cpu = cpu_self();

    list_for_each(link, &batch->dying) {
        struct object *object = list_entry(link, struct object, link);
        if (object->type == OBJECT_EC && ec_of(object)->cpu == cpu->id) {
            ec_stop(ec_of(object));
        } else if (object->type == OBJECT_SC && sc_of(object)->cpu == cpu->id) {
            sc_stop(sc_of(object));
        } else if (object->type == OBJECT_SPACE_PIO &&
                   cpu->pio_loaded[0] == pool_phys(space_of(object)->root)) {
            cpu_load_pio(cpu, 0, 0);
        }
    }
    if (batch->start && batch->start->cpu == cpu->id)
        sc_start(batch->start);
    if (batch->flush_host)
        tlb_flush_local();
    if (batch->flush_guest && vcpu_ops())
        vcpu_ops()->flush();
}

void rendezvous_serve(void)
{
    uint64_t bit = BIT(cpu_self()->id);

    if (__atomic_load_n(&tree.pending, __ATOMIC_ACQUIRE) & bit) {
        serve(tree.batch);
        __atomic_and_fetch(&tree.pending, ~bit, __ATOMIC_RELEASE);
    }
}

static void rendezvous(const struct batch *batch)
{
    unsigned self = cpu_self()->id, count = cpu_count();
    uint64_t others = (count == 64 ? ~0ull : BIT(count) - 1) & ~BIT(self);

    tree.batch = batch;
    __atomic_store_n(&tree.pending, others, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < count; i++)
        if (others >> i & 1)
            ipi_send(i, IPI_RENDEZVOUS);
    serve(batch);
    while (__atomic_load_n(&tree.pending, __ATOMIC_ACQUIRE))
        cpu_pause();
}

void batch_init(struct batch *batch)
{
    *batch = (struct batch){.budget = BATCH_BUDGET};
    list_init(&batch->dying);
}

void batch_finish(struct batch *batch)
{
    if (!batch->removed && !batch->start)
        return;
    rendezvous(batch);
    frame_list_free(&batch->tables);
    for (struct list_node *link; (link = list_pop_front(&batch->dying)) != NULL;) {
        struct object *object = list_entry(link, struct object, link);
        if (object->refs == 0)
            object_free(object, &batch->dying);
    }
}
