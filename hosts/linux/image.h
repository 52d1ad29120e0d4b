/* SPDX-License-Identifier: MIT */
/*
 * A guest image: the bytes of a regular file, copied, since a file that another process shortens
 * while it is mapped would end this one.
 *
 * The copy is read-only. While nobody needs it, its memory can be given back: a reset of the guest
 * then reads the file again, which stays open. One thread at a time.
 */
#ifndef HOSTS_LINUX_IMAGE_H
#define HOSTS_LINUX_IMAGE_H

#include "vmm/vm.h"

#include <stdbool.h>

#define IMAGE_MAX (2ull << 30)

struct image {
    struct vm_image copy; // the address stays the same
    int fd;               // -1: not to be had again
    bool forgotten;       // the copy is without content
};

/* False: `error` (of `size` bytes) says which file, what is wrong and what to do. */
bool image_load(const char *path, struct image *image, char *error,
                size_t size) __attribute__((warn_unused_result));
void image_forget(struct image *image);
/* The content again. NULL, or what is wrong, such as that the file has another size now. */
const char *image_recall(struct image *image) __attribute__((warn_unused_result));

#endif
