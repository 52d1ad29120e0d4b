/* SPDX-License-Identifier: MIT */
/* Time, locks, events, memory, images and the console's output of the host interface on Linux. */
#include "hosts/linux/host.h"
#include "hosts/linux/image.h"
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS     1000000ull
#define ROUNDS 20000u

static struct host host;

static void time_runs(void)
{
    uint64_t first = host_ticks(&host), wall = host_wall_ns(&host), last;
    bool back = false;

    for (unsigned i = 0; i < 10000; i++) {
        last = host_ticks(&host);
        back |= last < first;
        first = last;
    }
    ok(!back, "ticks never go back");
    is_u64(host_ticks_khz(&host), 1000000, "a tick is a nanosecond");
    wall /= 1000000000;
    ok(wall + 2 >= (uint64_t)time(NULL) && wall <= (uint64_t)time(NULL) + 1,
       "the wall clock is the system's");
}

static void heap(void)
{
    bool aligned = true, zero = true;

    for (size_t align = 1; align <= 4096; align *= 2) {
        uint8_t *memory = host_alloc(&host, 5000, align);

        aligned &= (uintptr_t)memory % align == 0;
        for (unsigned i = 0; i < 5000; i++)
            zero &= memory[i] == 0;
        memset(memory, 0xff, 5000);
        host_free(&host, memory);
    }
    ok(aligned, "memory is aligned as asked");
    ok(zero, "and zeroed");
}

/* --- Events and mutexes --- */

struct pair {
    struct host_event *ping, *pong;
    struct host_mutex *mutex;
    unsigned counter; // under the mutex
    unsigned rounds;
};

static void *partner(void *argument)
{
    struct pair *pair = argument;

    for (unsigned i = 0; i < pair->rounds; i++) {
        if (!host_event_wait(pair->ping, HOST_FOREVER))
            abort();
        host_event_signal(pair->pong);
    }
    return NULL;
}

static void *counter(void *argument)
{
    struct pair *pair = argument;

    for (unsigned i = 0; i < ROUNDS; i++) {
        host_mutex_lock(pair->mutex);
        pair->counter++;
        host_mutex_unlock(pair->mutex);
    }
    return NULL;
}

static void events(void)
{
    struct pair pair = {.ping = host_event_create(&host), .pong = host_event_create(&host),
                        .mutex = host_mutex_create(&host), .rounds = ROUNDS};
    uint64_t begin = host_ticks(&host);
    pthread_t thread;
    bool all = true;

    ok(!host_event_wait(pair.ping, 0), "a deadline long past: no signal");
    ok(!host_event_wait(pair.ping, begin + 20 * MS), "a wait ends at its deadline");
    ok(host_ticks(&host) >= begin + 20 * MS, "not earlier");
    host_event_signal(pair.ping);
    host_event_signal(pair.ping);
    ok(host_event_wait(pair.ping, 0) && host_event_wait(pair.ping, HOST_FOREVER) &&
       !host_event_wait(pair.ping, 0), "signals are counted");

    pthread_create(&thread, NULL, partner, &pair);
    for (unsigned i = 0; i < ROUNDS; i++) {
        host_event_signal(pair.ping);
        all &= host_event_wait(pair.pong, i & 1 ? HOST_FOREVER : host_ticks(&host) + 60000 * MS);
    }
    pthread_join(thread, NULL);
    ok(all, "no signal between two threads is lost in %u rounds", ROUNDS);

    pthread_create(&thread, NULL, counter, &pair);
    counter(&pair);
    pthread_join(thread, NULL);
    is_u64(pair.counter, 2 * ROUNDS, "a mutex excludes");
    host_free(&host, pair.ping);
    host_free(&host, pair.pong);
    host_free(&host, pair.mutex);
}

/* --- Guest memory --- */

static sigjmp_buf faulted;

static void note_fault(int number)
{
    siglongjmp(faulted, number);
}

/* The signal that a write to a byte raises, or 0. */
static int signal_of_access(volatile uint8_t *at)
{
    struct sigaction action = {.sa_handler = note_fault}, before;
    int number;

    sigaction(SIGSEGV, &action, &before);
    number = sigsetjmp(faulted, 1);
    if (number == 0)
        *at = 1;
    sigaction(SIGSEGV, &before, NULL);
    return number;
}

