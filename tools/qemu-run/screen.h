/* SPDX-License-Identifier: MIT */
/*
 * The user's terminal: raw while a guest owns it, and put back on every way out (return, exit, and the signals that
 * end a program; not SIGKILL, which nobody can catch).
 */
#ifndef TOOLS_QEMU_RUN_SCREEN_H
#define TOOLS_QEMU_RUN_SCREEN_H

#include <stdbool.h>

/* Standard input becomes raw if it is a terminal; false if it is not one (it is then read as it is). */
bool screen_raw(void);

void screen_restore(void);

#endif
