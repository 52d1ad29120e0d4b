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
#include "tests/cpu/values.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/interp.h"
#include "vmm/cpu/xstate.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATES     1000u // for each form and operand size
#define X87_STATES 100u  // for each form without the option "full"
#define X87_FORMS  72u   // of one row: register forms, and modrm.reg of memory forms

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
    const struct test *t = arg;

    tap_note("%s: access of %u outside of the arena at %lx", opcode_name(t->interp.insn.op), size,
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

/* What is in its initial state is in the image too. */
static void put_initial_state(struct test *t)
{
    uint8_t *image = t->state->xsave;

    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (!(image[XSAVE_BV] & bit))
            xstate_initialize(image, bit);
}

/* Both engines, from the same state; the arena ends as the interpreter leaves it. */
static enum interp_status execute(struct test *t, unsigned *fault)
{
    struct arena *a = &t->arena;
    enum interp_status status;

    memcpy(a->before[0], a->data, DATA_SIZE);
    memcpy(a->before[1], a->stack, DATA_SIZE);
    *fault = native_run();
    memcpy(a->after[0], a->data, DATA_SIZE);
    memcpy(a->after[1], a->stack, DATA_SIZE);
    memcpy(a->data, a->before[0], DATA_SIZE);
    memcpy(a->stack, a->before[1], DATA_SIZE);
    status = interp_step(&t->interp);
    if (native_state.vectors)
        put_initial_state(t);
    return status;
}

/* Runs both; what is not the same, or NULL. */
static const char *compare(struct test *t, unsigned row, const struct rule *rule,
                           const struct insn *insn, uint64_t mask)
{
    unsigned fault;
    enum interp_status status = execute(t, &fault);

    if (fault == NATIVE_NO_FAULT && status == INTERP_DONE)
        return form_difference(t, row, rule, insn, mask);
    if (status != INTERP_FAULT || t->interp.fault.vector != fault)
        return "not the same exception";
    if (native_state.vectors && rule->kind != XSTATE && !form_same_after_fault(t, rule))
        return "not the same vector state after an exception";
    return NULL;
}

/*
 * A processor may count a component as in use that is in its initial state, and does so at times
 * when it has switched tasks (SDM volume 1, 13.6): what XSAVE writes is tried again then.
 */
static const char *compare_state(struct test *t, unsigned row, const struct rule *rule,
                                 const struct insn *insn, uint64_t mask)
{
    static struct native_state native;
    static struct cpu_state guest;
    const char *what = "";

    native = native_state;
    guest = *t->state;
    for (unsigned i = 0; what && i < 4; i++) {
        if (i > 0) {
            native_state = native;
            *t->state = guest;
            memcpy(t->arena.data, t->arena.before[0], DATA_SIZE);
            memcpy(t->arena.stack, t->arena.before[1], DATA_SIZE);
        }
        what = compare(t, row, rule, insn, mask);
    }
    return what;
}

/* One state; false if the encoding could not be tried. */
static bool try_one(struct test *t, unsigned row, const struct rule *rule, unsigned variant)
{
    uint8_t bytes[CODE_SIZE];
    struct insn insn;
    uint64_t before[16], flags, mask = ALL_FLAGS | RFLAGS_DF;
    unsigned size;
    const char *what;
    bool skip = false;

    if (!form_encode(t, row, variant, bytes, &insn) || (rule->skip16 && insn.opsize == 2) ||
        !form_adjust(t, row, rule, bytes, &insn) || !form_prepare(t, rule, &insn))
        return false;
    form_clear_upper_halves(t, rule, &insn);
    form_put(t, bytes, insn.length);
    memcpy(before, native_state.gpr, sizeof before);
    flags = native_state.rflags;
    form_set_state(t);
    native_state.vectors = rule->kind >= VECTOR ? 7 : 0;
    if (native_state.vectors)
        form_fill_vectors(t, rule->kind, &insn);
    size = operand_kinds[opcode_rows[row].operand[0]].size == 1 ? 1 : insn.opsize;
    mask &= ~form_undefined_flags(rule, &insn, before[CPU_RCX], size, &skip);
    if (rule->kind == POPF)
        mask |= RFLAGS_ID | RFLAGS_AC | RFLAGS_NT | RFLAGS_TF;
    if (skip)
        return true;
    what = (rule->kind == XSTATE ? compare_state : compare)(t, row, rule, &insn, mask);
    if (what)
        form_explain(t, row, bytes, &insn, what, before, flags);
    return true;
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
    interp_init(&t->interp, t->state, &test_ops, t, 46);
    for (unsigned i = 0; i < DATA_SIZE; i++) {
        a->fill[0][i] = (uint8_t)random_u64(&t->random);
        a->fill[1][i] = (uint8_t)random_u64(&t->random);
    }
    native_init();
}

struct counts {
    unsigned long states;
    unsigned forms, lacking, other_mode, elsewhere, none, unreached;
};

static void test_row(struct test *t, unsigned row, const struct rule *rule, struct counts *c)
{
    const struct opcode_row *r = &opcode_rows[row];
    unsigned done = 0, tries = 0, wrong = t->wrong;
    unsigned states = (rule->kind >= VECTOR && !t->full ? 1 : 3) * STATES;

    if (rule->kind == X87)
        states = X87_FORMS * (t->full ? STATES : X87_STATES);
    t->shown = 0;
    for (; done < states && tries < 20 * states + 60 * STATES; tries++)
        done += try_one(t, row, rule, tries % 3);
    c->states += done;
    c->forms++;
    if (done < STATES) {
        c->unreached++;
        tap_note("only %u states for %s (map %u, %x)", done, opcode_name(row), r->map, r->byte);
    }
    if (t->wrong != wrong)
        tap_note("%s (map %u, %02x): %u of %u states wrong", opcode_name(row), r->map, r->byte,
                 t->wrong - wrong, done);
}

static void test_mode(struct test *t, unsigned mode)
{
    uint32_t excluded = SELECT(KEY_64, mode == 8 ? 0 : KEY_64);
    struct counts c = {0};

    t->mode = mode;
    t->wrong = 0;
    for (unsigned row = 4; row < ROW_COUNT; row++) {
        const struct rule *rule = form_rule(form_handlers[row]);

        if (!strcmp(form_handlers[row], "none"))
            c.none++;
        else if (!rule)
            c.elsewhere++;
        else if ((opcode_rows[row].select & SELECT(KEY_64, KEY_64)) == excluded ||
                 (mode == 4 && opcode_rows[row].map < MAP_V1 &&
                  (opcode_rows[row].select & SELECT(KEY_W, KEY_W)) == SW1))
            c.other_mode++;
        else if (!form_on_host(form_handlers[row], opcode_rows[row].map, opcode_rows[row].byte))
            c.lacking++;
        else
            test_row(t, row, rule, &c);
    }
    tap_note("%u-bit code: %u forms compared, %u lacking in this processor, %u not in this mode, "
             "%u tested elsewhere, %u decoded but not executed",
             8 * mode, c.forms, c.lacking, c.other_mode, c.elsewhere, c.none);
    ok(t->wrong == 0, "%u-bit code: %lu states of %u forms: the same as on this processor",
       8 * mode, c.states, c.forms);
    ok(c.unreached == 0, "%u-bit code: at least %u states for every form", 8 * mode, STATES);
}

int main(int argc, char **argv)
{
    static struct test t;

    t.full = argc > 1 && !strcmp(argv[1], "full");
    set_up(&t);
    test_mode(&t, 8);
    test_mode(&t, 4);
    free(t.state);
    return tap_done();
}
