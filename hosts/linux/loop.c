/* SPDX-License-Identifier: MIT */
/* The device thread: an epoll loop over timer, wake-ups, signals and input. */
#include "hosts/linux/host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum source { SOURCE_TIMER, SOURCE_WAKE, SOURCE_SIGNALS, SOURCE_INPUT, SOURCES };

/* --- Wake-ups --- */

void host_wake(struct host *host, uint32_t bits)
{
    static const uint64_t one = 1;

    /* Who finds work there already knows that the thread has been woken and has not looked yet. */
    if (atomic_fetch_or(&host->work, bits) == 0)
        (void)!write(host->wake, &one, sizeof(one)); // fails only at 2^64 - 1 wake-ups
}

void host_vm_ended(struct host *host)
{
    atomic_store(&host->ended, 1);
    host_wake(host, HOST_ENDED);
}

/* --- Timer --- */

/* With the lock held. The timerfd takes a time of 0 for "never", and has none that is later. */
static void arm(struct host *host, uint64_t deadline)
{
    uint64_t ns = deadline == HOST_FOREVER ? 0 : deadline ? host_deadline_ns(host, deadline) : 1;
    struct itimerspec at = {{0, 0}, {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};

    host->armed = deadline;
    timerfd_settime(host->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* A later deadline costs nothing: the timer comes at the earlier one and is set anew. */
void host_timer_set(struct host *host, uint64_t deadline)
{
    pthread_mutex_lock(&host->timer_lock);
    host->deadline = deadline;
    if (deadline < host->armed)
        arm(host, deadline);
    pthread_mutex_unlock(&host->timer_lock);
}

static void timer_came(struct host *host)
{
    uint64_t times;
    bool due;

    if (read(host->timer, &times, sizeof(times)) < 0)
        return; // set anew since epoll saw it
    pthread_mutex_lock(&host->timer_lock);
    due = host->deadline <= host_ticks(host);
    if (due)
        host->deadline = HOST_FOREVER;
    arm(host, host->deadline);
    pthread_mutex_unlock(&host->timer_lock);
    if (due)
        vm_timer_due(host->vm);
}

/* --- Input --- */

static bool watch_input(struct host *host, bool on)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = SOURCE_INPUT};

    if (host->input_watched == on || !host->input_polls)
        return true;
    host->input_watched = on;
    return epoll_ctl(host->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, host->input, &event) == 0;
}

static void close_input(struct host *host)
{
    (void)watch_input(host, false);
    host->input = -1;
}

/* True: the guest has taken all. */
static bool deliver(struct host *host)
{
    size_t taken;

    if (host->held_count == 0)
        return true;
    taken = vm_console_input(host->vm, HOST_CONSOLE_COM1, host->held + host->held_first,
                             host->held_count);
    host->held_first += taken;
    host->held_count -= taken;
    return host->held_count == 0;
}

static void help(struct host *host)
{
    host_log(host, "Ctrl-A x ends the machine, Ctrl-A p presses its power button, Ctrl-A Ctrl-A "
                   "sends Ctrl-A");
}

static void command(struct host *host, enum escape_command what)
{
    switch (what) {
    case ESCAPE_END:
        host->interrupted = true;
        vm_stop(host->vm);
        break;
    case ESCAPE_POWER:
        vm_power_button(host->vm);
        break;
    case ESCAPE_HELP:
        help(host);
        break;
    case ESCAPE_NONE:
        break;
    }
}

/*
 * Keys are read even if the guest takes none, or the escape key would be behind them: then they
 * are lost, as on a line without flow control.
 */
static void take_keys(struct host *host, const uint8_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t bytes[ESCAPE_BYTES_MAX];
        size_t count, used = host->held_first + host->held_count;

        command(host, escape_key(&host->escape, keys[i], bytes, &count));
        if (count > sizeof(host->held) - used)
            continue;
        memcpy(host->held + used, bytes, count);
        host->held_count += count;
    }
}

/* Moves what is held to the front, so that all the room is behind it. */
static void pack(struct host *host)
{
    memmove(host->held, host->held + host->held_first, host->held_count);
    host->held_first = 0;
}

/* A raw terminal says 0 when there is nothing just now, too. */
static bool at_end(struct host *host)
{
    struct pollfd p = {host->input, POLLIN, 0};

    return !atomic_load(&host->terminal.raw) || poll(&p, 1, 0) < 0 || p.revents & ~POLLIN;
}

