/* SPDX-License-Identifier: MIT */
/* The interpreter as a CPU engine: deliver, look whether to leave, step. */
#include "vmm/engines/interpreter.h"

#include "vmm/cpu/deliver.h"
#include "vmm/engines/features.h"
#include "vmm/machine.h"

#include <stdatomic.h>

#define RFLAGS_IF 0x200u
#define GP        13u
#define DECODED   32768u // instructions that each vCPU remembers

struct engine {
    struct host *host;
    struct vm *vm;
    unsigned count;
    struct {
        struct cpu_state *state;
        struct interp_decoded *cache;
        struct tlb *tlb;
        _Atomic uint32_t kicked;
        _Atomic uint64_t steps; // written by the vCPU's thread alone
    } vcpu[];
};

static struct cpu_state *interpreter_state(struct engine *engine, unsigned vcpu)
{
    return engine->vcpu[vcpu].state;
}

static void interpreter_kick(struct engine *engine, unsigned vcpu)
{
    atomic_store_explicit(&engine->vcpu[vcpu].kicked, 1, memory_order_release);
}

/* Everything is always there. */
static void interpreter_fetch(struct engine *engine, unsigned vcpu, uint32_t groups)
{
    (void)engine;
    (void)vcpu;
    (void)groups;
}

static void interpreter_invalidate(struct engine *engine, unsigned vcpu)
{
    tlb_flush(engine->vcpu[vcpu].tlb);
}

static bool leave(struct cpu_state *state, enum engine_exit reason)
{
    state->reason = reason;
    state->q0 = state->q1 = 0;
    state->insn_len = 0;
    return true;
}

static bool window_open(const struct cpu_state *state)
{
    return (state->requests & CPU_REQUEST_WINDOW) && (state->rflags & RFLAGS_IF) &&
           (!state->window_priority || state->window_priority > state->cr8);
}

/* Is there a reason to leave before the next instruction? */
static bool must_leave(struct engine *engine, unsigned n, struct cpu_state *state)
{
    if (atomic_load_explicit(&engine->vcpu[n].kicked, memory_order_relaxed)) {
        atomic_store(&engine->vcpu[n].kicked, 0);
        return leave(state, EXIT_RECALL);
    }
    /* An event that waits goes first: behind it the window may be closed. */
    if (state->requests == 0 || state->shadow || (state->event & CPU_EVENT_VALID))
        return false;
    if ((state->requests & CPU_REQUEST_NMIWINDOW) && !state->nmi_blocked) {
        state->requests &= ~CPU_REQUEST_NMIWINDOW;
        return leave(state, EXIT_NMIWINDOW);
    }
    if (window_open(state)) {
        state->requests &= ~CPU_REQUEST_WINDOW;
        return leave(state, EXIT_WINDOW);
    }
    return false;
}

/*
 * Delivers the event that waits. An exception on the way makes another one by the rules of double
 * faults, in place of it; after a triple fault the machine's end kicks this vCPU.
 */
static void deliver(struct vcpu *vcpu, struct interp *interp)
{
    struct cpu_state *state = vcpu->state;

    switch (interp_deliver(interp, state->event)) {
    case INTERP_DONE:
        state->event = 0;
        break;
    case INTERP_FAULT:
        vcpu_fault(vcpu);
        break;
    default: // tables of a kind that is not walked
        vcpu_unsupported(vcpu);
        break;
    }
}

/* One instruction. True: the vCPU has to do something. */
static bool step(struct vcpu *vcpu, struct interp *interp)
{
    switch (interp_step(interp)) {
    case INTERP_DONE:
    case INTERP_AGAIN:
        return false;
    case INTERP_FAULT:
        vcpu_fault(vcpu);
        return false;
    case INTERP_EXIT:
        return true;
    case INTERP_UNSUPPORTED:
        vcpu_unsupported(vcpu);
        return false;
    }
    return false;
}

static bool interpreter_run(struct engine *engine, unsigned n)
{
    struct vcpu *vcpu = &engine->vm->vcpu[n];
    struct interp *interp = vcpu_interp(vcpu);
    struct cpu_state *state = vcpu->state;
    uint64_t steps = atomic_load_explicit(&engine->vcpu[n].steps, memory_order_relaxed);

    state->valid = CPU_ALL;
    state->dirty = 0;
    for (;;) {
        if (must_leave(engine, n, state))
            return true;
        if (state->event & CPU_EVENT_VALID) {
            deliver(vcpu, interp);
            continue;
        }
        atomic_store_explicit(&engine->vcpu[n].steps, ++steps, memory_order_relaxed);
        if (step(vcpu, interp))
            return true;
    }
}

const struct engine_ops engine_interpreter = {
    .name          = "interpreter",
    .xcr0          = SOFTWARE_XCR0,
    .tsc_aux       = true,
    .masks_a20     = true,
    .arch_capabilities = SOFTWARE_IMMUNITIES,
    .cpuid         = software_cpuid,
    .features      = software_features,
    .feature_count = SOFTWARE_FEATURES,
    .state         = interpreter_state,
    .run           = interpreter_run,
    .kick          = interpreter_kick,
    .fetch         = interpreter_fetch,
    .invalidate    = interpreter_invalidate,
};

struct engine *interpreter_create(struct host *host, unsigned vcpus)
{
    struct engine *engine = host_alloc(host, sizeof *engine + vcpus * sizeof engine->vcpu[0], 64);

    if (!engine)
        return NULL;
    engine->host = host;
    engine->count = vcpus;
    for (unsigned i = 0; i < vcpus; i++) {
        engine->vcpu[i].state = host_alloc(host, sizeof(struct cpu_state), 4096);
        engine->vcpu[i].cache = host_alloc(host, DECODED * sizeof(struct interp_decoded), 64);
        engine->vcpu[i].tlb = host_alloc(host, sizeof(struct tlb), 64);
        if (!engine->vcpu[i].state || !engine->vcpu[i].cache || !engine->vcpu[i].tlb) {
            interpreter_destroy(engine);
            return NULL;
        }
    }
    return engine;
}

bool interpreter_attach(struct engine *engine, struct vm *vm)
{
    engine->vm = vm;
    for (unsigned i = 0; i < engine->count; i++) {
        interp_give_cache(vcpu_interp(&vm->vcpu[i]), engine->vcpu[i].cache, DECODED);
        interp_give_tlb(vcpu_interp(&vm->vcpu[i]), engine->vcpu[i].tlb);
    }
    return true;
}

void interpreter_destroy(struct engine *engine)
{
    for (unsigned i = 0; i < engine->count; i++) {
        if (engine->vcpu[i].state)
            host_free(engine->host, engine->vcpu[i].state);
        if (engine->vcpu[i].cache)
            host_free(engine->host, engine->vcpu[i].cache);
        if (engine->vcpu[i].tlb)
            host_free(engine->host, engine->vcpu[i].tlb);
    }
    host_free(engine->host, engine);
}

uint64_t interpreter_steps(const struct engine *engine, unsigned vcpu)
{
    return atomic_load_explicit(&engine->vcpu[vcpu].steps, memory_order_relaxed);
}
