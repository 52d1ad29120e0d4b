/* SPDX-License-Identifier: MIT */
/*
 * Both engines against the processor of this machine, three to twelve instructions at once: what a
 * block's translation does for several (which flags live on, checks that accesses share, where an
 * exception comes from) shows only there. Forward branches in between; all flags count at the end.
 *
 * Four registers point to the data page, now and then to its edges, and are all that addresses are
 * made of. The interpreter goes first, on the plain pages: a sequence that would touch anything
 * else is not run. The option "full" is for twenty times as many.
 */
#include "tests/cpu/forms.h"
#include "tests/cpu/machine.h"
#include "tests/cpu/native.h"
#include "tests/cpu/values.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCES 10000u
#define LENGTH    84u // of the code: less than EXIT_NEAR and an exit
#define PAGES     (6u * DATA_SIZE)
#define GP        13u

static const uint8_t end_of_code = 0xf4; // HLT: #GP in user code

static struct test t;
static struct interp interp;

struct sequence {
    uint8_t bytes[LENGTH + CODE_SIZE];
    unsigned length, count;
    unsigned end[12]; // of each instruction
    bool edge;
};

/* --- The trial --- */

static enum { INSIDE, FAULTS, OUTSIDE } touched;

static uint8_t *trial_ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    uint64_t offset = gpa - MACHINE_USER, page = offset / DATA_SIZE;

    (void)arg;
    if (offset >= PAGES || offset + size > PAGES ||
        (page == 0 && (write || offset > t.length + CODE_SIZE))) {
        touched = OUTSIDE; // the guest's code is not the processor's
        return NULL;
    }
    if (page == 3 || page == 5 || (page == 1 && write)) {
        if (touched == INSIDE)
            touched = FAULTS;
        return NULL;
    }
    return (uint8_t *)(uintptr_t)gpa;
}

static uint64_t trial_read(void *arg, uint64_t gpa, unsigned size)
{
    (void)arg;
    (void)gpa;
    (void)size;
    return 0;
}

static void trial_write(void *arg, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)value;
    trial_read(arg, gpa, size);
}

static void trial_need(void *arg, uint32_t groups)
{
    (void)arg;
    (void)groups;
}

static const struct interp_ops trial_ops = {
    .ram = trial_ram, .mmio_read = trial_read, .mmio_write = trial_write, .need = trial_need,
};

/*
 * Does it stay in the pages, up to its end or an exception? Processors differ in what they make of
 * accesses across the ends of the address space.
 */
static bool stays_inside(const struct sequence *s)
{
    uint64_t end = (uint64_t)(uintptr_t)t.arena.code + s->length;
    enum interp_status status = INTERP_DONE;

    touched = INSIDE;
    while (t.state->rip != end && touched == INSIDE &&
           (status == INTERP_DONE || status == INTERP_AGAIN))
        status = interp_step(&interp);
    if (status == INTERP_FAULT &&
        (interp.fault.vector == GP || interp.fault.vector == EXCEPTION_SS))
        return false;
    return touched != OUTSIDE && status != INTERP_EXIT && status != INTERP_UNSUPPORTED;
}

/* --- A sequence --- */

static bool is_base(unsigned reg)
{
    return reg == CPU_RBX || reg == CPU_RBP || reg == CPU_RSI || reg == CPU_RDI;
}

