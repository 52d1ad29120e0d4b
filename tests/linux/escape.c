/* SPDX-License-Identifier: MIT */
/* The escape key. */
#include "hosts/linux/escape.h"
#include "tests/unit/tap.h"

#include <string.h>

/* What a sequence of keys sends and commands, commands as letters in braces. */
static const char *type(const char *keys)
{
    static const char *const names[] = {"", "{end}", "{power}", "{help}"};
    static char text[64];
    struct escape escape = {false};
    char *to = text;

    for (; *keys; keys++) {
        uint8_t bytes[ESCAPE_BYTES_MAX];
        size_t n;
        enum escape_command command = escape_key(&escape, (uint8_t)*keys, bytes, &n);

        memcpy(to, bytes, n);
        to = stpcpy(to + n, names[command]);
    }
    *to = 0;
    return text;
}

int main(void)
{
    is_str(type("ls\r\003\377"), "ls\r\003\377", "other keys are the guest's, Ctrl-C too");
    is_str(type("a\001xb"), "a{end}b", "Ctrl-A x ends");
    is_str(type("\001X\001p\001h\001?"), "{end}{power}{help}{help}", "the other commands");
    is_str(type("\001\001x"), "\001x", "Ctrl-A twice sends one, and what follows is ordinary");
    is_str(type("\001\001\001\001"), "\001\001", "four of them send two");
    is_str(type("\001q"), "\001q", "before another key it is sent");
    is_str(type("x\001"), "x", "a lone one waits");
    return tap_done();
}
