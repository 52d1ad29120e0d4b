/* SPDX-License-Identifier: MIT */
/*
 * The interpreter against the processor of this machine: every form of the opcode table whose
 * handler has a rule (forms_rules.c), in 64- and in 32-bit user mode and in each operand size, with
 * random operands, registers, flags and addressing, is executed by both on the same memory, and all
 * registers, flags (but those that the manual leaves undefined for it), memory, the next address
 * and the exception are compared.
 */
#include "tests/cpu/forms.h"
#include "tests/cpu/native.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/interp.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATES     1000u // for each form and operand size
#define X87_STATES 100u  // for each form without the option "full"

static struct interp interp;

static uint8_t *test_ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    const struct arena *a = &((struct test *)arg)->arena;
    const uint8_t *pages[3] = {a->code, a->data, a->stack};

    (void)write;
    for (unsigned i = 0; i < 3; i++)
        if (gpa - (uint64_t)(uintptr_t)pages[i] < DATA_SIZE &&
            gpa + size - (uint64_t)(uintptr_t)pages[i] <= DATA_SIZE)
            return (uint8_t *)(uintptr_t)gpa;
    return NULL;
}

static uint64_t test_mmio_read(void *arg, uint64_t gpa, unsigned size)
{
    (void)arg;
    tap_note("%s: access of %u outside of the arena at %lx", opcode_name(interp.insn.op), size,
             gpa);
    exit(1);
}

static void test_mmio_write(void *arg, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)value;
    test_mmio_read(arg, gpa, size);
}

static void test_need(void *arg, uint32_t groups)
{
    (void)arg;
    (void)groups;
}

static const struct interp_ops test_ops = {
    .ram = test_ram, .mmio_read = test_mmio_read, .mmio_write = test_mmio_write, .need = test_need,
};

static void step(struct test *t)
{
    enum interp_status status = interp_step(&interp);

    if (status == INTERP_FAULT)
        t->fault.vector = interp.fault.vector;
    else if (status != INTERP_DONE)
        t->fault.vector = 0xfe; // no exception's
}

static void set_up(struct test *t)
{
    struct arena *a = &t->arena;
    unsigned eax, ebx = 0, ecx, edx;

    __get_cpuid(0, &eax, &ebx, &ecx, &edx);
    t->intel = ebx == signature_INTEL_ebx;

    a->base = mmap(NULL, 6 * DATA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    a->code = a->base;
    a->data = a->base + 2 * DATA_SIZE;
    a->stack = a->base + 4 * DATA_SIZE;
    if (a->base == MAP_FAILED || mprotect(a->code, DATA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
        mprotect(a->data, DATA_SIZE, PROT_READ | PROT_WRITE) ||
        mprotect(a->stack, DATA_SIZE, PROT_READ | PROT_WRITE)) {
        tap_note("no memory for the arena");
        exit(1);
    }
    t->state = aligned_alloc(4096, sizeof *t->state);
    t->random = 20261122;
    t->engine = step;
    t->name = "interpreter";
    interp_init(&interp, t->state, &test_ops, t, 46);
    for (unsigned i = 0; i < DATA_SIZE; i++) {
        a->fill[0][i] = (uint8_t)random_u64(&t->random);
        a->fill[1][i] = (uint8_t)random_u64(&t->random);
    }
    native_init();
}

int main(int argc, char **argv)
{
    static struct test t;
    bool full = argc > 1 && !strcmp(argv[1], "full");

    t.states[0] = 3 * STATES;
    t.states[1] = full ? 3 * STATES : STATES;
    t.states[2] = full ? STATES : X87_STATES;
    set_up(&t);
    forms_test(&t, 8);
    forms_test(&t, 4);
    free(t.state);
    return tap_done();
}
