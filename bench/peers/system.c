/* SPDX-License-Identifier: MIT */
/* Rows of what an operating system does: system calls, page faults, mappings, signals, processes, pipes, files. */
#include "peers.h"
#include "sys.h"

const char *program_path;

static uint64_t run_getppid(void *memory)
{
    long parent = sys3(SYS_GETPPID, 0, 0, 0);

    (void)memory;
    for (unsigned i = 1; i < 10000; i++)
        if (sys3(SYS_GETPPID, 0, 0, 0) != parent)
            return ROW_FAILED;
    return 10000;
}

#define FAULT_PAGES 512u

/* Each page of fresh memory is written once; mapping and unmapping the whole are part of it. */
static uint64_t run_fault(void *memory)
{
    uint8_t *pages = map_pages(FAULT_PAGES * 4096);
    uint64_t sum = 0;

    (void)memory;
    if (!pages)
        return ROW_FAILED;
    for (unsigned i = 0; i < FAULT_PAGES; i++)
        pages[i * 4096] = (uint8_t)i;
    for (unsigned i = 0; i < FAULT_PAGES; i++)
        sum += pages[i * 4096] + pages[i * 4096 + 1];
    unmap_pages(pages, FAULT_PAGES * 4096);
    return sum;
}

/* Four pages are mapped, two of them written, and unmapped. */
static uint64_t run_mmap(void *memory)
{
    uint64_t sum = 0;

    (void)memory;
    for (unsigned i = 0; i < 200; i++) {
        long address = sys6(SYS_MMAP, 0, 4 * 4096, 3, 0x22, -1, 0);
        if (address < 0 && address > -4096)
            return ROW_FAILED;
        volatile uint8_t *pages = (uint8_t *)address;
        pages[0] = (uint8_t)i;
        pages[3 * 4096] = 1;
        sum += pages[0] + pages[3 * 4096] + pages[3 * 4096 - 1 + 2];
        unmap_pages((void *)address, 4 * 4096);
    }
    return sum;
}

/* One page of sixteen loses and gets the right to be written, and is written. */
static uint64_t run_mprotect(void *memory)
{
    uint8_t *pages = memory;
    uint64_t sum = 0;

    for (unsigned i = 0; i < 500; i++) {
        volatile uint8_t *page = pages + (i * 7 % 16) * 4096;
        if (sys3(SYS_MPROTECT, (long)page, 4096, 1) || sys3(SYS_MPROTECT, (long)page, 4096, 3))
            return ROW_FAILED;
        *page = (uint8_t)i;
        sum += *page;
    }
    return sum;
}

