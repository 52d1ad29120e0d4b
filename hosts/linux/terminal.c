/* SPDX-License-Identifier: MIT */
/* The user's terminal, and the keeper of its settings. */
#include "hosts/linux/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * In a session of its own it gets no signal from the terminal, and may change its settings from
 * the background. It holds no other file, so nobody waits for it at the end of a pipe.
 */
__attribute__((noreturn))
static void keep(struct terminal *terminal, int pipe_end)
{
    sigset_t all;
    char done;
    ssize_t n;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "graft-keeper");
    setsid();
    /* Both away from where they might be in each other's way, then down to 0 and 1. */
    terminal->fd = fcntl(terminal->fd, F_DUPFD, 10);
    pipe_end = fcntl(pipe_end, F_DUPFD, 10);
    if (terminal->fd < 0 || pipe_end < 0 || dup2(terminal->fd, 0) < 0 || dup2(pipe_end, 1) < 0 ||
        close_range(2, ~0u, 0) < 0)
        _exit(1);
    do {
        n = read(1, &done, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        tcsetattr(0, TCSANOW, &terminal->before);
    _exit(0);
}

static bool start_keeper(struct terminal *terminal)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    child = fork();
    if (child == 0) {
        close(ends[1]);
        keep(terminal, ends[0]);
    }
    close(ends[0]);
    terminal->keeper = ends[1];
    if (child > 0)
        return true;
    close(ends[1]);
    terminal->keeper = -1;
    return false;
}

/* A read finds no input rather than waits for it: another process may have taken it. */
static bool set_raw(struct terminal *terminal)
{
    struct termios raw = terminal->before;

    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(terminal->fd, TCSANOW, &raw) < 0)
        return false;
    atomic_store(&terminal->raw, 1);
    return true;
}

bool terminal_start(struct terminal *terminal, int fd)
{
    terminal->fd = fd;
    terminal->keeper = -1;
    atomic_store(&terminal->raw, 0);
    if (!isatty(fd))
        return true;
    if (tcgetattr(fd, &terminal->before) < 0 || !start_keeper(terminal))
        return false;
    if (set_raw(terminal))
        return true;
    terminal_stop(terminal);
    return false;
}

void terminal_restore(struct terminal *terminal)
{
    if (atomic_exchange(&terminal->raw, 0))
        tcsetattr(terminal->fd, TCSANOW, &terminal->before);
}

void terminal_raw(struct terminal *terminal)
{
    if (terminal->keeper >= 0)
        (void)set_raw(terminal);
}

void terminal_stop(struct terminal *terminal)
{
    terminal_restore(terminal);
    if (terminal->keeper < 0)
        return;
    (void)!write(terminal->keeper, "", 1); // if it is gone, it has nothing to do
    close(terminal->keeper);
    terminal->keeper = -1;
}
