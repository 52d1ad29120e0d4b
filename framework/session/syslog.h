/* SPDX-License-Identifier: MIT */
/*
 * The system log as shared memory: core writes, a reader with AUTHORITY_LOG has it read-only (core_log_read()). `produced` counts all bytes ever
 * written; byte n lies at data[n % SYSLOG_SIZE]. A reader keeps its own position, and looks at `produced` again after copying: what
 * lies more than SYSLOG_SIZE behind it is lost. Text is lines of printable characters, "[label] text\n".
 */
#ifndef FRAMEWORK_SESSION_SYSLOG_H
#define FRAMEWORK_SESSION_SYSLOG_H

#include <stddef.h>
#include <stdint.h>

#define SYSLOG_SIZE 65536u

struct syslog_shared {
    uint64_t produced;
    uint64_t pad[511];
    char     data[SYSLOG_SIZE];
};
_Static_assert(offsetof(struct syslog_shared, data) == 4096, "layout");

/* Copy what there is after *position, at most size bytes; returns how many and advances *position. *lost counts skipped bytes. */
size_t syslog_read(const struct syslog_shared *log, uint64_t *position, char *buffer, size_t size, uint64_t *lost);

#endif
