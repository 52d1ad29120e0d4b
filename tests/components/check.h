/* SPDX-License-Identifier: MIT */
/* Checks of a test component, as TAP in the system log. */
#ifndef TESTS_COMPONENTS_CHECK_H
#define TESTS_COMPONENTS_CHECK_H

#include "framework/component.h"

#include <stdbool.h>

struct checks {
    unsigned count, failed;
};

#define CHECK(checks, condition, ...) check((checks), (condition), __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5)))
void check(struct checks *checks, bool condition, int line, const char *format, ...);

/* The plan; returns the exit code. */
int checks_done(const struct checks *checks);

#endif
