/* SPDX-License-Identifier: MIT */
/*
 * Random operands and register images in which the edges come often: integers, floating-point
 * numbers of each kind and size, control words with exceptions masked and not. `random` is the
 * state of random.h.
 */
#ifndef TESTS_CPU_VALUES_H
#define TESTS_CPU_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* What the registers are for. */
enum values_kind { VALUES_INTEGER, VALUES_FLOAT, VALUES_X87, VALUES_XSTATE };

uint64_t values_pick(uint64_t *random);
void values_put16(uint8_t *to, uint64_t value);
/* Numbers of one size, or packed decimals, in some 30 bytes from an operand on; at times nothing. */
void values_put_numbers(uint64_t *random, uint8_t *where);
/*
 * An XSAVE image of 1 KiB with x87, SSE and AVX. masked: no exception of MXCSR is unmasked.
 */
void values_fill_image(uint64_t *random, enum values_kind kind, bool masked, uint8_t *image);

#endif
