/* SPDX-License-Identifier: MIT */
/* A recording's file. */
#include "hosts/linux/record_file.h"

#include "hosts/linux/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool record_file_open(struct record_file *file, const char *path)
{
    *file = (struct record_file){
        .fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644),
    };
    return file->fd >= 0;
}

bool record_file_write(struct record_file *file, struct host *host, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    if (size > RECORD_FILE_MAX - file->used) {
        host_say(host, "the recording is full (%llu MiB): the machine ends, and can be replayed up to here",
                 RECORD_FILE_MAX >> 20);
        return false;
    }
    while (size) {
        ssize_t n = write(file->fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            host_say(host, "the recording cannot be written (%s): the machine ends; make room, or record "
                           "to another place", n < 0 ? strerror(errno) : "no room");
            return false;
        }
        at += n;
        size -= (size_t)n;
        file->used += (uint64_t)n;
    }
    return true;
}
