/* SPDX-License-Identifier: MIT */
/*
 * What the opcode table knows and no engine executes, and what has no row at all: instructions that
 * CPUID does not offer are #UD on both engines, in 64- and in 32-bit code, with all registers as
 * they were.
 */
#include "tests/cpu/forms.h"
#include "tests/cpu/machine.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROW 4u
#define TRIES     24u // encodings of each row
#define DRAWS     4000u

static struct test t;

static void set_registers(struct cpu_state *s)
{
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = random_u64(&t.random);
    s->rsp = MACHINE_USER + 4 * 4096 + 2048;
    s->gpr[CPU_RSP] = s->rsp;
    s->rflags = 0x202;
    s->rip = MACHINE_USER;
    s->xsave[25] = 0x1f; // MXCSR 1f80h, all else as at first
    s->xsave[24] = 0x80;
    s->xsave[0] = 0x7f;
    s->xsave[1] = 3;
    s->xsave[512] = 7;
}

static bool is_refused(struct machine *machine, const uint8_t *bytes)
{
    static struct cpu_state before, state;
    struct machine_end end;
    unsigned size = t.mode == 8 ? sizeof state.gpr : sizeof state.gpr / 2;
    bool right;

    set_registers(&before);
    if (t.mode == 4)
        for (unsigned i = 0; i < 16; i++)
            before.gpr[i] = (uint32_t)before.gpr[i];
    state = before;
    machine_put(machine, 0, bytes, CODE_SIZE);
    right = machine_run(machine, t.mode, &state, &end) && end.vector == EXCEPTION_UD &&
            state.rip == MACHINE_USER && !memcmp(before.gpr, state.gpr, size);
    if (!right)
        tap_note("%02x %02x %02x %02x %02x %02x in %u-bit code: exception %u at %lx", bytes[0],
                 bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], 8 * t.mode, end.vector,
                 state.rip);
    return right;
}

static void test_row(struct machine *machine, unsigned row, unsigned *rows, unsigned *wrong)
{
    uint8_t bytes[CODE_SIZE];
    struct insn insn;
    unsigned done = 0;

    for (unsigned i = 0; i < DRAWS && done < TRIES; i++) {
        t.mode = i & 1 ? 4 : 8;
        if (!form_encode(&t, row, i % 3, bytes, &insn))
            continue;
        done++;
        if (!is_refused(machine, bytes)) {
            tap_note("%s", opcode_name(row));
            (*wrong)++;
            break;
        }
    }
    *rows += done == TRIES;
    if (done < TRIES)
        tap_note("only %u encodings of %s (map %u, %02x)", done, opcode_name(row),
                 opcode_rows[row].map, opcode_rows[row].byte);
}

/* EVEX in all its maps, XOP: rows 2 and 3. */
static void test_prefixes(struct machine *machine)
{
    uint8_t bytes[CODE_SIZE];
    struct insn insn;
    unsigned done = 0, wrong = 0;

    for (unsigned i = 0; i < 40000 && wrong < 5; i++) {
        for (unsigned n = 0; n < CODE_SIZE; n++)
            bytes[n] = (uint8_t)random_u64(&t.random);
        bytes[0] = i & 1 ? 0x62 : 0x8f;
        t.mode = i & 2 ? 4 : 8;
        if (decode(bytes, CODE_SIZE, t.mode, &insn) != DECODE_OK || insn.op >= FIRST_ROW)
            continue;
        done++;
        wrong += !is_refused(machine, bytes);
    }
    ok(wrong == 0 && done > 2000, "%s: %u encodings of EVEX and XOP are #UD", machine_name(machine),
       done);
}

static void test_engine(enum machine_kind kind)
{
    struct machine *machine = machine_new(kind);
    unsigned rows = 0, wrong = 0, hidden = 0;

    if (!machine) {
        ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
        return;
    }
    for (unsigned row = FIRST_ROW; row < ROW_COUNT; row++)
        if (!strcmp(form_handlers[row], "none")) {
            hidden++;
            test_row(machine, row, &rows, &wrong);
        }
    ok(wrong == 0, "%s: what it does not execute is #UD", machine_name(machine));
    is_u64(rows, hidden, "all of these rows, with as many encodings as wanted");
    test_prefixes(machine);
    machine_free(machine);
}

int main(void)
{
    t.random = 20261124;
    if (!machine_pages()) {
        tap_note("no memory for the guest");
        return 1;
    }
    test_engine(MACHINE_RECOMPILER);
    test_engine(MACHINE_INTERPRETER);
    return tap_done();
}