/* What a child gets of it: nothing, since a copy would grow to a second guest's size. */
static int signal_in_child(volatile uint8_t *at)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0)
        _exit(signal_of_access(at));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void guest_memory(void)
{
    struct host_chunk chunk[4];
    size_t count;

    ok(host_memory(&host, (64 << 20) + 4096), "guest memory");
    count = host_guest_chunks(&host, chunk, 4);
    ok(count == 1 && chunk[0].size == (64 << 20) + 4096, "in one chunk");
    is_u64((uintptr_t)chunk[0].base % (2 << 20), 0, "at a multiple of 2 MiB");
    is_u64(host_guest_chunks(&host, chunk, 0), 0, "no room for chunks, no chunks");
    chunk[0].base[0] = 1;
    chunk[0].base[chunk[0].size - 1] = 1;
    is_u64((uint64_t)signal_of_access(chunk[0].base), 0, "its first byte is there");
    is_u64((uint64_t)signal_of_access(chunk[0].base - 1), SIGSEGV, "nothing is before it");
    is_u64((uint64_t)signal_of_access(chunk[0].base - (2 << 20)), SIGSEGV, "for 2 MiB");
    is_u64((uint64_t)signal_of_access(chunk[0].base + chunk[0].size), SIGSEGV, "nor behind it");
    is_u64((uint64_t)signal_in_child(chunk[0].base), SIGSEGV, "a child process has none of it");
    ok(host.memory.fd < 0 || ftruncate(host.memory.fd, 0) < 0, "its file, if any, cannot be shortened");
    ok(host_guest_map(&host, 0, chunk[0].base, chunk[0].size, true) == VMM_OK, "it can be mapped");
    ok(host_guest_map(&host, 0, chunk[0].base + 4096, chunk[0].size, true) == VMM_BAD_RANGE,
       "more than there is cannot");
}

/* --- Images --- */

static bool image(const char *content, size_t size, struct image *image, char *error)
{
    char path[] = "/tmp/graft-image-XXXXXX";
    int fd = mkstemp(path);
    bool good = fd >= 0 && write(fd, content, size) == (ssize_t)size &&
                image_load(path, image, error, 160);

    if (good)
        ok(ftruncate(fd, 0) == 0 && memcmp(image->copy.data, content, size) == 0,
           "an image that is shortened later is still there");
    close(fd);
    unlink(path);
    return good;
}

/* How many of the image's pages are in memory. */
static unsigned resident(const struct image *image)
{
    unsigned char page[64] = {0};
    unsigned n = 0;

    ok(image->copy.size <= sizeof(page) * 4096 &&
       mincore((void *)(uintptr_t)image->copy.data, image->copy.size, page) == 0, "pages are counted");
    for (unsigned i = 0; i < sizeof(page); i++)
        n += page[i] & 1;
    return n;
}

static void image_again(void)
{
    char path[] = "/tmp/graft-image-XXXXXX", error[160];
    static uint8_t content[3 * 4096];
    int fd = mkstemp(path);
    struct image image;
    const char *wrong;

    memset(content, 0x5a, sizeof(content));
    ok(fd >= 0 && write(fd, content, sizeof(content)) == sizeof(content) &&
       image_load(path, &image, error, sizeof(error)), "an image of three pages");
    unlink(path);
    ok(image_recall(&image) == NULL && resident(&image) == 3, "it is there, and stays when asked for");
    image_forget(&image);
    is_u64(resident(&image), 0, "forgotten, it takes no memory");
    ok(image_recall(&image) == NULL && memcmp(image.copy.data, content, sizeof(content)) == 0,
       "it is read again, though its name is gone");
    image_forget(&image);
    ok(write(fd, content, 1) == 1 && (wrong = image_recall(&image)) && strstr(wrong, "longer"),
       "but not with another size: longer");
    ok(ftruncate(fd, 4096) == 0 && (wrong = image_recall(&image)) && strstr(wrong, "shorter"),
       "shorter");
    ok(ftruncate(fd, sizeof(content)) == 0 && image_recall(&image) == NULL &&
       image.copy.data[4095] == 0x5a && image.copy.data[4096] == 0, "what is in it then");
    close(fd);
}

static void images(void)
{
    struct image got;
    char error[160];

    ok(image("kernel", 6, &got, error) && got.copy.size == 6, "a file is loaded");
    ok(!image("", 0, &got, error) && strstr(error, "empty"), "an empty one is not");
    ok(!image_load("/nowhere/kernel", &got, error, sizeof(error)) &&
       strstr(error, "/nowhere/kernel: No such file"), "one that is not there is named");
    ok(!image_load("/dev", &got, error, sizeof(error)) && strstr(error, "regular"), "a directory");
    ok(!image_load("/dev/zero", &got, error, sizeof(error)) && strstr(error, "regular"),
       "a device");
    image_again();
}

