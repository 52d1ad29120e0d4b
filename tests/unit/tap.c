/* SPDX-License-Identifier: MIT */
/* The TAP producer. The two counters are the program's only state. */
#include "tests/unit/tap.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static unsigned checks, failures;

static bool report(bool passed, const char *name)
{
    checks++;
    failures += !passed;
    printf("%sok %u - %s\n", passed ? "" : "not ", checks, name);
    fflush(stdout);
    return passed;
}

bool ok(bool condition, const char *name, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, name);
    vsnprintf(text, sizeof(text), name, arguments);
    va_end(arguments);
    return report(condition, text);
}

bool is_u64(uint64_t got, uint64_t expected, const char *name)
{
    if (!report(got == expected, name))
        tap_note("got %" PRIu64 " (0x%" PRIx64 "), expected %" PRIu64 " (0x%" PRIx64 ")", got, got,
                 expected, expected);
    return got == expected;
}

bool is_str(const char *got, const char *expected, const char *name)
{
    bool equal = got && expected ? strcmp(got, expected) == 0 : got == expected;

    if (!report(equal, name))
        tap_note("got \"%s\", expected \"%s\"", got ? got : "(null)",
                 expected ? expected : "(null)");
    return equal;
}

void tap_note(const char *format, ...)
{
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

int tap_done(void)
{
    printf("1..%u\n", checks);
    return checks == 0 || failures != 0;
}
