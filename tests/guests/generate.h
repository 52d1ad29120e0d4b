/* SPDX-License-Identifier: MIT */
/*
 * Random instructions for tests: mostly valid ones, by tables of what follows an opcode. No library
 * is needed, so that guests and tests on the host share it. The same seed gives the same
 * instructions.
 */
#ifndef TESTS_GUESTS_GENERATE_H
#define TESTS_GUESTS_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

enum generated {
    GENERATED_ONE_BYTE,
    GENERATED_TWO_BYTE,
    GENERATED_0F38,
    GENERATED_0F3A,
    GENERATED_VEX,
    GENERATED_X87,
    GENERATED_STRING,
    GENERATED_LOCKED,
    GENERATED_BRANCH,
    GENERATED_BYTES,
    GENERATED_KINDS,
};

extern const char *const generated_names[GENERATED_KINDS];

struct generator {
    uint64_t seed; // not 0
    unsigned bits; // size of code: 16, 32 or 64
    /* Nothing that could stop or take over the machine from ring 0: no ports, control registers,
     * far or indirect jumps, jumps back. */
    bool supervisor;
};

uint32_t generator_any(struct generator *g);
/* One instruction of at most 15 bytes (or some random bytes); its length. A branch of a supervisor
 * goes to the instruction behind it. */
unsigned generate(struct generator *g, uint8_t to[16], enum generated *kind);

#endif
