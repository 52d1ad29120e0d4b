/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: what is left to the process once the guest runs, should the guest take it over.
 *
 * Two steps. sandbox_restrict(), before any thread is started, since threads inherit it: no new
 * privileges, no capabilities, no open files but those named, no access to any file, TCP port or
 * other process's sockets and signals (Landlock, as far as the kernel has it), no core file, not
 * traceable. sandbox_filter(), when all threads are up: a list of system calls for all of them;
 * anything else kills the process. Images, engine and terminal are ready before. There is no way
 * back.
 */
#ifndef HOSTS_LINUX_SANDBOX_H
#define HOSTS_LINUX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The files that stay, besides standard input, output and error. *landlock: ABI, 0: none. */
bool sandbox_restrict(const int *files, unsigned count, int *landlock, char *error,
                      size_t size) __attribute__((warn_unused_result));

/*
 * requests: what may be asked of files by ioctl, besides a terminal's settings. False: `error` says
 * what failed; the process must not run a guest then.
 */
bool sandbox_filter(const uint32_t *requests, unsigned count, char *error,
                    size_t size) __attribute__((warn_unused_result));

#endif