/* --- Output --- */

static _Atomic unsigned changes;

static void changed(void *context)
{
    (void)context;
    changes++;
}

static bool stop_now(void *context)
{
    (void)context;
    return true;
}

static bool go_on(void *context)
{
    (void)context;
    return false;
}

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

/* Puts as long as all is taken, at most `most`. Returns how many. */
static uint64_t put_pattern(struct output *output, uint64_t from, uint64_t most)
{
    uint64_t i = from;
    uint8_t byte = pattern(i);

    while (i < most && output_put(output, &byte, 1) == 1)
        byte = pattern(++i);
    return i;
}

static void drain(int fd, uint64_t *got, bool *right, uint64_t most)
{
    uint8_t bytes[4096];
    struct pollfd p = {fd, POLLIN, 0};

    while (*got < most && poll(&p, 1, 2000) > 0) {
        ssize_t n = read(fd, bytes, sizeof(bytes));

        for (ssize_t i = 0; i < n; i++)
            *right &= bytes[i] == pattern((*got)++);
        if (n <= 0)
            return;
    }
}

/* Until the writer has filled the pipe, and the buffer behind it is full too. */
static uint64_t put_until_full(struct output *output)
{
    const struct timespec pause = {0, 5000000};
    uint64_t put = put_pattern(output, 0, 10 << 20), more;

    for (unsigned quiet = 0; quiet < 20; quiet++, put = more) {
        nanosleep(&pause, NULL);
        more = put_pattern(output, put, 10 << 20);
        if (more != put) {
            (void)output_take_ready(output); // told of while the writer was at it
            quiet = 0;
        }
    }
    return put;
}

static void slow_reader(void)
{
    struct output *output = calloc(1, sizeof(*output));
    uint64_t put, got = 0, total;
    bool right = true;
    int ends[2];

    ok(pipe(ends) == 0 && output_start(output, &host, ends[1], changed, NULL), "output starts");
    put = put_until_full(output);
    ok(put >= OUTPUT_SIZE && put < 10 << 20,
       "a reader that does not read stops it after %lu bytes", put);
    ok(!output_take_ready(output), "there is no room yet");
    total = put + 100000;
    changes = 0;
    while (put < total) {
        drain(ends[0], &got, &right, put);
        put = put_pattern(output, put, total);
    }
    ok(changes > 0, "the room that there is again is told of");
    drain(ends[0], &got, &right, total);
    is_u64(got, total, "everything arrives");
    ok(right, "in order");
    ok(output_finish(output, &host, 5000 * MS, go_on), "output ends");
    close(ends[0]);
    close(ends[1]);
    host_free(&host, output->wake);
    host_free(&host, output->done);
    free(output);
}

static void gone_reader(void)
{
    struct output *output = calloc(1, sizeof(*output));
    uint64_t until = host_ticks(&host) + 5000 * MS;
    int ends[2];

    ok(pipe(ends) == 0 && output_start(output, &host, ends[1], changed, NULL), "output starts");
    close(ends[0]);
    while (!output_lost(output) && host_ticks(&host) < until)
        put_pattern(output, 0, 1);
    ok(output_lost(output), "a reader that has gone is noticed");
    is_u64(put_pattern(output, 0, 1 << 20), 1 << 20, "then bytes go nowhere");
    ok(output_finish(output, &host, 5000 * MS, go_on), "and output ends");
    close(ends[1]);
    host_free(&host, output->wake);
    host_free(&host, output->done);
    free(output);
}

/* In a process of its own, since the writer stays where it is. */
static void stuck_reader(void)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct output *output = calloc(1, sizeof(*output));
        int ends[2];
        bool patient, asked;

        if (pipe(ends) < 0 || fcntl(ends[1], F_SETPIPE_SZ, 4096) < 0 ||
            !output_start(output, &host, ends[1], changed, NULL))
            _exit(0);
        put_pattern(output, 0, 10 << 20);
        asked = !output_finish(output, &host, 60000 * MS, stop_now);
        patient = !output_finish(output, &host, 200 * MS, go_on);
        _exit(asked << 1 | patient);
    }
    waitpid(child, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) & 2, "the end waits no longer than the user");
    ok(WIFEXITED(status) && WEXITSTATUS(status) & 1, "nor for ever");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    host.terminal.keeper = -1;
    stuck_reader();
    time_runs();
    heap();
    events();
    guest_memory();
    images();
    slow_reader();
    gone_reader();
    return tap_done();
}
