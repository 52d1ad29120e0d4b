/* SPDX-License-Identifier: MIT */
/* The host interface on Linux: time, memory, streams and the log. The device thread is loop.c. */
#include "hosts/linux/host.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define PATIENCE_NS 5000000000u // for a reader of the console that has stopped reading
#define POLL_US     200u

/* --- Time --- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t host_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* What is before it in the program is done before (SDM volume 2, RDTSC). */
static uint64_t tsc(void)
{
    _mm_lfence();
    return __rdtsc();
}

/* Nanoseconds that are one tick, where it is not the TSC's. */
static uint64_t tick_ns(const struct host *host)
{
    return host->slow ? host->slow : 1;
}

uint64_t host_ticks(struct host *host)
{
    return host->tsc_khz ? tsc() : host_ns() / tick_ns(host);
}

uint64_t host_ticks_khz(struct host *host)
{
    return host->tsc_khz ? host->tsc_khz : 1000000;
}

/* A wake-up from another CPU takes some 50 us where that CPU is a virtual one. */
uint64_t host_poll_ticks(struct host *host)
{
    return host->cpus > 1 ? host_ticks_khz(host) * POLL_US / 1000 : 0;
}

uint64_t host_deadline_ns(struct host *host, uint64_t deadline)
{
    uint64_t now;

    if (!host->tsc_khz && deadline <= (HOST_FOREVER - 1) / tick_ns(host))
        return deadline * tick_ns(host);
    if (!host->tsc_khz || deadline == HOST_FOREVER)
        return HOST_FOREVER;
    now = tsc();
    if (deadline <= now)
        return host_ns();
    return host_ns() + clock_muldiv(deadline - now, 1000000, host->tsc_khz) + 1;
}

uint64_t host_wall_ns(struct host *host)
{
    (void)host;
    return clock_ns(CLOCK_REALTIME);
}

/* --- Memory --- */

void *host_alloc(struct host *host, size_t size, size_t align)
{
    void *memory = NULL;

    (void)host;
    if (align <= 16)
        return calloc(size ? size : 1, 1); // a large one is not resident before it is used
    if (posix_memalign(&memory, align < 16 ? 16 : align, size ? size : 1) != 0)
        return NULL;
    return memset(memory, 0, size);
}

void host_free(struct host *host, void *memory)
{
    (void)host;
    free(memory);
}

bool host_memory(struct host *host, uint64_t size)
{
    if (guest_memory_create(&host->memory, size))
        return true;
    host_say(host, "cannot have %lu MiB of memory for the guest: %s; try a smaller --memory",
             size >> 20, strerror(errno));
    return false;
}

size_t host_guest_chunks(struct host *host, struct host_chunk *chunks, size_t max)
{
    if (max == 0)
        return 0;
    chunks[0] = (struct host_chunk){host->memory.base, host->memory.size};
    return 1;
}

enum vmm_status host_guest_map(struct host *host, uint64_t gpa, uint8_t *base, uint64_t size,
                               bool writable)
{
    uint64_t offset = (uint64_t)(base - host->memory.base);

    if (offset > host->memory.size || size > host->memory.size - offset)
        return VMM_BAD_RANGE;
    return !host->map || host->map(host->map_context, gpa, base, size, writable) ? VMM_OK
                                                                                 : VMM_NO_MEMORY;
}

/* --- Streams --- */

/* The debug console's lines go to the log, if somebody wants to see them. */
static void debug_byte(struct host *host, uint8_t byte)
{
    if (byte != '\n')
        host->debug_line[host->debug_used++] = byte;
    if (byte == '\n' || host->debug_used == sizeof(host->debug_line) - 1) {
        host->debug_line[host->debug_used] = 0;
        host->debug_used = 0;
        host_say(host, "debug port: %s", (const char *)host->debug_line);
    }
}