static bool fits(const struct rule *rule, const struct insn *insn, const struct sequence *s)
{
    const struct opcode_row *r = &opcode_rows[insn->op];
    bool bytes = operand_kinds[r->operand[0]].size == 1 && !(insn->prefixes & INSN_REX);

    if (insn->addrsize == 2 && rule->kind != PLAIN)
        return false;
    if (insn->memory && (!is_base(insn->base) || insn->index != INSN_NO_REG ||
                         insn->addrsize == 2 || insn->disp > 200 || insn->disp < -200))
        return false;
    for (unsigned i = 0; i < 4 && !bytes; i++) {
        unsigned number = t.mode == 8 ? 15 : 7, class = operand_kinds[r->operand[i]].class;
        unsigned reg = class == OC_REG ? insn->reg : class == OC_VVVV ? insn->vvvv : insn->rm;
        bool general = class == OC_REG || class == OC_VVVV || class == OC_OPREG ||
                       (class == OC_RM && !insn->memory);

        if (general && (is_base(reg & number) || (reg & number) == CPU_RSP))
            return false;
    }
    if (bytes && (insn->reg == 7 || (!insn->memory && insn->rm == 7))) // BH
        return false;
    if (rule->skip16 && insn->opsize == 2)
        return false;
    if (rule->kind == BIT && insn->memory && insn->opcode != 0xba)
        return false;
    if (rule->kind == DOUBLE_SHIFT && insn->opsize == 2)
        return false;
    if (rule->kind == STRING && (insn->addrsize == 2 || (insn->prefixes & (INSN_REP | INSN_REPNE))))
        return false;
    if (rule->kind == X87 && insn->memory) // stores of many parts
        return !s->edge && !((insn->opcode == 0xd9 || insn->opcode == 0xdd) &&
                             (insn->modrm & 0x20));
    return true;
}

/* A rule whose forms can stand anywhere; NULL where there is none. */
static const struct rule *rules[ROW_COUNT];

static const struct rule *usable(unsigned row)
{
    static const char *const others[] = {"enter", "leave", "popa", "maskmovq", "maskmovdqu",
                                         "cmpxchg", "cmpxchg8b"};
    const struct opcode_row *r = &opcode_rows[row];
    const struct rule *rule = form_rule(form_handlers[row]);

    if (!rule || rule->kind == BRANCH || rule->kind == CALL || rule->kind == RETURN ||
        rule->kind == POPF || rule->kind == XSTATE || r->imm == IMM_MOFFS ||
        (r->properties & P_VSIB) || !form_on_host(form_handlers[row], r->map, r->byte))
        return NULL;
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(rule->handler, others[i]) && (i < 5 || !t.intel))
            return NULL;
    return rule;
}

/* General and vector instructions as often as not, whatever number of forms there are. */
static unsigned draw_row(void)
{
    for (;;) {
        unsigned row = 4 + random_below(&t.random, ROW_COUNT - 4);
        const struct rule *rule = rules[row];

        if (rule && (rule->kind < VECTOR || random_below(&t.random, 4) == 0))
            return row;
    }
}

/* Flags that are undefined are defined before somebody needs them. */
static unsigned define_flags(uint8_t *to)
{
    static const uint8_t code[4][2] = {{0x39, 0xd1}, {0x01, 0xd0}, {0xf7, 0xd8}, {0x29, 0xc2}};

    memcpy(to, code[random_below(&t.random, 4)], 2);
    return 2;
}

static bool add_insn(struct sequence *s)
{
    unsigned row = draw_row(), n = 0, size;
    const struct rule *rule = rules[row];
    uint8_t bytes[CODE_SIZE + 4];
    struct insn insn;
    bool skip = false;

    if (!form_encode(&t, row, random_below(&t.random, 3), bytes, &insn) || !fits(rule, &insn, s))
        return false;
    size = operand_kinds[opcode_rows[row].operand[0]].size == 1 ? 1 : insn.opsize;
    n = insn.length;
    if (form_undefined_flags(rule, &insn, 63, size, &skip))
        n += define_flags(bytes + n);
    if (skip || s->length + n + 2 > LENGTH)
        return false;
    if (random_below(&t.random, 6) == 0) { // Jcc over it
        s->bytes[s->length++] = (uint8_t)(0x70 | random_below(&t.random, 16));
        s->bytes[s->length++] = (uint8_t)n;
    }
    memcpy(s->bytes + s->length, bytes, n);
    s->length += n;
    s->end[s->count++] = s->length;
    return true;
}

