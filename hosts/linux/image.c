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

/* The file has to have just this size. */
static const char *read_all(int fd, uint8_t *data, size_t size)
{
    uint8_t more;

    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, data + done, size - done, (off_t)done);

        if (n == 0)
            return "it is shorter than it was";
        if (n < 0 && errno != EINTR)
            return strerror(errno);
        if (n > 0)
            done += (size_t)n;
    }
    return pread(fd, &more, 1, (off_t)size) == 1 ? "it is longer than it was" : NULL;
}

static const char *fill(int fd, void *data, size_t size)
{
    const char *wrong = read_all(fd, data, size);

    return !wrong && mprotect(data, size, PROT_READ) < 0 ? strerror(errno) : wrong;
}

/* NULL, or what is wrong. */
static const char *load(int fd, struct vm_image *copy)
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
    wrong = fill(fd, data, (size_t)s.st_size);
    if (wrong) {
        munmap(data, (size_t)s.st_size);
        return wrong;
    }
    *copy = (struct vm_image){data, (size_t)s.st_size};
    return NULL;
}

bool image_load(const char *path, struct image *image, char *error, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not make us wait
    const char *wrong;

    if (fd < 0) {
        snprintf(error, size, "cannot open %s: %s", path, strerror(errno));
        return false;
    }
    wrong = load(fd, &image->copy);
    if (wrong) {
        snprintf(error, size, "cannot use %s: %s", path, wrong);
        close(fd);
        return false;
    }
    image->fd = fd;
    image->forgotten = false;
    return true;
}

void image_forget(struct image *image)
{
    if (image->copy.size &&
        madvise((void *)(uintptr_t)image->copy.data, image->copy.size, MADV_DONTNEED) == 0)
        image->forgotten = true;
}

const char *image_recall(struct image *image)
{
    void *data = (void *)(uintptr_t)image->copy.data;
    const char *wrong;

    if (!image->forgotten)
        return NULL;
    if (image->fd < 0)
        return "it was made for one start";
    if (mprotect(data, image->copy.size, PROT_READ | PROT_WRITE) < 0)
        return strerror(errno);
    wrong = fill(image->fd, data, image->copy.size);
    image->forgotten = wrong;
    return wrong;
}
