/* SPDX-License-Identifier: MIT */
/*
 * The client of a terminal: says that it is ready, then answers each line with "heard" and the line, control
 * characters made visible. "count N" writes N numbered lines, "die" faults.
 */
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/session/terminal.h"
#include "framework/slots.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/text.h"

struct talker {
    struct terminal terminal;
    uint32_t signal;
    char line[64];
    size_t length;
};

/* All of it, however long the terminal takes. */
static void say(struct talker *t, const char *text)
{
    size_t size = strlen(text), done;

    while (size) {
        done = terminal_write(&t->terminal, text, size);
        text += done;
        size -= done;
        terminal_flush(&t->terminal);
        if (size)
            (void)hc_down(t->signal, ABI_SM_ALL, 0);
    }
}

static void count(struct talker *t, const char *number)
{
    char text[96];
    uint64_t last;

    if (!text_to_u64(number, strlen(number), &last))
        return;
    for (uint64_t i = 1; i <= last; i++) {
        format_string(text, sizeof text, "%s line %lu\r\n", component_info()->label, i);
        say(t, text);
    }
}

static void answer(struct talker *t)
{
    char text[160];

    t->line[t->length] = 0;
    t->length = 0;
    if (memcmp(t->line, "count ", 6) == 0) {
        count(t, t->line + 6);
    } else if (strcmp(t->line, "die") == 0) {
        __builtin_trap();
    } else {
        format_string(text, sizeof text, "%s heard %s\r\n", component_info()->label, t->line);
        say(t, text);
    }
}

static void hear(struct talker *t, char c)
{
    if (c == '\r' || c == '\n') {
        answer(t);
    } else if (t->length + 3 < sizeof t->line) {
        if ((unsigned char)c < ' ')
            t->line[t->length++] = '^', c += '@';
        t->line[t->length++] = c;
    }
}

int main(void)
{
    static struct talker talker;
    struct talker *t = &talker;
    char bytes[32];
    size_t size;

    t->signal = slots_alloc(1);
    if (hc_create_sm(t->signal, SEL_PD, 0) != ABI_OK || terminal_open(&t->terminal, "", t->signal, 0) != STATUS_OK)
        return 1;
    say(t, component_info()->label);
    say(t, " ready\r\n");
    for (;;) {
        while ((size = terminal_read(&t->terminal, bytes, sizeof bytes)) != 0) {
            for (size_t i = 0; i < size; i++)
                hear(t, bytes[i]);
            terminal_flush(&t->terminal); // there is room again
        }
        (void)hc_down(t->signal, ABI_SM_ALL, 0);
    }
}