static void draw_registers(const struct sequence *s)
{
    static const unsigned bases[4] = {CPU_RBX, CPU_RBP, CPU_RSI, CPU_RDI};
    uint64_t *gpr = native_state.gpr, data = (uint64_t)(uintptr_t)t.arena.data;

    for (unsigned i = 0; i < 16; i++) {
        gpr[i] = values_pick(&t.random);
        if (t.mode == 4)
            gpr[i] = (uint32_t)gpr[i];
    }
    for (unsigned i = 0; i < 4; i++) {
        gpr[bases[i]] = data + 512 + random_below(&t.random, 3000);
        if (random_below(&t.random, 4))
            gpr[bases[i]] &= ~31ull;
    }
    if (s->edge)
        gpr[bases[random_below(&t.random, 4)]] =
            data + (random_below(&t.random, 2) ? 0 : DATA_SIZE) - 32 + random_below(&t.random, 64);
    gpr[CPU_RSP] = (uint64_t)(uintptr_t)t.arena.stack + 2048;
    native_state.rflags = 0x202 | (random_u64(&t.random) & RFLAGS_STATUS);
    memcpy(t.arena.data, t.arena.fill[0], DATA_SIZE);
    memcpy(t.arena.stack, t.arena.fill[1], DATA_SIZE);
}

static void draw(struct sequence *s)
{
    unsigned wanted = 3 + random_below(&t.random, 10);

    s->length = s->count = 0;
    s->edge = random_below(&t.random, 8) == 0;
    for (unsigned i = 0; i < 4000 && s->count < wanted; i++)
        (void)add_insn(s);
    draw_registers(s);
    values_fill_image(&t.random, random_below(&t.random, 2) ? VALUES_INTEGER : VALUES_FLOAT, true,
                      native_state.xsave);
    native_state.vectors = 7;
    form_put(&t, s->bytes, s->length);
    form_set_state(&t);
    memcpy(t.state->xsave, native_state.xsave, 1024);
}

/* --- Comparison --- */

static void run_engine(struct machine *machine)
{
    struct machine_end end = {0};
    uint64_t exit = (uint64_t)(uintptr_t)t.arena.code + t.length;

    machine_put(machine, 0, t.arena.code, t.length);
    machine_put(machine, t.length, &end_of_code, 1);
    t.fault = (struct form_fault){0xfe, false, 0, 0};
    if (machine_run(machine, t.mode, t.state, &end))
        t.fault = (struct form_fault){end.vector, end.has_error, end.error, end.cr2};
    if (t.fault.vector == GP && end.error == 0 && t.state->rip == exit)
        t.fault.vector = NATIVE_NO_FAULT;
    form_put_initial_state(&t);
}

static const char *difference(unsigned fault)
{
    const struct arena *a = &t.arena;
    static const struct rule vector = {"", VECTOR, 0, 0};

    if (fault != t.fault.vector)
        return "not the same exception";
    if (fault == PAGE_FAULT && (t.fault.error != native_state.error ||
                                t.fault.cr2 / DATA_SIZE != native_state.cr2 / DATA_SIZE))
        return "not the same page fault";
    if (fault != NATIVE_NO_FAULT && t.state->rip != native_state.rip)
        return "not the same instruction";
    if (memcmp(t.state->gpr, native_state.gpr, sizeof t.state->gpr / 16 * (t.mode * 2)))
        return "not the same registers";
    if (fault == NATIVE_NO_FAULT &&
        ((t.state->rflags ^ native_state.rflags) & (ALL_FLAGS | RFLAGS_DF)))
        return "not the same flags";
    if (memcmp(a->data, a->after[0], DATA_SIZE) || memcmp(a->stack, a->after[1], DATA_SIZE))
        return "not the same memory";
    if (fault == NATIVE_NO_FAULT ? !form_same_vectors(&t) : !form_same_after_fault(&t, &vector))
        return "not the same vector registers";
    return NULL;
}

static void explain(const struct sequence *s, const char *what, unsigned fault)
{
    char text[3 * LENGTH + 1];

    if (t.wrong++, t.shown++ >= 3)
        return;
    for (unsigned i = 0; i < s->length; i++)
        snprintf(text + 3 * i, 4, "%02x ", s->bytes[i]);
    tap_note("%s: %s: exception %u (%lx, %lx) at %lx here, %u (%lx, %lx) at %lx there", text, what,
             t.fault.vector, t.fault.error, t.fault.cr2, t.state->rip, fault, native_state.error,
             native_state.cr2, native_state.rip);
    for (unsigned i = 0; i < 16; i++)
        if (t.state->gpr[i] != native_state.gpr[i])
            tap_note("    register %u: %lx here, %lx there", i, t.state->gpr[i],
                     native_state.gpr[i]);
    tap_note("    flags %lx here, %lx there", t.state->rflags, native_state.rflags);
    form_explain_vectors(&t);
}

