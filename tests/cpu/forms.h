/* SPDX-License-Identifier: MIT */
/*
 * Forms of the opcode table as they are run on the processor: which handlers can be, a random
 * encoding and a random state for a form, and what may differ afterwards.
 *
 * Guest memory is the host's own, at the host's addresses, below 2 GiB. A test is one for each
 * program, as native_state is; functions that draw return false for what cannot be tried, and the
 * caller draws again.
 */
#ifndef TESTS_CPU_FORMS_H
#define TESTS_CPU_FORMS_H

#include "vmm/cpu/control.h"
#include "vmm/cpu/decode.h"
#include "vmm/cpu/interp.h"
#include "vmm/cpu/opcode.h"

#include <stdbool.h>
#include <stdint.h>

#define DATA_SIZE  4096u
#define CODE_SIZE  24u   // bytes given to the decoder
#define EXIT_NEAR  100u  // in the code page: where short branches go
#define EXIT_FAR   512u  // and others
#define THUNKS     1024u // ways between 64- and 32-bit code
#define ALL_FLAGS  RFLAGS_STATUS
#define PAGE_FAULT 14u

/* What is special about a handler. */
enum kind {
    PLAIN, SHIFT, DOUBLE_SHIFT, BIT, STRING, BRANCH, CALL, RETURN, STACK, POPF,
    VECTOR, FLOAT, X87, XSTATE
};

struct rule {
    const char *handler;
    enum kind kind;
    uint64_t undefined; // flags
    unsigned skip16;    // the 16-bit form is undefined
};

struct arena {
    uint8_t *base; // code page, data page, stack page; a page is left out after each
    uint8_t *code, *data, *stack;
    uint8_t fill[2][DATA_SIZE], before[2][DATA_SIZE], after[2][DATA_SIZE];
};

/* An exception: of an engine with paging, with its error code and, of a page fault, the address. */
struct form_fault {
    unsigned vector; // or NATIVE_NO_FAULT
    bool has_error;
    uint64_t error, cr2;
};

struct test {
    struct arena arena;
    struct cpu_state *state;
    /* Runs what form_put() has put from `state`, for one instruction; sets `fault`. */
    void (*engine)(struct test *t);
    const char *name; // the engine's
    bool paging;      // with page faults as on the processor
    unsigned states[3]; // for each form and operand size: general, vector, each of x87's
    unsigned length;  // of the instruction
    struct form_fault fault;
    unsigned shown_fault; // the processor's, where that is what differs
    uint64_t random;
    unsigned wrong, shown;
    unsigned mode; // code size: 4 or 8
    bool intel;    // the processor
    uint8_t *area; // of XSAVE and the like
    void *arg;     // the engine's
};

/* forms_rules.c: the handler of each row; its rule, NULL where it has none. */
extern const char *const form_handlers[ROW_COUNT];
const struct rule *form_rule(const char *handler);
/* Features that a processor may lack: a counted skip. */
bool form_on_host(const char *handler, unsigned map, unsigned opcode);

/*
 * forms_code.c: CODE_SIZE bytes that begin with an instruction of this row and operand-size variant
 * (0 none, 1 66, 2 REX.W); then the changes that its kind needs; then the code page around it.
 */
bool form_encode(struct test *t, unsigned row, unsigned variant, uint8_t *bytes,
                 struct insn *insn);
bool form_adjust(struct test *t, unsigned row, const struct rule *rule, uint8_t *bytes,
                 struct insn *insn);
void form_put(struct test *t, const uint8_t *bytes, unsigned length);

/* forms_state.c: native_state and the arena; then the same into t->state. */
bool form_prepare(struct test *t, const struct rule *rule, const struct insn *insn);
void form_clear_upper_halves(const struct test *t, const struct rule *rule,
                             const struct insn *insn);
void form_set_state(struct test *t);
void form_fill_vectors(struct test *t, enum kind kind, const struct insn *insn);

/*
 * forms_compare.c. t->state and the arena are what the engine has left, native_state and
 * t->arena.after what the processor has. form_difference() returns what is not the same, or NULL.
 */
uint64_t form_undefined_flags(const struct rule *rule, const struct insn *insn, uint64_t rcx,
                              unsigned size, bool *skip);
bool form_same_after_fault(const struct test *t, const struct rule *rule);
const char *form_difference(struct test *t, unsigned row, const struct rule *rule,
                            const struct insn *insn, uint64_t mask);
bool form_same_vectors(const struct test *t);
void form_explain_vectors(const struct test *t);
void form_explain(struct test *t, unsigned row, const uint8_t *bytes, const struct insn *insn,
                  const char *what, const uint64_t *before, uint64_t flags_before);

/* forms_run.c: all forms that have a rule, in code of 4 or 8 bytes; two TAP lines. */
struct form_counts {
    unsigned long states;
    unsigned forms, lacking, other_mode, elsewhere, none, unreached;
};
void forms_test(struct test *t, unsigned mode);
/* What is in its initial state is in the image too. */
void form_put_initial_state(struct test *t);

#endif
