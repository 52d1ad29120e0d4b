/* SPDX-License-Identifier: MIT */
/*
 * The interpreter as a CPU engine: every guest instruction one step of vmm/cpu/interp.h. Exact and
 * slow; it needs nothing of the host's processor.
 *
 * Guest memory and devices are reached through the vCPU that the step belongs to, without an exit.
 * All groups of the state are always present.
 */
#ifndef VMM_ENGINES_INTERPRETER_H
#define VMM_ENGINES_INTERPRETER_H

#include "vmm/engine.h"
#include "vmm/host.h"
#include "vmm/vm.h"

extern const struct engine_ops engine_interpreter;

/* For vm_create(); NULL: out of memory. */
struct engine *interpreter_create(struct host *host, unsigned vcpus);
/* After vm_create(), before the first vcpu_loop(). */
bool interpreter_attach(struct engine *engine, struct vm *vm);
/* After vm_destroy(). */
void interpreter_destroy(struct engine *engine);

/* Instructions that vCPU n has executed; any thread, approximate while it runs. */
uint64_t interpreter_steps(const struct engine *engine, unsigned vcpu);

#endif
