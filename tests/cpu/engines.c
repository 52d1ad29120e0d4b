/* SPDX-License-Identifier: MIT */
/*
 * The engines in software, interpreter and recompiler, against the processor of this machine: the
 * forms and states of `differential`, but with paging and with operands at the edges of pages that
 * are not there or cannot be written to, so that page faults are compared too. The option "full" is
 * for 1,000 states of every form.
 */
#include "tests/cpu/forms.h"
#include "tests/cpu/machine.h"
#include "tests/cpu/native.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#define GP 13u

static const uint8_t end_of_code = 0xf4; // HLT: #GP in user code

/* Where the code of the guest ends in order. */
static bool is_exit(const struct test *t)
{
    uint64_t offset = t->state->rip - (uint64_t)(uintptr_t)t->arena.code;

    return offset == t->length || offset == EXIT_NEAR || offset == EXIT_FAR;
}

static void run(struct test *t)
{
    struct machine *machine = t->arg;
    struct machine_end end;

    machine_put(machine, 0, t->arena.code, t->length);
    machine_put(machine, t->length, &end_of_code, 1);
    if (!machine_run(machine, t->mode, t->state, &end)) {
        t->fault.vector = 0xfe; // no exception's
        return;
    }
    if (end.vector == GP && end.error == 0 && is_exit(t))
        return;
    t->fault = (struct form_fault){end.vector, end.has_error, end.error, end.cr2};
}

static void set_up(struct test *t)
{
    struct arena *a = &t->arena;
    unsigned eax, ebx = 0, ecx, edx;

    __get_cpuid(0, &eax, &ebx, &ecx, &edx);
    t->intel = ebx == signature_INTEL_ebx;
    t->engine = run;
    t->paging = true;
    a->code = a->base;
    a->data = a->base + 2 * DATA_SIZE;
    a->stack = a->base + 4 * DATA_SIZE;
    t->state = aligned_alloc(4096, sizeof *t->state);
    for (unsigned i = 0; i < DATA_SIZE; i++) {
        a->fill[0][i] = (uint8_t)random_u64(&t->random);
        a->fill[1][i] = (uint8_t)random_u64(&t->random);
    }
}

static void test_engine(struct test *t, enum machine_kind kind)
{
    struct machine *machine = machine_new(kind);

    if (!machine) {
        ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
        return;
    }
    native_init();
    t->random = 20261123;
    t->arg = machine;
    t->name = machine_name(machine);
    machine_put(machine, EXIT_NEAR, &end_of_code, 1);
    machine_put(machine, EXIT_FAR, &end_of_code, 1);
    forms_test(t, 8);
    forms_test(t, 4);
    if (kind == MACHINE_RECOMPILER)
        tap_note("%lu instructions were left to the interpreter", machine_interpreted(machine));
    machine_free(machine);
}

int main(int argc, char **argv)
{
    static struct test t;
    bool full = argc > 1 && !strcmp(argv[1], "full");

    for (unsigned i = 0; i < 3; i++)
        t.states[i] = full ? 1000 : i == 2 ? 10 : 100;
    t.arena.base = machine_pages();
    if (!t.arena.base) {
        tap_note("no memory for the arena");
        return 1;
    }
    set_up(&t);
    test_engine(&t, MACHINE_RECOMPILER);
    test_engine(&t, MACHINE_INTERPRETER);
    free(t.state);
    return tap_done();
}
