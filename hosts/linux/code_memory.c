/* SPDX-License-Identifier: MIT */
/* Memory for translated code. */
#include "hosts/linux/code_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD 4096u

/* At an address that the kernel chooses, between two pages without access. */
static void *map(int fd, size_t size, int protection)
{
    uint8_t *area = mmap(NULL, size + 2 * GUARD, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (area == MAP_FAILED)
        return MAP_FAILED;
    return mmap(area + GUARD, size, protection, MAP_SHARED | MAP_FIXED, fd, 0);
}

bool code_memory_create(struct recompiler_code *code, size_t size)
{
    int fd = memfd_create("translated-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *writable, *executable;

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return false;
    writable = map(fd, size, PROT_READ | PROT_WRITE);
    executable = map(fd, size, PROT_READ | PROT_EXEC);
    close(fd);
    *code = (struct recompiler_code){writable, executable, size};
    return writable != MAP_FAILED && executable != MAP_FAILED;
}
