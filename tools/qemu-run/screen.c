/* SPDX-License-Identifier: MIT */
/* The user's terminal: raw mode and the way back. */
#include "screen.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios screen_before; // what the signal handlers put back: the one thing here that cannot be passed in
static volatile sig_atomic_t screen_changed;

void screen_restore(void)
{
    if (screen_changed) {
        screen_changed = 0;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &screen_before);
    }
}

static void fatal_signal(int number)
{
    screen_restore();
    signal(number, SIG_DFL);
    raise(number);
}

bool screen_raw(void)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &screen_before) < 0)
        return false;
    struct termios raw = screen_before;
    cfmakeraw(&raw);
    screen_changed = 1;
    static const int fatal[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        signal(fatal[i], fatal_signal);
    atexit(screen_restore);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    return true;
}