/* Reads once. False: there is nothing now, or never again. */
static bool read_input(struct host *host)
{
    uint8_t bytes[HOST_INPUT];
    bool terminal = atomic_load(&host->terminal.raw);
    ssize_t n = read(host->input, bytes, sizeof(bytes));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (n <= 0) {
        if (n < 0 || at_end(host))
            close_input(host);
        return false;
    }
    pack(host);
    if (terminal) {
        take_keys(host, bytes, (size_t)n);
        return true;
    }
    memcpy(host->held, bytes, (size_t)n);
    host->held_count = (size_t)n;
    return true;
}

/*
 * Input has come, or the guest takes some again. A file that epoll does not know (a regular one,
 * /dev/null) always has input or its end.
 */
static void input_came(struct host *host, bool ready)
{
    bool all = deliver(host);

    if (host->input < 0)
        return;
    if (atomic_load(&host->terminal.raw)) {
        if (ready && read_input(host))
            (void)deliver(host);
        return;
    }
    while (all && (ready || !host->input_polls) && read_input(host)) {
        all = deliver(host);
        ready = false;
    }
    if (host->input >= 0 && !watch_input(host, all))
        close_input(host);
}

/* --- Signals --- */

static void signal_came(struct host *host)
{
    struct signalfd_siginfo info;

    if (read(host->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGTSTP) {
        terminal_restore(&host->terminal);
        raise(SIGSTOP);
        terminal_raw(&host->terminal);
        return;
    }
    host->interrupted = true;
    host_say(host, "signal %u ends the machine", info.ssi_signo);
    vm_stop(host->vm);
}

/* --- The loop --- */

static void woken(struct host *host)
{
    uint64_t times;
    uint32_t work;

    (void)!read(host->wake, &times, sizeof(times)); // nothing there is fine too
    work = atomic_exchange(&host->work, 0);
    if (work & HOST_OUTPUT && output_take_ready(&host->output))
        vm_console_ready(host->vm, HOST_CONSOLE_COM1);
    if (work & HOST_OUTPUT && output_lost(&host->output) && !atomic_load(&host->ended)) {
        host_say(host, "nobody reads the console any more: the machine ends");
        vm_stop(host->vm);
    }
    if (work & HOST_COMMAND && !atomic_load(&host->ended))
        vm_stop(host->vm);
    if (work & HOST_RESUME)
        input_came(host, false);
}

static void handle(struct host *host, enum source source)
{
    switch (source) {
    case SOURCE_TIMER:
        timer_came(host);
        break;
    case SOURCE_WAKE:
        woken(host);
        break;
    case SOURCE_SIGNALS:
        signal_came(host);
        break;
    case SOURCE_INPUT:
        input_came(host, true);
        break;
    case SOURCES:
        break;
    }
}

/* Rounded up, so that the time has passed then. */
static int milliseconds_to(uint64_t until)
{
    uint64_t now = host_ns();

    if (until == HOST_FOREVER)
        return -1;
    if (until <= now)
        return 0;
    return until - now > 3600000000000ull ? 3600000 : (int)((until - now + 999999) / 1000000);
}

bool host_run(struct host *host, uint64_t until)
{
    struct epoll_event events[SOURCES];

    input_came(host, false);
    while (!atomic_load(&host->ended) && host_ns() < until) {
        int n = epoll_wait(host->epoll, events, SOURCES, milliseconds_to(until));

        for (int i = 0; i < n; i++)
            handle(host, (enum source)events[i].data.u32);
    }
    return atomic_load(&host->ended);
}

static bool add(struct host *host, int fd, enum source source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

    return fd >= 0 && epoll_ctl(host->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Those that end a program, unless whoever started us had them ignored (nohup). */
static int take_signals(void)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct sigaction action;

        if (sigaction(wanted[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&set, wanted[i]);
    }
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool loop_init(struct host *host, int input)
{
    pthread_mutex_init(&host->timer_lock, NULL);
    host->epoll = epoll_create1(EPOLL_CLOEXEC);
    host->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    host->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    host->signals = take_signals();
    host->input = input;
    if (host->epoll < 0 || !add(host, host->timer, SOURCE_TIMER) ||
        !add(host, host->wake, SOURCE_WAKE) || !add(host, host->signals, SOURCE_SIGNALS))
        return false;
    host->input_watched = host->input_polls = add(host, input, SOURCE_INPUT);
    return host->input_polls || errno == EPERM;
}
