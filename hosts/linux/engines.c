/* SPDX-License-Identifier: MIT */
/* The CPU engines of this build. */
#include "hosts/linux/engines.h"

#include "hosts/linux/code_memory.h"
#include "hosts/linux/kvm.h"
#include "hosts/linux/traps.h"
#include "vmm/engines/interpreter.h"
#include "vmm/engines/recompiler/recompiler.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#define CODE_CACHE (64u << 20)

static const struct engine_kind interpreter = {
    .ops     = &engine_interpreter,
    .create  = interpreter_create,
    .attach  = interpreter_attach,
    .destroy = interpreter_destroy,
    .steps   = interpreter_steps,
};

static const struct engine_kind kvm = {
    .ops           = &engine_kvm,
    .create        = kvm_create,
    .attach        = kvm_attach,
    .destroy       = kvm_destroy,
    .files         = kvm_files,
    .requests      = kvm_requests,
    .request_count = KVM_REQUESTS,
};

static struct engine *create_recompiler(struct host *host, unsigned vcpus)
{
    struct recompiler_code code;

    return code_memory_create(&code, CODE_CACHE) ? recompiler_create(host, vcpus, &code) : NULL;
}

static bool describe_recompiler(const struct engine *engine, unsigned n, char *line, size_t size)
{
    struct recompiler_stats s = recompiler_stats(engine);

    switch (n) {
    case 0:
        snprintf(line, size, "%lu blocks of %lu instructions translated to %lu KiB, %lu entered from "
                             "the dispatcher", s.blocks, s.insns, s.code_bytes >> 10, s.entries);
        return true;
    case 1:
        snprintf(line, size, "%lu instructions interpreted, %lu TLB misses, %lu blocks dropped for "
                             "writes, code cache flushed %lu times",
                 s.interpreted, s.fills, s.invalidated, s.flushes);
        return true;
    case 2:
        snprintf(line, size, "lockstep compared %lu blocks; %lu differed by translations that the "
                             "guest had changed and not flushed", s.compared, s.stale);
        return s.compared != 0;
    default:
        return false;
    }
}

static const struct engine_kind recompiler = {
    .ops          = &engine_recompiler,
    .create       = create_recompiler,
    .attach       = recompiler_attach,
    .begin_thread = traps_begin_thread,
    .compare      = recompiler_compare,
    .destroy      = recompiler_destroy,
    .describe     = describe_recompiler,
};

/* FSGSBASE in user mode (SDM volume 1, 16.3): AT_HWCAP2 bit 1; AVX for the state it keeps. */
static bool recompiler_works(char *error, size_t size)
{
    if (!(getauxval(AT_HWCAP2) & 2) || !__builtin_cpu_supports("avx")) {
        snprintf(error, size, "the recompiler needs a processor and kernel with FSGSBASE and AVX; "
                              "use --engine interpreter");
        return false;
    }
    if (!traps_install()) {
        snprintf(error, size, "cannot install signal handlers: %s", strerror(errno));
        return false;
    }
    return true;
}

const struct engine_kind *engines_choose(enum options_engine wanted, char *error, size_t size)
{
    char why[160];

    error[0] = 0;
    if (wanted == ENGINE_KVM || wanted == ENGINE_AUTO) {
        enum kvm_fitness fitness = kvm_probe(why, sizeof(why));

        if (fitness == KVM_FIT || (fitness == KVM_POOR && wanted == ENGINE_KVM)) {
            snprintf(error, size, "%s%s",
                     fitness == KVM_POOR ? "warning: KVM is poor here: " : "", why);
            return &kvm;
        }
        snprintf(error, size, "KVM is not used: %s", why);
        if (wanted == ENGINE_KVM)
            return NULL;
    }
    if (wanted == ENGINE_RECOMPILER || wanted == ENGINE_AUTO) {
        if (recompiler_works(why, sizeof(why)))
            return &recompiler;
        if (wanted == ENGINE_RECOMPILER) {
            snprintf(error, size, "%s", why);
            return NULL;
        }
    }
    return &interpreter;
}
