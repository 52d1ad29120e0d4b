/* SPDX-License-Identifier: MIT */
/*
 * The emulator as a child process: its standard input and output are pipes. It is in a
 * process group of its own and dies with its parent.
 */
#ifndef TOOLS_QEMU_RUN_CHILD_H
#define TOOLS_QEMU_RUN_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int input;  // write end: what the machine's serial line receives; -1 when closed
    int output; // read end: what it sends
    int status; // of waitpid, when ended
    bool ended;
};

/* errors: a file for its standard error, or -1 to share the caller's. False with errno set if it could not be started. */
bool child_start(struct child *c, char **argv, int errors);

/* Ask it to end, and end it after a second. Returns when it is gone. */
void child_stop(struct child *c);

/* Wait for an end that is due (its output is closed). */
void child_wait(struct child *c);

#endif
