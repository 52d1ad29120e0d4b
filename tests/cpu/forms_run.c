/* SPDX-License-Identifier: MIT */
/* Forms on the processor and on an engine, from the same states. */
#include "tests/cpu/forms.h"
#include "tests/cpu/native.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/xstate.h"

#include <string.h>

#define LEAST(states) ((states) < 1000u ? (states) : 1000u)
#define X87_FORMS 72u // of one row: register forms, and modrm.reg of memory forms

void form_put_initial_state(struct test *t)
{
    uint8_t *image = t->state->xsave;

    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (!(image[XSAVE_BV] & bit))
            xstate_initialize(image, bit);
}

/* The processor, then the engine, from the same state; the arena ends as the engine leaves it. */
static unsigned execute(struct test *t)
{
    struct arena *a = &t->arena;
    unsigned fault;

    memcpy(a->before[0], a->data, DATA_SIZE);
    memcpy(a->before[1], a->stack, DATA_SIZE);
    fault = native_run();
    memcpy(a->after[0], a->data, DATA_SIZE);
    memcpy(a->after[1], a->stack, DATA_SIZE);
    memcpy(a->data, a->before[0], DATA_SIZE);
    memcpy(a->stack, a->before[1], DATA_SIZE);
    t->fault = (struct form_fault){NATIVE_NO_FAULT, false, 0, 0};
    t->engine(t);
    if (native_state.vectors)
        form_put_initial_state(t);
    return fault;
}

/*
 * After an exception with its error code and address, where the engine tells them. Of a masked
 * store processors give an address somewhere in the page.
 */
static bool same_fault(const struct test *t, const struct rule *rule, unsigned fault)
{
    uint64_t mask = strncmp(rule->handler, "avx_mask", 8) ? ~0ull : ~0xfffull;

    if (t->fault.vector != fault)
        return false;
    if (fault == PAGE_FAULT && t->paging)
        return t->fault.error == native_state.error &&
               !((t->fault.cr2 ^ native_state.cr2) & mask);
    return true;
}

/*
 * What has been done by then is left open for what writes more than one operand, and how much of a
 * store of ten bytes.
 */
static bool same_data_after_fault(const struct test *t, const struct rule *rule)
{
    const struct arena *a = &t->arena;

    if (rule->kind == STRING || rule->kind == XSTATE || rule->kind == STACK)
        return true;
    return !memcmp(t->state->gpr, native_state.gpr, sizeof t->state->gpr / 16 * (t->mode * 2)) &&
           !memcmp(a->stack, a->after[1], DATA_SIZE) &&
           (rule->kind == X87 || !memcmp(a->data, a->after[0], DATA_SIZE));
}

/* Runs both; what is not the same, or NULL. */
static const char *compare(struct test *t, unsigned row, const struct rule *rule,
                           const struct insn *insn, uint64_t mask)
{
    unsigned fault = execute(t);

    t->shown_fault = NATIVE_NO_FAULT;
    if (fault == NATIVE_NO_FAULT && t->fault.vector == fault)
        return form_difference(t, row, rule, insn, mask);
    if (rule->kind == X87 && fault == NATIVE_NO_FAULT && t->fault.vector == PAGE_FAULT &&
        native_state.xsave[2] & 0x80)
        return NULL; // an unmasked exception keeps the store from its operand: either comes first
    if (!same_fault(t, rule, fault)) {
        t->shown_fault = fault;
        return "not the same exception";
    }
    if (t->paging && !same_data_after_fault(t, rule))
        return "not the same registers or memory after an exception";
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

static void test_row(struct test *t, unsigned row, const struct rule *rule, struct form_counts *c)
{
    const struct opcode_row *r = &opcode_rows[row];
    unsigned done = 0, tries = 0, wrong = t->wrong;
    unsigned states = t->states[rule->kind >= VECTOR];

    if (rule->kind == X87)
        states = X87_FORMS * t->states[2];
    t->shown = 0;
    for (; done < states && tries < 20 * states + 60000; tries++)
        done += try_one(t, row, rule, tries % 3);
    c->states += done;
    c->forms++;
    if (done < LEAST(states)) {
        c->unreached++;
        tap_note("only %u states for %s (map %u, %x)", done, opcode_name(row), r->map, r->byte);
    }
    if (t->wrong != wrong)
        tap_note("%s (map %u, %02x): %u of %u states wrong", opcode_name(row), r->map, r->byte,
                 t->wrong - wrong, done);
}

void forms_test(struct test *t, unsigned mode)
{
    uint32_t excluded = SELECT(KEY_64, mode == 8 ? 0 : KEY_64);
    struct form_counts c = {0};

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
    tap_note("%s, %u-bit code: %u forms compared, %u lacking in this processor, %u not in this mode, "
             "%u tested elsewhere, %u decoded but not executed",
             t->name, 8 * mode, c.forms, c.lacking, c.other_mode, c.elsewhere, c.none);
    ok(t->wrong == 0, "%s, %u-bit code: %lu states of %u forms: the same as on this processor",
       t->name, 8 * mode, c.states, c.forms);
    ok(c.unreached == 0, "%s, %u-bit code: at least %u states for every form", t->name, 8 * mode,
       LEAST(t->states[1]));
}
