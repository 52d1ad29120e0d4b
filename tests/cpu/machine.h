/* SPDX-License-Identifier: MIT */
/*
 * A machine of one vCPU for tests of its engine: user code in 64-bit or compatibility mode, with
 * paging, on pages that are the test's own memory at the same addresses.
 *
 * Six pages from MACHINE_USER on: code, read-only data, data, nothing, stack, nothing; the stack's is
 * also the last below 4 GiB; 1 and 4 GiB above it is the data's. The guest
 * has a code page of its own, so that code can end in another way there than on the processor. One
 * machine a program.
 */
#ifndef TESTS_CPU_MACHINE_H
#define TESTS_CPU_MACHINE_H

#include "vmm/cpu/state.h"
#include "vmm/engine.h"

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_USER 0x10000000u
#define MACHINE_SUPERVISOR 0x10u // with the mode: code of 4 or 8 bytes at CPL 0

enum machine_kind { MACHINE_INTERPRETER, MACHINE_RECOMPILER };

/* How a run has ended. */
struct machine_end {
    unsigned vector; // of the exception
    bool has_error;
    uint64_t error, cr2;
};

struct machine;

/* The six pages, mapped; once. NULL: not possible here. */
uint8_t *machine_pages(void);
/* After machine_pages(). NULL: this engine cannot be had here. */
struct machine *machine_new(enum machine_kind kind);
void machine_free(struct machine *machine);
const char *machine_name(const struct machine *machine);
/* Code in the guest's code page. */
void machine_put(struct machine *machine, unsigned offset, const void *bytes, unsigned length);
/*
 * From the registers of `state` (general, RIP, RSP, RFLAGS, and the XSAVE image) in code of 4 or 8
 * bytes, to the first exception, whose registers come back. False: it ended in another way.
 */
bool machine_run(struct machine *machine, unsigned mode, struct cpu_state *state,
                 struct machine_end *end);
/* The data's page as not accessed and not dirty, which the engine does not know otherwise; and what it is since: bits 5 and 6. */
void machine_unmark(struct machine *machine);
unsigned machine_marks(struct machine *machine);
/* Instructions that the recompiler left to the interpreter. */
uint64_t machine_interpreted(const struct machine *machine);

#endif
