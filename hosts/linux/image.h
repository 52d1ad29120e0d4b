/* SPDX-License-Identifier: MIT */
/*
 * A guest image: the bytes of a regular file, copied, since a file that another process shortens
 * while it is mapped would end this one.
 *
 * The copy is read-only and lives as long as the process (a reset of the guest loads it again).
 */
#ifndef HOSTS_LINUX_IMAGE_H
#define HOSTS_LINUX_IMAGE_H

#include "vmm/vm.h"

#include <stdbool.h>

#define IMAGE_MAX (2ull << 30)

/* False: `error` (of `size` bytes) says which file, what is wrong and what to do. */
bool image_load(const char *path, struct vm_image *image, char *error,
                size_t size) __attribute__((warn_unused_result));

#endif
