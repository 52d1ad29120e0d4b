/* SPDX-License-Identifier: MIT */
/* A terminal client whose server dies again and again: it notices, asks anew, and goes on. */
#include "framework/hypercall.h"
#include "framework/session/terminal.h"
#include "framework/slots.h"
#include "lib/string.h"
#include "tests/components/check.h"

static uint32_t signal;

static void say(struct terminal *terminal, const char *text)
{
    terminal_write(terminal, text, strlen(text));
    terminal_flush(terminal);
}

static bool answered(struct terminal *terminal)
{
    char byte;

    while (!terminal_read(terminal, &byte, 1))
        if (terminal_lost(terminal) || hc_down(signal, ABI_SM_ALL, 0) != ABI_OK)
            return false;
    return byte == 'k';
}

/* Without waiting inside the framework, as a device thread does. */
static bool again(struct terminal *terminal)
{
    enum status status = terminal_request(terminal, "", signal);

    while (status == STATUS_OK && (status = terminal_poll(terminal)) == STATUS_PENDING)
        if (hc_down(signal, ABI_SM_ALL, 0) != ABI_OK)
            return false;
        else
            status = STATUS_OK;
    return status == STATUS_OK;
}

int main(void)
{
    struct checks checks = {0}, *c = &checks;
    struct terminal terminal;

    signal = slots_alloc(1);
    CHECK(c, hc_create_sm(signal, SEL_PD, 0) == ABI_OK && terminal_open(&terminal, "", signal, 0) == STATUS_OK, "a terminal");
    for (unsigned i = 0; i < 4; i++) {
        say(&terminal, "hello\n");
        CHECK(c, answered(&terminal), "is answered");
        say(&terminal, "die\n");
        while (!terminal_lost(&terminal))
            (void)hc_down(signal, ABI_SM_ALL, 0);
        CHECK(c, terminal_write(&terminal, "lost\n", 5) <= 5, "writing to it is harmless");
        terminal_close(&terminal);
        CHECK(c, again(&terminal), "a terminal after the server's death");
    }
    say(&terminal, "bye\n");
    CHECK(c, answered(&terminal), "is answered to the end");
    return checks_done(c);
}
