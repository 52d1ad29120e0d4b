/* SPDX-License-Identifier: MIT */
/* The CPU engines of this build. */
#include "hosts/linux/engines.h"

#include "hosts/linux/kvm.h"
#include "vmm/engines/interpreter.h"

#include <stdio.h>

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

const struct engine_kind *engines_choose(enum options_engine wanted, char *error, size_t size)
{
    static const char *const names[] = {"auto", "kvm", "recompiler", "interpreter"};
    char why[160];

    error[0] = 0;
    if (wanted == ENGINE_KVM || wanted == ENGINE_AUTO) {
        enum kvm_fitness fitness = kvm_probe(why, sizeof(why));

        if (fitness == KVM_FIT || (fitness == KVM_SLOW && wanted == ENGINE_KVM)) {
            snprintf(error, size, "%s%s", fitness == KVM_SLOW ? "KVM is slow here: " : "", why);
            return &kvm;
        }
        snprintf(error, size, "KVM is not used: %s", why);
        if (wanted == ENGINE_KVM)
            return NULL;
    }
    if (wanted == ENGINE_AUTO || wanted == ENGINE_INTERPRETER)
        return &interpreter;
    snprintf(error, size, "the engine '%s' is not in this build; use --engine interpreter, or auto",
             names[wanted]);
    return NULL;
}
