/* SPDX-License-Identifier: MIT */
/* The emulator as a child process. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool child_start(struct child *c, char **argv, int errors)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return false;
    pid_t parent = getpid();
    c->ended = false;
    c->pid = fork();
    if (c->pid < 0)
        return false;
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127);
        setpgid(0, 0);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        if (errors >= 0)
            dup2(errors, STDERR_FILENO);
        execvp(argv[0], argv);
        fprintf(stderr, "qemu-run: cannot start %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    c->input = in[1];
    c->output = out[0];
    fcntl(c->output, F_SETFL, O_NONBLOCK);
    fcntl(c->input, F_SETFL, O_NONBLOCK);
    return true;
}

void child_wait(struct child *c)
{
    if (c->ended)
        return;
    while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
        ;
    c->ended = true;
}

void child_stop(struct child *c)
{
    if (c->ended)
        return;
    kill(c->pid, SIGTERM);
    for (int i = 0; i < 100; i++) {
        if (waitpid(c->pid, &c->status, WNOHANG) != 0) {
            c->ended = true;
            return;
        }
        usleep(10000);
    }
    kill(c->pid, SIGKILL);
    child_wait(c);
}
