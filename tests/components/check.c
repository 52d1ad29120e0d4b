/* SPDX-License-Identifier: MIT */
/* Checks of a test component. */
#include "tests/components/check.h"
#include "lib/format.h"

void check(struct checks *checks, bool condition, int line, const char *format, ...)
{
    char name[160];
    va_list arguments;

    va_start(arguments, format);
    format_string_va(name, sizeof name, format, arguments);
    va_end(arguments);
    checks->count++;
    if (condition) {
        log_print("ok %u - %s", checks->count, name);
    } else {
        checks->failed++;
        log_print("not ok %u - %s (line %d)", checks->count, name, line);
    }
}

int checks_done(const struct checks *checks)
{
    log_print("1..%u", checks->count);
    return checks->failed ? 1 : 0;
}
