/* SPDX-License-Identifier: MIT */
/* Guest RAM. */
#include "hosts/linux/guest_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int sealed_file(uint64_t size)
{
    int fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    close(fd);
    return -1;
}

bool guest_memory_create(struct guest_memory *memory, uint64_t size)
{
    /* The reservation: guard, RAM, guard, and what aligning may take; all without access. */
    uint64_t reserved = size + 3 * GUEST_MEMORY_ALIGN;
    uint8_t *area, *base;

    memory->fd = sealed_file(size);
    if (memory->fd < 0)
        return false;
    area = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return false;
    base = (uint8_t *)(((uintptr_t)area + 2 * GUEST_MEMORY_ALIGN - 1) & ~(GUEST_MEMORY_ALIGN - 1));
    if (mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory->fd, 0) ==
        MAP_FAILED)
        return false;
    /* Both are wishes: a kernel without huge pages in shared memory runs the guest all the same. */
    (void)madvise(base, size, MADV_HUGEPAGE);
    (void)madvise(base, size, MADV_DONTDUMP);
    memory->base = base;
    memory->size = size;
    return true;
}
