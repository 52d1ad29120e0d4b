/* SPDX-License-Identifier: MIT */
/* Guest images. */
#include "hosts/linux/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *read_all(int fd, uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, data + done, size - done);

        if (n == 0)
            return "it became shorter while it was read";
        if (n < 0 && errno != EINTR)
            return strerror(errno);
        if (n > 0)
            done += (size_t)n;
    }
    return NULL;
}

/* NULL, or what is wrong. */
static const char *load(int fd, struct vm_image *image)
{
    struct stat s;
    const char *wrong;
    void *data;

    if (fstat(fd, &s) < 0)
        return strerror(errno);
    if (!S_ISREG(s.st_mode))
        return "it is not a regular file";
    if (s.st_size <= 0)
        return "it is empty";
    if ((uint64_t)s.st_size > IMAGE_MAX)
        return "it is larger than 2 GiB";
    data = mmap(NULL, (size_t)s.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0);
    if (data == MAP_FAILED)
        return "there is not enough memory to read it";
    wrong = read_all(fd, data, (size_t)s.st_size);
    if (!wrong && mprotect(data, (size_t)s.st_size, PROT_READ) < 0)
        wrong = strerror(errno);
    if (wrong) {
        munmap(data, (size_t)s.st_size);
        return wrong;
    }
    *image = (struct vm_image){data, (size_t)s.st_size};
    return NULL;
}

bool image_load(const char *path, struct vm_image *image, char *error, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not make us wait
    const char *wrong;

    if (fd < 0) {
        snprintf(error, size, "cannot open %s: %s", path, strerror(errno));
        return false;
    }
    wrong = load(fd, image);
    close(fd);
    if (wrong)
        snprintf(error, size, "cannot use %s: %s", path, wrong);
    return !wrong;
}
