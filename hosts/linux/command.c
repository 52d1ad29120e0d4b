/* SPDX-License-Identifier: MIT */
/* A command for the guest's init. */
#include "hosts/linux/command.h"

#include "hosts/linux/host.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_LINES 50
#define ALIGN      512u // of an archive behind another: Linux wants 4, and skips zeros between them
#define ENTRY_MAX  256u // header, name and padding of each of ours
#define ENTRIES    5u

/* --- The way in: Linux Documentation/driver-api/early-userspace/buffer-format.rst, "newc" --- */

struct archive {
    uint8_t *bytes; // zeros to begin with, of sufficient size
    size_t used;
    unsigned inode;
};

static void append(struct archive *archive, const char *data, size_t size)
{
    memcpy(archive->bytes + archive->used, data, size);
    archive->used = (archive->used + size + 3) & ~(size_t)3;
}

static void add_entry(struct archive *archive, const char *name, unsigned mode, const char *data)
{
    char header[ENTRY_MAX];
    size_t size = strlen(data);
    int n = snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X"
                     "%08X%08X%08X%s", archive->inode++, mode, 0u, 0u, 1u, 0u, (unsigned)size, 0u,
                     0u, 0u, 0u, (unsigned)strlen(name) + 1, 0u, name);

    append(archive, header, (size_t)n + 1);
    append(archive, data, size);
}

static bool add_archive(struct image *initrd, const char *text, const char *nonce)
{
    struct vm_image *copy = &initrd->copy;
    size_t first = (copy->size + ALIGN - 1) / ALIGN * ALIGN;
    size_t size = first + ENTRIES * ENTRY_MAX + strlen(text);
    struct archive archive = {NULL, first, 1};
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED)
        return false;
    memcpy(bytes, copy->data, copy->size);
    archive.bytes = bytes;
    add_entry(&archive, "graft", S_IFDIR | 0755, "");
    add_entry(&archive, "graft/name", S_IFREG | 0644, "vm1\n");
    add_entry(&archive, "graft/nonce", S_IFREG | 0644, nonce);
    add_entry(&archive, "graft/command", S_IFREG | 0644, text);
    add_entry(&archive, "TRAILER!!!", 0, "");
    munmap((void *)(uintptr_t)copy->data, copy->size);
    *copy = (struct vm_image){bytes, archive.used};
    if (initrd->fd >= 0)
        close(initrd->fd);
    initrd->fd = -1; // the command is for one start
    return mprotect(bytes, size, PROT_READ) == 0;
}

/* --- The way back --- */

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(fd, bytes, n);

        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        } else if (done < 0 && errno == EAGAIN) { // somebody else made the file non-blocking
            struct pollfd p = {fd, POLLOUT, 0};

            (void)poll(&p, 1, -1);
        } else if (done == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void take_output(void *context, const char *bytes, size_t n)
{
    struct command *command = context;

    command->lost = command->lost || !write_all(STDOUT_FILENO, bytes, n);
}

bool command_init(struct command *command, struct host *host, const char *text, bool show,
                  struct image *initrd)
{
    uint64_t random;
    char nonce[18];

    memset(command, 0, sizeof(*command));
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return false;
    snprintf(nonce, sizeof(nonce), "%016lx", random);
    command->host = host;
    command->show = show;
    frames_init(&command->frames, nonce, take_output, command);
    strcat(nonce, "\n"); // init reads a line
    return add_archive(initrd, text, nonce);
}

static void keep_tail(struct command *command, const uint8_t *bytes, size_t n)
{
    size_t drop;

    if (n > COMMAND_TAIL) {
        bytes += n - COMMAND_TAIL;
        n = COMMAND_TAIL;
    }
    drop = command->tail_used + n > COMMAND_TAIL ? command->tail_used + n - COMMAND_TAIL : 0;
    memmove(command->tail, command->tail + drop, command->tail_used - drop);
    memcpy(command->tail + command->tail_used - drop, bytes, n);
    command->tail_used += n - drop;
}

bool command_take(void *context, const uint8_t *bytes, size_t n)
{
    struct command *command = context;

    if (command->show)
        (void)write_all(STDERR_FILENO, (const char *)bytes, n);
    keep_tail(command, bytes, n);
    frames_feed(&command->frames, (const char *)bytes, n);
    if (command->frames.state != FRAMES_RUNNING && !atomic_exchange(&command->over, 1))
        host_wake(command->host, HOST_COMMAND);
    return !command->lost;
}

/* The console's last lines; host_log() cares for what must not reach a terminal. */
static void say_tail(struct command *command)
{
    size_t from = command->tail_used;
    char line[HOST_LINE];
    size_t used = 0;

    for (int lines = 0; from > 0; from--)
        if (command->tail[from - 1] == '\n' && ++lines > TAIL_LINES)
            break;
    host_log(command->host, "the console's last lines:");
    for (; from < command->tail_used; from++) {
        char c = command->tail[from];

        if (c != '\n' && c != '\r' && c != 0 && used < sizeof(line) - 1)
            line[used++] = c;
        if (used && (c == '\n' || from + 1 == command->tail_used)) {
            line[used] = 0;
            host_log(command->host, line);
            used = 0;
        }
    }
}

int command_status(struct command *command)
{
    struct frames *frames = &command->frames;

    if (frames->state == FRAMES_DONE && !command->lost)
        return frames->status;
    if (command->lost)
        host_log(command->host, "nobody reads the command's output");
    else if (frames->state == FRAMES_RUNNING)
        host_log(command->host, "the machine ended before the command did");
    else
        host_say(command->host, "the command was not run to its end: %s", frames->reason);
    if (!command->lost && !command->show)
        say_tail(command);
    return COMMAND_BROKEN;
}