struct signal_action {
    void (*handler)(int);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

static volatile unsigned signals_seen;

static void on_signal(int number)
{
    signals_seen += (unsigned)number;
}

void signal_return(void);
__asm__(".globl signal_return\n"
        "signal_return:\n"
        "    mov $15, %eax\n"
        "    syscall\n");

static uint64_t run_signal(void *memory)
{
    struct signal_action action = {on_signal, 0x04000000, signal_return, 0}; // SA_RESTORER

    (void)memory;
    signals_seen = 0;
    if (sys4(SYS_SIGACTION, 10, (long)&action, 0, 8))
        return ROW_FAILED;
    long self = sys3(SYS_GETPID, 0, 0, 0);
    for (unsigned i = 0; i < 1000; i++)
        sys3(SYS_KILL, self, 10, 0);
    return signals_seen;
}

/* The child's exit status, or -1. */
static int wait_for(long pid)
{
    int status = -1;

    if (pid < 0 || sys4(SYS_WAIT4, pid, (long)&status, 0, 0) != pid || (status & 0x7f))
        return -1;
    return status >> 8 & 0xff;
}

/* A byte to a child and back, each time one more. */
static uint64_t run_pipe(void *memory)
{
    int there[2], back[2];
    uint8_t byte = 0;
    uint64_t sum = 0;

    (void)memory;
    if (sys3(SYS_PIPE, (long)there, 0, 0) || sys3(SYS_PIPE, (long)back, 0, 0))
        return ROW_FAILED;
    long pid = sys3(SYS_FORK, 0, 0, 0);
    if (pid == 0) {
        sys3(SYS_CLOSE, there[1], 0, 0);
        while (sys3(SYS_READ, there[0], (long)&byte, 1) == 1) {
            byte++;
            sys3(SYS_WRITE, back[1], (long)&byte, 1);
        }
        sys3(SYS_EXIT_GROUP, byte, 0, 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        if (sys3(SYS_WRITE, there[1], (long)&byte, 1) != 1 || sys3(SYS_READ, back[0], (long)&byte, 1) != 1)
            return ROW_FAILED;
        sum += byte;
    }
    sys3(SYS_CLOSE, there[1], 0, 0);
    int status = wait_for(pid);
    sys3(SYS_CLOSE, there[0], 0, 0);
    sys3(SYS_CLOSE, back[0], 0, 0);
    sys3(SYS_CLOSE, back[1], 0, 0);
    return status == (1000 & 0xff) ? sum : ROW_FAILED;
}

static uint64_t run_fork(void *memory)
{
    uint64_t sum = 0;

    (void)memory;
    for (unsigned i = 0; i < 20; i++) {
        long pid = sys3(SYS_FORK, 0, 0, 0);
        if (pid == 0)
            sys3(SYS_EXIT_GROUP, i + 1, 0, 0);
        sum += (uint64_t)wait_for(pid);
    }
    return sum;
}

static uint64_t run_exec(void *memory)
{
    const char *const arguments[] = {program_path, "nothing", NULL};
    uint64_t sum = 0;

    (void)memory;
    for (unsigned i = 0; i < 10; i++) {
        long pid = sys3(SYS_FORK, 0, 0, 0);
        if (pid == 0) {
            sys3(SYS_EXECVE, (long)program_path, (long)arguments, (long)&arguments[2]);
            sys3(SYS_EXIT_GROUP, 127, 0, 0);
        }
        sum += (uint64_t)wait_for(pid);
    }
    return sum;
}

#define BLOCK 65536

/* As `dd if=/dev/zero of=/dev/null bs=64k` does. */
static uint64_t run_dd(void *memory)
{
    long from = sys3(SYS_OPEN, (long)"/dev/zero", 0, 0), to = sys3(SYS_OPEN, (long)"/dev/null", 1, 0);
    uint64_t sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        long n = sys3(SYS_READ, from, (long)memory, BLOCK);
        sum += n > 0 ? (uint64_t)sys3(SYS_WRITE, to, (long)memory, n) : 0;
    }
    sys3(SYS_CLOSE, from, 0, 0);
    sys3(SYS_CLOSE, to, 0, 0);
    return from >= 0 && to >= 0 ? sum : ROW_FAILED;
}

/* The program's own first page, opened and read. */
static uint64_t run_file(void *memory)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 100; i++) {
        long file = sys3(SYS_OPEN, (long)program_path, 0, 0);
        if (file < 0 || sys4(SYS_PREAD, file, (long)memory, 4096, 0) != 4096)
            return ROW_FAILED;
        sum += *(uint32_t *)memory; // 7f 'ELF'
        sys3(SYS_CLOSE, file, 0, 0);
    }
    return sum;
}

const struct row system_rows[] = {
    {"getppid", 50, 10000, 10000, run_getppid, 0, NULL},
    {"fault", 60, FAULT_PAGES, 65280, run_fault, 0, NULL},
    {"mmap", 50, 200, 20100, run_mmap, 0, NULL},
    {"mprotect", 50, 500, 62286, run_mprotect, 16 * 4096, NULL},
    {"signal", 50, 1000, 10000, run_signal, 0, NULL},
    {"pipe", 20, 1000, 124948, run_pipe, 0, NULL},
    {"fork", 50, 20, 210, run_fork, 0, NULL},
    {"exec", 20, 10, 10 * NOTHING_STATUS, run_exec, 0, NULL},
    {"dd", 200, 64, 64 * BLOCK, run_dd, BLOCK, NULL},
    {"file", 50, 100, 100 * 0x464c457full, run_file, 4096, NULL},
    {0},
};
