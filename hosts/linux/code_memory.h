/* SPDX-License-Identifier: MIT */
/*
 * Memory for translated code: one memfd mapped twice, writable at one address and executable at
 * another, with inaccessible memory around both; sealed against shrinking. To be made before the
 * sandbox, which forbids new executable mappings.
 */
#ifndef HOSTS_LINUX_CODE_MEMORY_H
#define HOSTS_LINUX_CODE_MEMORY_H

#include "vmm/engines/recompiler/recompiler.h"

#include <stdbool.h>
#include <stddef.h>

/* size: a multiple of 2 MiB. False, with errno. */
bool code_memory_create(struct recompiler_code *code,
                        size_t size) __attribute__((warn_unused_result));

#endif
