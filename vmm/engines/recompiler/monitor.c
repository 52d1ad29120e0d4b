/* SPDX-License-Identifier: MIT */
/* MONITOR and MWAIT: waiting for another vCPU's write. */
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/monitor.h"
#include "vmm/engines/recompiler/run.h"
#include "vmm/engines/recompiler/stop.h"

#define PAGE  4096ull
#define LINE  64u // bytes, as CPUID says
#define LOOKS 8u  // between two looks at the clock

static uint64_t word(const struct rec_cpu *cpu, unsigned n)
{
    return atomic_load_explicit((const _Atomic uint64_t *)(uintptr_t)cpu->monitor.line + n, memory_order_relaxed);
}

static bool changed(const struct rec_cpu *cpu)
{
    uint64_t differences = 0;

    for (unsigned n = 0; n < REC_LINE_WORDS; n++)
        differences |= word(cpu, n) ^ cpu->monitor.was[n];
    return differences;
}

void monitor_arm(struct rec_cpu *cpu, uint64_t linear)
{
    const struct walk *w = &vcpu_interp(cpu->vcpu)->walk;
    struct walk_result result;

    cpu->monitor.line = NULL;
    linear &= ~(uint64_t)(LINE - 1);
    if (walk(w, linear, WALK_PROBE, &result) != WALK_OK)
        return;
    cpu->monitor.gpa = result.gpa;
    cpu->monitor.line = memory_pointer(&cpu->engine->vm->memory, result.gpa, LINE);
    if (cpu->monitor.line)
        for (unsigned n = 0; n < REC_LINE_WORDS; n++)
            cpu->monitor.was[n] = word(cpu, n);
    atomic_thread_fence(memory_order_seq_cst); // before what the guest looks at next
}

/*
 * That it is waited for is known before the page is marked, and the page before the last look at
 * the line: a writer that does not see the one is seen by the other. One that has stopped all
 * others does not look at the page a second time: it is waited for.
 */
bool monitor_waits(struct rec_cpu *cpu)
{
    const uint8_t *line = cpu->monitor.line;
    uint64_t page = cpu->monitor.gpa & ~(PAGE - 1);
    bool waits;

    if (!line)
        return false;
    atomic_store(&cpu->monitor.waiting, page | 1);
    stop_watch(cpu, page, line - (cpu->monitor.gpa - page), PAGE_WAITED);
    host_mutex_lock(cpu->engine->lock);
    host_mutex_unlock(cpu->engine->lock);
    atomic_thread_fence(memory_order_seq_cst);
    waits = !changed(cpu);
    cpu->monitor.line = NULL;
    return waits;
}

void monitor_wrote(struct engine *engine, struct rec_cpu *self, struct page *page, uint64_t gpa)
{
    atomic_fetch_and(&page->flags, (uint8_t)~PAGE_WAITED);
    for (unsigned n = 0; n < engine->count; n++) {
        struct rec_cpu *cpu = engine->cpu[n];

        if (atomic_load(&cpu->monitor.waiting) != ((gpa & ~(PAGE - 1)) | 1))
            continue;
        if (self) // what wakes threads may use vector registers
            run_fetch(engine, self->vcpu->id, CPU_XSTATE);
        vcpu_signal(cpu->vcpu, VCPU_STORE);
    }
}

/* Looks at the line. False: it did not change as long as that was worth it. */
static bool look(struct rec_cpu *cpu)
{
    struct host *host = cpu->engine->host;
    uint64_t begin = host_ticks(host);

    do {
        for (unsigned n = 0; n < LOOKS; n++) {
            if (changed(cpu) || atomic_load_explicit(&cpu->poll, memory_order_relaxed))
                return true;
            __asm__ volatile("pause");
        }
    } while (host_ticks(host) - begin < cpu->vcpu->poll);
    return false;
}

uint64_t rec_mwait(struct rec_cpu *cpu)
{
    struct cpu_state *s = &cpu->state;
    if (cpu->engine->lockstep || (uint32_t)s->gpr[CPU_RCX] != 0)
        return cpu->engine->blocks->stubs.interpret;
    if (cpu->monitor.line && !look(cpu)) {
        cpu->vcpu->looked_awake = true;
        return cpu->engine->blocks->stubs.interpret;
    }
    cpu->monitor.line = NULL;
    atomic_thread_fence(memory_order_acquire);
    if (!atomic_load_explicit(&cpu->poll, memory_order_relaxed))
        return 0;
    s->rip = cpu->page + cpu->argument;
    if (!(cpu->mode & REC_MODE_64))
        s->rip = (uint32_t)s->rip;
    return run_elsewhere(cpu, run_rflags(cpu));
}
