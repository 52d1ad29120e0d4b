/* SPDX-License-Identifier: MIT */
/* The CPU engines of this build. */
#include "hosts/linux/engines.h"

#include "vmm/engines/interpreter.h"

#include <stdio.h>

static const struct engine_kind interpreter = {
    .ops     = &engine_interpreter,
    .create  = interpreter_create,
    .attach  = interpreter_attach,
    .destroy = interpreter_destroy,
    .steps   = interpreter_steps,
};

const struct engine_kind *engines_choose(enum options_engine wanted, char *error, size_t size)
{
    static const char *const names[] = {"auto", "kvm", "recompiler", "interpreter"};

    if (wanted == ENGINE_AUTO || wanted == ENGINE_INTERPRETER)
        return &interpreter;
    snprintf(error, size, "the engine '%s' is not in this build; use --engine interpreter, or auto",
             names[wanted]);
    return NULL;
}
