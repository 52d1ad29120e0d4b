/* SPDX-License-Identifier: MIT */
/* qemu-run: start an emulator, hand its serial line to a terminal, a test or a command's output, and end it. */
#include "child.h"
#include "hosts/linux/frames.h"
#include "screen.h"
#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAIL       8192
#define TAIL_SHOWN 2500

enum { EXIT_TIMEOUT = 124, EXIT_BROKEN = 125 };

struct run {
    struct child child;
    struct frames frames;
    struct steps steps;
    bool exec, interactive, show, quit, prefix_key, input_open;
    long timeout; // seconds, 0: none
    int log;      // file for all that the serial line sends, or -1
    int errors;   // file for the emulator's standard error, or -1: ours
    char tail[TAIL];
    size_t tail_used;
};

static const char usage[] =
    "usage: qemu-run [options] -- EMULATOR ARGUMENTS...\n"
    "Starts the emulator with its serial line on standard input and output, and ends it when the run is over.\n"
    "  --interactive     connect the terminal (raw); Ctrl-A x ends\n"
    "  --exec NONCE      print the output that the guest's agent frames with NONCE; exit with its status\n"
    "  --expect TEXT     wait for TEXT on the serial line  } in the order given; after the last step the run\n"
    "  --send TEXT       type TEXT (escapes \\n \\r \\xHH)     } ends with status 0\n"
    "  --until TEXT      end with status 0 when TEXT has come; of several, when all have, in any order\n"
    "  --summary         wait for a line 'N passed, M failed'; status 0 if N > 0 and M = 0\n"
    "  --fail TEXT       end with status 1 when TEXT comes (may be given several times)\n"
    "  --show            copy the serial line to standard output (with --exec: error)\n"
    "  --log FILE        copy it to FILE\n"
    "  --errors FILE     the emulator's own messages go to FILE\n"
    "  --timeout SECONDS end with status 124 after that time\n"
    "Without steps the run lasts until the emulator ends; its status is passed on. On a failure the last lines are shown.\n";

static void write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        } else if (errno == EAGAIN) {
            struct pollfd p = {fd, POLLOUT, 0};
            if (poll(&p, 1, 1000) <= 0)
                return;
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void type(void *context, const char *data, size_t size)
{
    struct run *r = context;
    if (r->child.input >= 0)
        write_all(r->child.input, data, size);
}

static void command_output(void *context, const char *data, size_t size)
{
    (void)context;
    write_all(STDOUT_FILENO, data, size);
}

static void tail_keep(struct run *r, const char *data, size_t size)
{
    if (size > TAIL) {
        data += size - TAIL;
        size = TAIL;
    }
    if (r->tail_used + size > TAIL) {
        size_t drop = r->tail_used + size - TAIL;
        memmove(r->tail, r->tail + drop, r->tail_used - drop);
        r->tail_used -= drop;
    }
    memcpy(r->tail + r->tail_used, data, size);
    r->tail_used += size;
}

/* What came last, unless the user has seen it. */
static void tail_show(const struct run *r)
{
    size_t from = r->tail_used;
    for (int lines = 0; from > 0 && lines < 25 && r->tail_used - from < TAIL_SHOWN; from--)
        lines += r->tail[from - 1] == '\n';
    fprintf(stderr, "---- the last lines of the serial line\n");
    for (size_t i = from; i < r->tail_used; i++)
        if (r->tail[i] == '\n' || r->tail[i] == '\t' || (r->tail[i] >= ' ' && r->tail[i] <= '~'))
            fputc(r->tail[i], stderr);
    fprintf(stderr, "\n----\n");
}

static bool machine_output(struct run *r)
{
    char data[16384];
    ssize_t size = read(r->child.output, data, sizeof(data));
    if (size <= 0)
        return size < 0 && (errno == EAGAIN || errno == EINTR);
    if (r->log >= 0)
        write_all(r->log, data, (size_t)size);
    tail_keep(r, data, (size_t)size);
    if (r->interactive || r->show)
        write_all(r->exec ? STDERR_FILENO : STDOUT_FILENO, data, (size_t)size);
    if (r->exec)
        frames_feed(&r->frames, data, (size_t)size);
    steps_feed(&r->steps, data, (size_t)size);
    return true;
}

/* Ctrl-A x ends the run; Ctrl-A with any other key is the machine's. */
static void key(struct run *r, char c)
{
    static const char prefix = 1;
    if (r->prefix_key) {
        r->prefix_key = false;
        if (c == 'x' || c == 'X') {
            r->quit = true;
            return;
        }
        type(r, &prefix, 1);
        type(r, &c, 1);
    } else if (c == prefix) {
        r->prefix_key = true;
    } else {
        type(r, &c, 1);
    }
}

static void user_input(struct run *r, bool is_terminal)
{
    char data[256];
    ssize_t size = read(STDIN_FILENO, data, sizeof(data));
    if (size <= 0) {
        r->input_open = size < 0 && (errno == EAGAIN || errno == EINTR);
        return;
    }
    if (!is_terminal) {
        type(r, data, (size_t)size);
        return;
    }
    for (ssize_t i = 0; i < size && !r->quit; i++)
        key(r, data[i]);
}

static long seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long)t.tv_sec;
}