static struct native_state first_native;
static struct cpu_state first_state;

/* Both, the first `length` bytes of it, from the state that was drawn. What differs, or NULL. */
static const char *run_both(struct machine *machine, const struct sequence *s, unsigned length,
                            unsigned *fault)
{
    struct arena *a = &t.arena;

    native_state = first_native;
    memcpy(a->data, a->before[0], DATA_SIZE);
    memcpy(a->stack, a->before[1], DATA_SIZE);
    form_put(&t, s->bytes, length);
    *fault = native_run();
    memcpy(a->after[0], a->data, DATA_SIZE);
    memcpy(a->after[1], a->stack, DATA_SIZE);
    memcpy(a->data, a->before[0], DATA_SIZE);
    memcpy(a->stack, a->before[1], DATA_SIZE);
    *t.state = first_state;
    run_engine(machine);
    return difference(*fault);
}

/* False: not one to be run. Of what differs the shortest beginning is shown that does. */
static bool try_one(struct machine *machine, unsigned *faults)
{
    struct sequence s;
    unsigned fault;
    const char *what;

    draw(&s);
    memcpy(t.arena.before[0], t.arena.data, DATA_SIZE);
    memcpy(t.arena.before[1], t.arena.stack, DATA_SIZE);
    first_native = native_state;
    first_state = *t.state;
    if (s.count < 3 || !stays_inside(&s))
        return false;
    what = run_both(machine, &s, s.length, &fault);
    *faults += fault != NATIVE_NO_FAULT;
    if (!what)
        return true;
    for (unsigned i = 0; i < s.count; i++) {
        const char *shorter = run_both(machine, &s, s.end[i], &fault);

        if (shorter) {
            s.length = s.end[i];
            what = shorter;
            break;
        }
    }
    explain(&s, what, fault);
    return true;
}

static void test_engine(enum machine_kind kind, unsigned sequences)
{
    struct machine *machine = machine_new(kind);

    if (!machine) {
        ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
        return;
    }
    native_init();
    for (t.mode = 4; t.mode <= 8; t.mode += 4) {
        unsigned done = 0, faults = 0;

        t.random = 20261125;
        t.wrong = t.shown = 0;
        for (unsigned i = 0; i < 20 * sequences && done < sequences; i++)
            done += try_one(machine, &faults);
        ok(t.wrong == 0 && done == sequences,
           "%s, %u-bit code: %u sequences, %u of them with an exception: %u not as on this "
           "processor", machine_name(machine), 8 * t.mode, done, faults, t.wrong);
    }
    machine_free(machine);
}

int main(int argc, char **argv)
{
    unsigned sequences = argc > 1 && !strcmp(argv[1], "full") ? 20 * SEQUENCES : SEQUENCES;
    unsigned eax, ebx = 0, ecx, edx;
    struct arena *a = &t.arena;

    __get_cpuid(0, &eax, &ebx, &ecx, &edx);
    t.intel = ebx == signature_INTEL_ebx;
    a->base = machine_pages();
    if (!a->base) {
        tap_note("no memory for the arena");
        return 1;
    }
    a->code = a->base;
    a->data = a->base + 2 * DATA_SIZE;
    a->stack = a->base + 4 * DATA_SIZE;
    for (unsigned i = 0; i < DATA_SIZE; i++) {
        a->fill[0][i] = (uint8_t)random_u64(&t.random);
        a->fill[1][i] = (uint8_t)random_u64(&t.random);
    }
    for (unsigned row = 4; row < ROW_COUNT; row++)
        rules[row] = usable(row);
    t.state = aligned_alloc(4096, sizeof *t.state);
    interp_init(&interp, t.state, &trial_ops, NULL, 46);
    test_engine(MACHINE_RECOMPILER, sequences);
    test_engine(MACHINE_INTERPRETER, sequences);
    free(t.state);
    return tap_done();
}
