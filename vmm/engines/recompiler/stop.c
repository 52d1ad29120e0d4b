/* SPDX-License-Identifier: MIT */
/* Stopping all vCPUs, and what makes that necessary: pages whose writes are noticed, such as code's. */
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/monitor.h"
#include "vmm/engines/recompiler/run.h"
#include "vmm/engines/recompiler/stop.h"

#define PAGE 4096ull

static void stop(struct engine *engine, const struct rec_cpu *self)
{
    host_mutex_lock(engine->lock);
    atomic_store(&engine->stopping, 1);
    for (unsigned i = 0; i < engine->count; i++) {
        struct rec_cpu *other = engine->cpu[i];

        if (other == self)
            continue;
        atomic_store(&other->poll, 1);
        while (atomic_load(&other->inside))
            host_yield();
    }
}

static void resume(struct engine *engine)
{
    atomic_store(&engine->stopping, 0);
    host_mutex_unlock(engine->lock);
}

void rec_stop_all(struct rec_cpu *cpu)
{
    if (cpu->exclusive)
        return;
    stop(cpu->engine, cpu);
    cpu->exclusive = true;
}

void rec_resume_all(struct rec_cpu *cpu)
{
    if (!cpu->exclusive)
        return;
    cpu->exclusive = false;
    resume(cpu->engine);
}

/* Not while another vCPU is still taking the tags away. */
bool stop_is_watched(const struct page *page, uint8_t flag)
{
    return (atomic_load(&page->flags) & (flag | PAGE_TAGGED)) == flag;
}

void stop_watch(struct rec_cpu *cpu, uint64_t gpa, const uint8_t *host, uint8_t flag)
{
    struct engine *engine = cpu->engine;
    struct page *page = blocks_page(engine->blocks, gpa);

    if (stop_is_watched(page, flag) || !(atomic_fetch_or(&page->flags, flag) & PAGE_TAGGED))
        return;
    rec_stop_all(cpu);
    for (unsigned i = 0; i < engine->count; i++)
        memory_unwrite(engine->cpu[i], host);
    atomic_fetch_and(&page->flags, (uint8_t)~PAGE_TAGGED);
    rec_resume_all(cpu);
}

/* A device has written to guest RAM: code that was there is no more. From any thread. */
void run_device_wrote(void *arg, uint64_t gpa, uint64_t size)
{
    struct engine *engine = arg;

    atomic_thread_fence(memory_order_seq_cst); // the write is before the look at the page
    for (uint64_t at = gpa & ~(PAGE - 1); at < gpa + size; at += PAGE) {
        struct page *page = blocks_page(engine->blocks, at);

        if (page && (atomic_load(&page->flags) & PAGE_WAITED))
            monitor_wrote(engine, NULL, page, at);
        if (!page || !(atomic_load(&page->flags) & PAGE_CODE))
            continue;
        stop(engine, NULL);
        blocks_drop_page(engine->blocks, page);
        resume(engine);
    }
}

/* Waits until nobody wants translated code for himself, and is in it. */
void stop_go_inside(struct rec_cpu *cpu)
{
    for (;;) {
        atomic_store(&cpu->inside, 1);
        if (!atomic_load(&cpu->engine->stopping))
            return;
        atomic_store(&cpu->inside, 0);
        host_mutex_lock(cpu->engine->lock);
        host_mutex_unlock(cpu->engine->lock);
    }
}

static void note_write(struct rec_cpu *cpu, uint64_t gpa, uint64_t size)
{
    struct engine *engine = cpu->engine;
    struct page *page = blocks_page(engine->blocks, gpa);

    if (page && (atomic_load_explicit(&page->flags, memory_order_relaxed) & PAGE_WAITED))
        monitor_wrote(engine, cpu, page, gpa);
    if (!page || !(atomic_load_explicit(&page->flags, memory_order_relaxed) & PAGE_CODE))
        return;
    rec_stop_all(cpu); // until the instruction is done
    if (blocks_overlap(engine->blocks, page, gpa & (PAGE - 1), (unsigned)size) ||
        ++page->writes == 0)
        blocks_drop_page(engine->blocks, page);
}

/*
 * A walk of the tables marks an entry, in the middle of translated code, which cannot be left here
 * to stop the others. If the table is also code, it is looked at as soon as the vCPU has left.
 */
static void note_walk(struct rec_cpu *cpu, uint64_t gpa, uint64_t size)
{
    struct page *page = blocks_page(cpu->engine->blocks, gpa);

    if (!page || !(atomic_load(&page->flags) & PAGE_NOTED) || cpu->wrote_count == REC_WROTE)
        return;
    cpu->wrote[cpu->wrote_count++] = (struct rec_wrote){gpa, size};
    atomic_store(&cpu->poll, 1);
}

/*
 * The interpreter is about to write. What is no code yet may become code before the write is done,
 * with what was there before: looked at again by stop_written_after(), or nobody else runs meanwhile.
 */
void run_written(struct engine *engine, unsigned vcpu, uint64_t gpa, uint64_t size)
{
    struct rec_cpu *cpu = engine->cpu[vcpu];

    if (cpu->filling) {
        note_walk(cpu, gpa, size);
        return;
    }
    note_write(cpu, gpa, size);
    if (engine->blocks->alone || cpu->exclusive)
        return;
    if (cpu->wrote_count == REC_WROTE)
        rec_stop_all(cpu);
    else
        cpu->wrote[cpu->wrote_count++] = (struct rec_wrote){gpa, size};
}

/* The interpreter has written. */
void stop_written_after(struct rec_cpu *cpu)
{
    if (cpu->wrote_count)
        atomic_thread_fence(memory_order_seq_cst); // the write is before the look at the page
    for (unsigned i = 0; i < cpu->wrote_count; i++)
        note_write(cpu, cpu->wrote[i].gpa, cpu->wrote[i].size);
    cpu->wrote_count = 0;
    rec_resume_all(cpu);
}
