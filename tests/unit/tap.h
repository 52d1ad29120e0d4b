/* SPDX-License-Identifier: MIT */
/*
 * A producer of TAP, the Test Anything Protocol, for unit tests: one line a check on standard
 * output, the plan at the end. A program's main() makes its checks and returns tap_done(). Every
 * check returns whether it passed. What fails is explained in lines that begin with #. One thread
 * only.
 */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdbool.h>
#include <stdint.h>

/* The check named by the format passes if the condition holds. */
__attribute__((format(printf, 2, 3)))
bool ok(bool condition, const char *name, ...);

/* Equal numbers, equal strings (NULL equals NULL). */
bool is_u64(uint64_t got, uint64_t expected, const char *name);
bool is_str(const char *got, const char *expected, const char *name);

/* An explanation. */
__attribute__((format(printf, 1, 2)))
void tap_note(const char *format, ...);

/* Print the plan. Returns the program's exit status: 0 if there was a check and all passed. */
int tap_done(void);

#endif
