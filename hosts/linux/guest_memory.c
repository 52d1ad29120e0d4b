/* SPDX-License-Identifier: MIT */
/* Guest RAM. */
#include "hosts/linux/guest_memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SETTINGS "/sys/kernel/mm/transparent_hugepage/" // Documentation/admin-guide/mm/transhuge

/* What the kernel has chosen in a settings file, whose choices are listed with it in brackets. */
static bool chosen(const char *path, const char *choice)
{
    char text[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    text[n] = 0;
    return strstr(text, choice);
}

/* Are there huge pages for private memory, but none for a file's? */
static bool private_is_faster(void)
{
    bool shared = chosen(SETTINGS "shmem_enabled", "[always]") ||
                  chosen(SETTINGS "shmem_enabled", "[within_size]") ||
                  chosen(SETTINGS "shmem_enabled", "[advise]") ||
                  chosen(SETTINGS "shmem_enabled", "[force]");

    return !shared && (chosen(SETTINGS "enabled", "[always]") || chosen(SETTINGS "enabled", "[madvise]"));
}

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
    int flags = MAP_FIXED;

    if (private_is_faster()) {
        memory->fd = -1;
        flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    } else {
        memory->fd = sealed_file(size);
        if (memory->fd < 0)
            return false;
        flags |= MAP_SHARED;
    }
    area = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return false;
    base = (uint8_t *)(((uintptr_t)area + 2 * GUEST_MEMORY_ALIGN - 1) & ~(GUEST_MEMORY_ALIGN - 1));
    if (mmap(base, size, PROT_READ | PROT_WRITE, flags, memory->fd, 0) == MAP_FAILED)
        return false;
    /* These are wishes: a kernel without them runs the guest all the same. */
    (void)madvise(base, size, MADV_DONTDUMP);
    (void)madvise(base, size, MADV_DONTFORK); // a child's copy would be a second one in time
    memory->base = base;
    memory->size = size;
    return true;
}

void guest_memory_use_huge_pages(const struct guest_memory *memory)
{
    (void)madvise(memory->base, memory->size, MADV_HUGEPAGE);
}