size_t host_console_write(struct host *host, enum host_console console, const uint8_t *bytes,
                          size_t n)
{
    if (console == HOST_CONSOLE_COM1)
        return output_put(&host->output, bytes, n);
    if (console == HOST_CONSOLE_DEBUG && host->verbose)
        for (size_t i = 0; i < n; i++)
            debug_byte(host, bytes[i]);
    return n; // nobody listens
}

void host_console_resume(struct host *host, enum host_console console)
{
    if (console == HOST_CONSOLE_COM1)
        host_wake(host, HOST_RESUME);
}

static void output_changed(void *context)
{
    host_wake(context, HOST_OUTPUT);
}

/* --- The log --- */

/* What a guest has written must not steer the terminal. One write, so lines stay whole. */
void host_log(struct host *host, const char *line)
{
    char text[HOST_LINE + 16] = "graft: ";
    size_t n = strlen(text);

    for (; *line && n < HOST_LINE; line++)
        text[n++] = *line >= ' ' && *line <= '~' ? *line : '?';
    if (atomic_load(&host->terminal.raw))
        text[n++] = '\r';
    text[n++] = '\n';
    (void)!write(STDERR_FILENO, text, n); // there is nowhere to report that
}

void host_say(struct host *host, const char *format, ...)
{
    char line[HOST_LINE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    host_log(host, line);
}

/* --- Beginning and end --- */

bool host_init(struct host *host, int input)
{
    cpu_set_t cpus;

    memset(host, 0, sizeof(*host));
    host->terminal.keeper = -1;
    host->memory.fd = host->trace.fd = host->kernel.fd = host->initrd.fd = host->record.fd = -1;
    for (unsigned i = 0; i < VM_MODULES_MAX; i++)
        host->modules[i].fd = -1;
    host->deadline = host->armed = HOST_FOREVER;
    host->cpus = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1;
    signal(SIGPIPE, SIG_IGN);
    if (loop_init(host, input))
        return true;
    host_say(host, "cannot set the device thread up: %s", strerror(errno));
    return false;
}

bool host_start_output(struct host *host, int output)
{
    if (output_start(&host->output, host, output, output_changed, host))
        return true;
    host_say(host, "cannot start the console's thread: too little memory, or too many threads");
    return false;
}

unsigned host_files(const struct host *host, int fd[HOST_FILES])
{
    const int all[] = {host->epoll, host->timer, host->wake, host->signals, host->input,
                       host->terminal.keeper, host->trace.fd, host->kernel.fd, host->initrd.fd,
                       host->record.fd};
    unsigned n = 0;

    _Static_assert(sizeof(all) / sizeof(all[0]) + VM_MODULES_MAX <= HOST_FILES, "room for all");
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i] >= 0)
            fd[n++] = all[i];
    for (unsigned i = 0; i < VM_MODULES_MAX; i++)
        if (host->modules[i].fd >= 0)
            fd[n++] = host->modules[i].fd;
    return n;
}

static bool recall(struct host *host, struct image *image, const char *what)
{
    const char *wrong = image_recall(image);

    if (wrong)
        host_say(host, "the %s cannot be read again: %s", what, wrong);
    return !wrong;
}

bool host_images(struct host *host, bool needed)
{
    if (needed) {
        bool had = recall(host, &host->kernel, "kernel") && recall(host, &host->initrd, "initrd");
        for (unsigned i = 0; had && i < VM_MODULES_MAX; i++)
            had = recall(host, &host->modules[i], "module");
        return had;
    }
    image_forget(&host->kernel);
    image_forget(&host->initrd);
    for (unsigned i = 0; i < VM_MODULES_MAX; i++)
        image_forget(&host->modules[i]);
    return true;
}

/* The user is tired of waiting. */
static bool given_up(void *context)
{
    struct host *host = context;
    struct signalfd_siginfo info;

    return read(host->signals, &info, sizeof(info)) == sizeof(info);
}

void host_finish(struct host *host)
{
    terminal_stop(&host->terminal);
    host->stuck = !output_finish(&host->output, host, PATIENCE_NS, given_up);
    if (host->stuck)
        host_say(host, "nobody reads the console: the rest of its output is lost");
}
