/* SPDX-License-Identifier: MIT */
/*
 * The user's terminal: raw while the machine runs, and as it was before however the program ends.
 *
 * A keeper, a small process of its own in a session of its own, holds the terminal's settings. It
 * waits on a pipe, and puts them back when that closes without a word: so they come back also
 * after a kill by signal or by the sandbox, where no handler runs. Before any thread is started:
 * terminal_start(). Everything else by the device thread.
 */
#ifndef HOSTS_LINUX_TERMINAL_H
#define HOSTS_LINUX_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
    int fd;
    int keeper;           // pipe to the keeper; -1: there is none
    _Atomic uint32_t raw; // any thread may look
    struct termios before;
};

/*
 * Makes fd raw if it is a terminal; nothing to do if it is not. False, with errno: it is one, and
 * this failed; it is as before then.
 */
bool terminal_start(struct terminal *terminal, int fd) __attribute__((warn_unused_result));

/* As it was; raw again (after a stop). */
void terminal_restore(struct terminal *terminal);
void terminal_raw(struct terminal *terminal);

/* As it was, for good: the keeper ends. */
void terminal_stop(struct terminal *terminal);

#endif
