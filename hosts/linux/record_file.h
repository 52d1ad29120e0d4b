/* SPDX-License-Identifier: MIT */
/*
 * The file that a recording (vmm/record.h) is written to: opened before the sandbox, RECORD_FILE_MAX bytes at
 * most, which is what a replay reads.
 */
#ifndef HOSTS_LINUX_RECORD_FILE_H
#define HOSTS_LINUX_RECORD_FILE_H

#include "hosts/linux/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_FILE_MAX IMAGE_MAX

struct host;

struct record_file {
    int fd;        // -1: none
    uint64_t used;
};

/* An existing file is emptied. False: errno says why. */
bool record_file_open(struct record_file *file, const char *path) __attribute__((warn_unused_result));
/* False: said why in the log. */
bool record_file_write(struct record_file *file, struct host *host, const void *bytes,
                       size_t size) __attribute__((warn_unused_result));

#endif
