/* SPDX-License-Identifier: MIT */
/*
 * mkcpio: write a cpio archive ("newc", the format of Linux's initramfs) from a list on standard input to standard
 * output, without the rights that device nodes would need and without times: the same list gives the same bytes.
 * Lines: dir NAME MODE | file NAME MODE PATH | link NAME TARGET | node NAME MODE MAJOR MINOR (a character device).
 * Format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
    const char *name;
    unsigned mode, major, minor, links;
    const char *data;
    size_t size;
};

struct archive {
    FILE *out;
    unsigned next_inode;
    size_t written;
};

static void put(struct archive *a, const void *data, size_t size)
{
    if (fwrite(data, 1, size, a->out) != size) {
        perror("mkcpio: write");
        exit(1);
    }
    a->written += size;
}

static void pad(struct archive *a, size_t alignment)
{
    static const char zero[512];
    put(a, zero, (alignment - a->written % alignment) % alignment);
}

static void put_entry(struct archive *a, const struct entry *e)
{
    char header[111];
    snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", a->next_inode++, e->mode, 0u, 0u,
             e->links, 0u, (unsigned)e->size, 0u, 0u, e->major, e->minor, (unsigned)strlen(e->name) + 1, 0u);
    put(a, header, 110);
    put(a, e->name, strlen(e->name) + 1);
    pad(a, 4);
    put(a, e->data, e->size);
    pad(a, 4);
}

static char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    if (!f || fstat(fileno(f), &s) < 0 || s.st_size > INT32_MAX) {
        fprintf(stderr, "mkcpio: cannot read %s\n", path);
        exit(1);
    }
    *size = (size_t)s.st_size;
    char *data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, f) != *size) {
        fprintf(stderr, "mkcpio: cannot read %s\n", path);
        exit(1);
    }
    fclose(f);
    return data;
}

/* False if the line is none of the kinds. */
static int put_line(struct archive *a, const char *line)
{
    char name[1024], rest[1024];
    struct entry e = {.name = name, .links = 1, .data = ""};
    if (sscanf(line, "dir %1023s %o", name, &e.mode) == 2) {
        e.mode |= S_IFDIR;
        e.links = 2;
        put_entry(a, &e);
    } else if (sscanf(line, "file %1023s %o %1023s", name, &e.mode, rest) == 3) {
        char *data = slurp(rest, &e.size);
        e.mode |= S_IFREG;
        e.data = data;
        put_entry(a, &e);
        free(data);
    } else if (sscanf(line, "link %1023s %1023s", name, rest) == 2) {
        e.mode = S_IFLNK | 0777;
        e.data = rest;
        e.size = strlen(rest);
        put_entry(a, &e);
    } else if (sscanf(line, "node %1023s %o %u %u", name, &e.mode, &e.major, &e.minor) == 4) {
        e.mode |= S_IFCHR;
        put_entry(a, &e);
    } else {
        return 0;
    }
    return 1;
}

int main(void)
{
    struct archive a = {stdout, 1, 0};
    char line[4096];
    while (fgets(line, sizeof(line), stdin)) {
        if (!put_line(&a, line)) {
            fprintf(stderr, "mkcpio: what is this line: %s", line);
            return 1;
        }
    }
    struct entry end = {.name = "TRAILER!!!", .links = 1, .data = ""};
    put_entry(&a, &end);
    pad(&a, 512);
    return fflush(stdout) != 0;
}
