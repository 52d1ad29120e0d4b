/* SPDX-License-Identifier: MIT */
/*
 * Where the lines of a trace (vmm/trace.h) go: a file that is opened before the sandbox, or standard error. After
 * TRACE_BYTES it says so and takes no more.
 */
#ifndef HOSTS_LINUX_TRACE_H
#define HOSTS_LINUX_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_BYTES (64ull << 20)

struct trace {
    int fd;                 // -1: none
    _Atomic uint64_t used;
};

/* `kinds`: names with commas between, or all. 0: one is unknown. */
uint32_t trace_kinds(const char *kinds, const char *end);
/* path: NULL for standard error. An existing file is emptied. */
bool trace_open(struct trace *trace, const char *path) __attribute__((warn_unused_result));
/* From any thread; one write a line, so that nothing is lost by the way the process ends. */
void trace_put(struct trace *trace, const char *line);

#endif