static bool over(const struct run *r)
{
    return r->quit || r->steps.failed || steps_done(&r->steps) || (r->exec && r->frames.state != FRAMES_RUNNING);
}

/* Until the run is over (0), its time has passed (EXIT_TIMEOUT), a signal came (128 + number) or the machine ended (-1). */
static int loop(struct run *r, int signals)
{
    bool terminal = r->interactive && screen_raw();
    long end = r->timeout ? seconds_now() + r->timeout : 0;
    r->input_open = r->interactive;
    steps_start(&r->steps);
    while (!over(r)) {
        struct pollfd p[3] = {{r->child.output, POLLIN, 0}, {signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        long left = end ? end - seconds_now() : 3600;
        if (left <= 0)
            return EXIT_TIMEOUT;
        if (poll(p, r->input_open ? 3 : 2, (int)(left > 3600 ? 3600 : left) * 1000) < 0 && errno != EINTR)
            return EXIT_BROKEN;
        if (p[1].revents) {
            struct signalfd_siginfo info;
            return read(signals, &info, sizeof(info)) == sizeof(info) ? 128 + (int)info.ssi_signo : EXIT_BROKEN;
        }
        if (p[0].revents && !machine_output(r))
            return -1;
        if (r->input_open && p[2].revents)
            user_input(r, terminal);
    }
    return 0;
}

static int child_result(struct run *r)
{
    child_wait(&r->child);
    if (r->exec) {
        fprintf(stderr, "qemu-run: the machine ended before the command did\n");
        return EXIT_BROKEN;
    }
    if (r->steps.count || r->steps.summary_wanted || (r->steps.until_count && !r->interactive)) {
        fprintf(stderr, "qemu-run: the machine ended while '%s' was waited for\n", steps_waiting(&r->steps));
        return EXIT_BROKEN;
    }
    return WIFEXITED(r->child.status) ? WEXITSTATUS(r->child.status) : 128 + WTERMSIG(r->child.status);
}

static int run_result(struct run *r)
{
    if (r->steps.failed && !(r->exec && r->frames.state == FRAMES_DONE)) {
        fprintf(stderr, "qemu-run: '%s' came\n", r->steps.failed);
        return r->exec ? EXIT_BROKEN : 1;
    }
    if (r->exec && r->frames.state != FRAMES_DONE && !r->quit) {
        fprintf(stderr, "qemu-run: %s\n", r->frames.reason);
        return EXIT_BROKEN;
    }
    if (r->exec && !r->quit)
        return r->frames.status;
    if (r->steps.summary_wanted && (r->steps.failures || !r->steps.passed))
        return 1;
    return 0;
}

static int run(struct run *r, char **argv)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0 || !child_start(&r->child, argv, r->errors)) {
        fprintf(stderr, "qemu-run: %s\n", strerror(errno));
        return EXIT_BROKEN;
    }
    int result = loop(r, signals);
    screen_restore();
    if (result == -1)
        result = child_result(r);
    else if (result == 0)
        result = run_result(r);
    child_stop(&r->child);
    if (result == EXIT_TIMEOUT)
        fprintf(stderr, "qemu-run: %ld seconds are over; waiting for '%s'\n", r->timeout,
                r->exec ? "the command's end" : steps_waiting(&r->steps));
    bool broken = r->exec ? r->frames.state != FRAMES_DONE && !r->quit : result != 0 && result < 128;
    if (broken && !r->interactive && !r->show)
        tail_show(r);
    return result;
}

static bool option(struct run *r, int letter, const char *argument)
{
    switch (letter) {
    case 'x':
        r->exec = true;
        frames_init(&r->frames, argument, command_output, r);
        return true;
    case 'i': r->interactive = true; return true;
    case 's': r->show = true; return true;
    case 'm': r->steps.summary_wanted = true; return true;
    case 'e': return steps_add(&r->steps, STEP_EXPECT, argument);
    case 'd': return steps_add(&r->steps, STEP_SEND, argument);
    case 'f': return steps_add_fail(&r->steps, argument);
    case 'u': return steps_add_until(&r->steps, argument);
    case 't':
        r->timeout = strtol(argument, NULL, 10);
        return r->timeout > 0;
    case 'l':
        r->log = open(argument, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        return r->log >= 0;
    case 'r':
        r->errors = open(argument, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        return r->errors >= 0;
    default: return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"exec", required_argument, NULL, 'x'},   {"interactive", no_argument, NULL, 'i'}, {"show", no_argument, NULL, 's'},
        {"expect", required_argument, NULL, 'e'}, {"send", required_argument, NULL, 'd'},  {"fail", required_argument, NULL, 'f'},
        {"summary", no_argument, NULL, 'm'},      {"timeout", required_argument, NULL, 't'}, {"log", required_argument, NULL, 'l'},
        {"errors", required_argument, NULL, 'r'},   {"until", required_argument, NULL, 'u'}, {NULL, 0, NULL, 0}};
    struct run *r = calloc(1, sizeof(*r));
    if (!r)
        return EXIT_BROKEN;
    r->log = r->errors = -1;
    r->steps.send = type;
    r->steps.context = r;
    for (int letter; (letter = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (!option(r, letter, optarg)) {
            fputs(usage, stderr);
            return EXIT_BROKEN;
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return EXIT_BROKEN;
    }
    int result = run(r, argv + optind);
    free(r);
    return result;
}
