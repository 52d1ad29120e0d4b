/* SPDX-License-Identifier: MIT */
/* The recompiler as an engine: its making and its end. */
#include "vmm/engines/recompiler/recompiler.h"

#include "vmm/cpu/cpuid.h"
#include "vmm/engines/features.h"
#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/lockstep.h"
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/run.h"

static struct cpu_state *recompiler_state(struct engine *engine, unsigned vcpu)
{
    return &engine->cpu[vcpu]->state;
}

static void recompiler_invalidate(struct engine *engine, unsigned vcpu)
{
    struct rec_cpu *cpu = engine->cpu[vcpu];
    uint64_t masked = vcpu_interp(cpu->vcpu)->walk.masked;

    if (cpu->walk.masked != masked) {
        cpu->walk.masked = masked;
        walk_forget(&cpu->walks);
    }
    memory_flush_all(cpu);
}

const struct engine_ops engine_recompiler = {
    .name          = "recompiler",
    .xcr0          = SOFTWARE_XCR0,
    .tsc_aux       = true,
    .masks_a20     = true,
    .live_vectors  = true,
    .monitors      = true,
    .arch_capabilities = SOFTWARE_IMMUNITIES,
    .cpuid         = software_cpuid,
    .features      = software_features,
    .feature_count = SOFTWARE_FEATURES,
    .state         = recompiler_state,
    .run           = run_vcpu,
    .kick          = run_kick,
    .fetch         = run_fetch,
    .invalidate    = recompiler_invalidate,
    .written       = run_written,
};

static struct view *make_view(struct host *host)
{
    return host_alloc(host, sizeof(struct view), 4096);
}

static struct rec_cpu *make_cpu(struct host *host)
{
    struct rec_cpu *cpu = host_alloc(host, sizeof *cpu, 4096);

    if (!cpu)
        return NULL;
    cpu->kernel = make_view(host);
    cpu->kernel_ac = make_view(host);
    for (unsigned i = 0; i < REC_USER_VIEWS; i++)
        cpu->user[i] = make_view(host);
    cpu->jump_mask = BLOCKS_JUMP_BITS;
    cpu->tlb_mask = (uint64_t)(VIEW_ENTRIES - 1) << 12;
    cpu->bit_mask[0] = 31;
    cpu->bit_mask[1] = 63;
    return cpu;
}

static bool complete(const struct rec_cpu *cpu)
{
    for (unsigned i = 0; i < REC_USER_VIEWS; i++)
        if (!cpu->user[i])
            return false;
    return cpu->kernel && cpu->kernel_ac;
}

struct engine *recompiler_create(struct host *host, unsigned vcpus,
                                 const struct recompiler_code *code)
{
    struct engine *engine =
        host_alloc(host, sizeof *engine + vcpus * sizeof engine->cpu[0], 64);

    if (!engine)
        return NULL;
    engine->host = host;
    engine->count = vcpus;
    engine->lock = host_mutex_create(host);
    engine->blocks = host_alloc(host, sizeof *engine->blocks, 64);
    for (unsigned i = 0; i < vcpus; i++)
        engine->cpu[i] = make_cpu(host);
    for (unsigned i = 0; i < vcpus; i++) {
        if (!engine->cpu[i] || !complete(engine->cpu[i]) || !engine->lock || !engine->blocks) {
            recompiler_destroy(engine);
            return NULL;
        }
        engine->cpu[i]->engine = engine;
    }
    engine->code = *code;
    return engine;
}

bool recompiler_compare(struct engine *engine)
{
    engine->lockstep = lockstep_create(engine->host);
    return engine->lockstep;
}

/* AMD's processors before family 19h (Zen 3) have PEXT in microcode, slower than what replaces it. */
static bool has_fast_bmi2(void)
{
    struct cpuid_regs name, version, r;
    unsigned family;

    cpuid_read_native(NULL, 0, 0, &name);
    cpuid_read_native(NULL, 1, 0, &version);
    cpuid_read_native(NULL, 7, 0, &r);
    family = (version.eax >> 8 & 15) + (version.eax >> 20 & 0xff);
    return (r.ebx >> 8 & 1) && !(name.ebx == 0x68747541 && family < 0x19); // "Auth"
}

bool recompiler_attach(struct engine *engine, struct vm *vm)
{
    engine->vm = vm;
    vm->memory.watch = (struct memory_watch){run_device_wrote, engine};
    engine->blocks->alone = engine->count == 1;
    engine->blocks->bmi2 = has_fast_bmi2();
    if (!blocks_init(engine->blocks, engine->host, &engine->code, vm->memory.high_end))
        return false;
    for (unsigned i = 0; i < engine->count; i++) {
        struct rec_cpu *cpu = engine->cpu[i];
        uint64_t unknown = engine->blocks->stubs.lookup, unknown2 = engine->blocks->stubs.unknown;

        cpu->vcpu = &vm->vcpu[i];
        cpu->after_store = engine->blocks->stubs.stored;
        view_init(cpu->kernel, unknown, unknown2);
        view_init(cpu->kernel_ac, unknown, unknown2);
        for (unsigned n = 0; n < REC_USER_VIEWS; n++)
            view_init(cpu->user[n], unknown, unknown2);
        memory_flush_all(cpu);
        cpu->walk = vcpu_interp(cpu->vcpu)->walk;
    }
    return true;
}

void recompiler_destroy(struct engine *engine)
{
    struct host *host = engine->host;

    for (unsigned i = 0; i < engine->count; i++) {
        struct rec_cpu *cpu = engine->cpu[i];

        if (!cpu)
            continue;
        for (unsigned n = 0; n < REC_USER_VIEWS; n++)
            if (cpu->user[n])
                host_free(host, cpu->user[n]);
        if (cpu->kernel)
            host_free(host, cpu->kernel);
        if (cpu->kernel_ac)
            host_free(host, cpu->kernel_ac);
        host_free(host, cpu);
    }
    if (engine->lockstep)
        lockstep_destroy(engine->lockstep, host);
    if (engine->blocks) {
        blocks_free(engine->blocks, host);
        host_free(host, engine->blocks);
    }
    host_free(host, engine);
}

struct recompiler_stats recompiler_stats(const struct engine *engine)
{
    const struct blocks *b = engine->blocks;
    struct recompiler_stats stats = {
        .blocks = b->translated, .insns = b->insns, .invalidated = b->invalidated,
        .flushes = b->flushes, .code_bytes = blocks_offset(b, b->emit.out),
    };

    if (engine->lockstep) {
        stats.compared = lockstep_compared(engine->lockstep);
        stats.stale = lockstep_stale(engine->lockstep);
    }
    for (unsigned i = 0; i < engine->count; i++) {
        stats.entries += engine->cpu[i]->entries;
        stats.interpreted += engine->cpu[i]->interpreted;
        stats.fills += engine->cpu[i]->fills;
    }
    return stats;
}
