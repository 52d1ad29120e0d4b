/* SPDX-License-Identifier: MIT */
/* What an engine and the processor have made of one state. */
#include "tests/cpu/forms.h"
#include "tests/cpu/native.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/xstate.h"

#include <stdio.h>
#include <string.h>

/* Flags that this execution leaves undefined; depends on counts. */
uint64_t form_undefined_flags(const struct rule *rule, const struct insn *insn, uint64_t rcx,
                              unsigned size, bool *skip)
{
    uint64_t count, undefined = rule->undefined;

    if (rule->kind != SHIFT && rule->kind != DOUBLE_SHIFT)
        return undefined;
    if (insn->opcode == 0xd0 || insn->opcode == 0xd1)
        count = 1;
    else if (insn->opcode < 0xc2 && insn->map == MAP_1)
        count = insn->imm;
    else if (insn->opcode == 0xa4 || insn->opcode == 0xac)
        count = insn->imm;
    else
        count = rcx;
    count &= size == 8 ? 63 : 31;
    if (count == 0)
        return 0;
    if (count != 1)
        undefined |= RFLAGS_OF;
    if (count > 8 * size && (rule->kind == DOUBLE_SHIFT))
        *skip = true;
    if (count >= 8 * size && rule->undefined)
        undefined |= RFLAGS_CF;
    return undefined;
}

/*
 * After an exception only MXCSR may have changed (what XRSTOR has done by then is left open).
 * Whether an unmasked overflow or underflow is inexact too is left out. Some of Intel's processors
 * have begun with MMX, and made TOP 0, when a store of an MMX register faults.
 */
bool form_same_after_fault(const struct test *t, const struct rule *rule)
{
    uint8_t ours = t->state->xsave[24], theirs = native_state.xsave[24];
    bool top = !((t->state->xsave[3] ^ native_state.xsave[3]) & 0x38);
    unsigned from = top ? 32 : 160; // the registers are saved from TOP on

    return !((ours ^ theirs) & (theirs & 0x18 ? 0x5f : 0x7f)) &&
           (!memcmp(t->state->xsave, native_state.xsave, 5) || (!top && rule->kind == VECTOR)) &&
           !memcmp(t->state->xsave + from, native_state.xsave + from, 416 - from) &&
           (rule->kind == X87 || !memcmp(t->state->xsave + 576, native_state.xsave + 576, 256));
}

bool form_same_vectors(const struct test *t)
{
    const uint8_t *ours = t->state->xsave, *theirs = native_state.xsave;

    /*
     * Control, tag and MXCSR words, then the registers; instruction and data pointers are the
     * host's own.
     */
    return !memcmp(ours, theirs, 5) && !memcmp(ours + 24, theirs + 24, 4) &&
           !memcmp(ours + 32, theirs + 32, 384) && !memcmp(ours + 576, theirs + 576, 256);
}

void form_explain_vectors(const struct test *t)
{
    const uint8_t *ours = t->state->xsave, *theirs = native_state.xsave;

    tap_note("    control, status, tags, mxcsr: %02x%02x %02x%02x %02x %02x%02x here, "
             "%02x%02x %02x%02x %02x %02x%02x there", ours[1], ours[0], ours[3], ours[2], ours[4],
             ours[25], ours[24], theirs[1], theirs[0], theirs[3], theirs[2], theirs[4], theirs[25],
             theirs[24]);
    for (unsigned i = 32; i < 832; i += i == 400 ? 176 : 16) {
        uint64_t a[2], b[2];

        memcpy(a, ours + i, 16);
        memcpy(b, theirs + i, 16);
        if (memcmp(a, b, 16))
            tap_note("    image at %u: %016lx%016lx here, %016lx%016lx there", i, a[1], a[0], b[1],
                     b[0]);
    }
}

void form_explain(struct test *t, unsigned row, const uint8_t *bytes, const struct insn *insn,
                  const char *what, const uint64_t *before, uint64_t flags_before)
{
    char text[64];
    const struct cpu_state *s = t->state;

    if (t->wrong++, t->shown >= 3)
        return;
    t->shown++;
    for (unsigned i = 0; i < insn->length; i++)
        snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
    tap_note("%s %s: %s", opcode_name(row), text, what);
    if (t->shown_fault != t->fault.vector || t->fault.vector == PAGE_FAULT)
        tap_note("    exception %u (%lx, %lx) here, %u (%lx, %lx) there", t->fault.vector,
                 t->fault.error, t->fault.cr2, t->shown_fault, native_state.error,
                 native_state.cr2);
    for (unsigned i = 0; i < 16; i++) {
        uint64_t ours = i == CPU_RSP ? s->rsp : s->gpr[i];

        if (ours != native_state.gpr[i])
            tap_note("    register %u: %lx before, %lx here, %lx there", i, before[i], ours,
                     native_state.gpr[i]);
    }
    if (native_state.vectors)
        form_explain_vectors(t);
    if ((s->rflags ^ native_state.rflags) & ALL_FLAGS)
        tap_note("    flags: %lx before, %lx here, %lx there; rax %lx rcx %lx", flags_before,
                 s->rflags, native_state.rflags, before[0], before[1]);
}

/* What is not the same, or NULL. */
const char *form_difference(struct test *t, unsigned row, const struct rule *rule,
                            const struct insn *insn, uint64_t mask)
{
    struct arena *a = &t->arena;
    uint64_t rip = (uint64_t)(uintptr_t)a->code + insn->length;
    bool near = rule->kind == BRANCH && opcode_rows[row].imm == IMM_S8;

    if (native_state.exit)
        rip = (uint64_t)(uintptr_t)a->code + (near ? EXIT_NEAR : EXIT_FAR);
    t->state->gpr[CPU_RSP] = t->state->rsp;
    if (t->state->rip != rip)
        return "not the same next instruction";
    if (memcmp(t->state->gpr, native_state.gpr, sizeof t->state->gpr / 16 * (t->mode * 2)))
        return "not the same registers";
    if ((t->state->rflags ^ native_state.rflags) & mask)
        return "not the same flags";
    if (rule->kind == XSTATE) { // MXCSR_MASK differs between processors
        memset(t->area + 28, 0, 4);
        memset(a->after[0] + (t->area - a->data) + 28, 0, 4);
    }
    if (memcmp(a->data, a->after[0], DATA_SIZE) || memcmp(a->stack, a->after[1], DATA_SIZE))
        return "not the same memory";
    if (native_state.vectors && !form_same_vectors(t))
        return "not the same vector registers";
    return NULL;
}
