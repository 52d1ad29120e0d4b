/* SPDX-License-Identifier: MIT */
/*
 * Linux system calls for x86-64 and small helpers for the benchmark programs, which have no C library: the library's choice of
 * routines by processor features would make the same binary do different work in different places.
 * Results are the kernel's: negative error numbers. Numbers: Linux arch/x86/entry/syscalls/syscall_64.tbl.
 */
#ifndef BENCH_PEERS_SYS_H
#define BENCH_PEERS_SYS_H

#include <stddef.h>
#include <stdint.h>

enum {
    SYS_READ = 0, SYS_WRITE = 1, SYS_OPEN = 2, SYS_CLOSE = 3, SYS_MMAP = 9, SYS_MPROTECT = 10, SYS_MUNMAP = 11, SYS_SIGACTION = 13,
    SYS_IOCTL = 16, SYS_PREAD = 17, SYS_PIPE = 22, SYS_YIELD = 24, SYS_MADVISE = 28, SYS_GETPID = 39, SYS_CLONE = 56, SYS_FORK = 57, SYS_EXECVE = 59,
    SYS_EXIT = 60, SYS_WAIT4 = 61, SYS_KILL = 62, SYS_GETPPID = 110, SYS_MOUNT = 165, SYS_REBOOT = 169, SYS_FUTEX = 202,
    SYS_SETAFFINITY = 203, SYS_GETAFFINITY = 204, SYS_CLOCK_GETTIME = 228, SYS_EXIT_GROUP = 231,
};

static inline long sys6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long sys4(long number, long a, long b, long c, long d)
{
    return sys6(number, a, b, c, d, 0, 0);
}

static inline long sys3(long number, long a, long b, long c)
{
    return sys6(number, a, b, c, 0, 0, 0);
}

/* Readable and writable, private, in small pages everywhere. NULL: there is no memory. */
static inline void *map_pages(size_t size)
{
    long address = sys6(SYS_MMAP, 0, (long)size, 3, 0x22, -1, 0);

    if (address < 0 && address > -4096)
        return NULL;
    sys3(SYS_MADVISE, address, (long)size, 15); // MADV_NOHUGEPAGE
    return (void *)address;
}

static inline void unmap_pages(void *address, size_t size)
{
    sys3(SYS_MUNMAP, (long)address, (long)size, 0);
}

/* xorshift64*: state is never 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

#endif
