/* SPDX-License-Identifier: MIT */
/*
 * The agent in the test guest: a Linux program for x86-64 without a C library.
 *     agent exec FILE NONCE   run /bin/sh FILE and send its output and status framed (hosts/linux/frames.h)
 *     agent mark NAME         print "mark NAME TSC": the time stamp counter, as it is read
 *     agent work port N       N reads of PCI configuration: a port write and a port read each
 *     agent work mmio N       N reads of the I/O APIC's window (needs iomem=relaxed on the kernel's command line)
 * System call numbers: Linux arch/x86/entry/syscalls/syscall_64.tbl.
 */
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_READ = 0, SYS_WRITE = 1, SYS_OPEN = 2, SYS_CLOSE = 3, SYS_POLL = 7, SYS_MMAP = 9, SYS_PREAD = 17, SYS_PIPE = 22,
    SYS_DUP2 = 33,
    SYS_FORK = 57, SYS_EXECVE = 59, SYS_EXIT = 60, SYS_WAIT4 = 61, SYS_SETSID = 112,
};

#define POLLIN   1
#define WNOHANG  1
#define O_RDWR   2
#define O_SYNC   04010000
#define CHUNK    256

#define IOAPIC_ADDRESS 0xfec00000l
#define IOAPIC_WINDOW  4 // 32-bit words from the select register

struct poll_entry {
    int32_t fd;
    int16_t events, revents;
};

static long call(long number, long a, long b, long c, long d, long e, long f)
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

static long call3(long number, long a, long b, long c)
{
    return call(number, a, b, c, 0, 0, 0);
}

static size_t length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

static int equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static uint64_t number(const char *s)
{
    uint64_t value = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        value = value * 10 + (uint64_t)(*s - '0');
    return value;
}

/* A line put together in memory, so that it leaves in one write. */
struct line {
    char text[3 * CHUNK + 128];
    size_t used;
};

static void add_char(struct line *l, char c)
{
    if (l->used < sizeof(l->text))
        l->text[l->used++] = c;
}

static void add(struct line *l, const char *s)
{
    while (*s)
        add_char(l, *s++);
}

static void add_number(struct line *l, uint64_t value)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        add_char(l, digits[--n]);
}

static void send(struct line *l)
{
    add_char(l, '\n');
    for (size_t done = 0; done < l->used;) {
        long n = call3(SYS_WRITE, 1, (long)(l->text + done), (long)(l->used - done));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    l->used = 0;
}

static void send_output(const char *nonce, const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    struct line l;
    l.used = 0;
    add_char(&l, '@');
    add(&l, nonce);
    add_char(&l, ':');
    for (size_t i = 0; i < size; i++) {
        if (data[i] >= ' ' && data[i] < 0x7f && data[i] != '\\') {
            add_char(&l, (char)data[i]);
        } else {
            add_char(&l, '\\');
            add_char(&l, digits[data[i] >> 4]);
            add_char(&l, digits[data[i] & 15]);
        }
    }
    send(&l);
}

static void send_failure(const char *nonce, const char *what)
{
    struct line l;
    l.used = 0;
    add_char(&l, '@');
    add(&l, nonce);
    add_char(&l, '!');
    add(&l, what);
    send(&l);
}

static void run_shell(const char *file, const int *output)
{
    static const char *const environment[] = {"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root", "TERM=linux", NULL};
    const char *const arguments[] = {"/bin/sh", file, NULL};
    call3(SYS_SETSID, 0, 0, 0);
    call3(SYS_DUP2, call3(SYS_OPEN, (long)"/dev/null", 0, 0), 0, 0);
    call3(SYS_DUP2, output[1], 1, 0);
    call3(SYS_DUP2, output[1], 2, 0);
    call3(SYS_CLOSE, output[0], 0, 0);
    call3(SYS_CLOSE, output[1], 0, 0);
    call3(SYS_EXECVE, (long)"/bin/sh", (long)arguments, (long)environment);
    call3(SYS_EXIT, 127, 0, 0);
}

/* Relay until the shell has ended and nothing is left to read; its children may hold the pipe open longer. */
static int relay(int from, long pid, const char *nonce, uint64_t *bytes)
{
    uint8_t data[CHUNK];
    int status = 0, ended = 0;
    for (;;) {
        struct poll_entry p = {from, POLLIN, 0};
        if (call3(SYS_POLL, (long)&p, 1, ended ? 0 : 100) > 0) {
            long n = call3(SYS_READ, from, (long)data, CHUNK);
            if (n > 0) {
                *bytes += (uint64_t)n;
                send_output(nonce, data, (size_t)n);
                continue;
            }
            if (!ended)
                call(SYS_WAIT4, pid, (long)&status, 0, 0, 0, 0);
            return status;
        }
        if (ended)
            return status;
        ended = call(SYS_WAIT4, pid, (long)&status, WNOHANG, 0, 0, 0) == pid;
    }
}

static int run_command(const char *file, const char *nonce)
{
    int output[2];
    if (length(nonce) > 64)
        return 2;
    if (call3(SYS_PIPE, (long)output, 0, 0) < 0) {
        send_failure(nonce, "no pipe");
        return 1;
    }
    long pid = call3(SYS_FORK, 0, 0, 0);
    if (pid == 0)
        run_shell(file, output);
    if (pid < 0) {
        send_failure(nonce, "no process");
        return 1;
    }
    call3(SYS_CLOSE, output[1], 0, 0);
    uint64_t bytes = 0;
    int status = relay(output[0], pid, nonce, &bytes);
    int signal = status & 0x7f;
    struct line l;
    l.used = 0;
    add_char(&l, '@');
    add(&l, nonce);
    add_char(&l, '=');
    add_number(&l, signal ? (uint64_t)(128 + signal) : (uint64_t)(status >> 8 & 0xff));
    add_char(&l, ',');
    add_number(&l, bytes);
    send(&l);
    return 0;
}

static int mark(const char *name)
{
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    struct line l;
    l.used = 0;
    add(&l, "mark ");
    add(&l, name);
    add_char(&l, ' ');
    add_number(&l, (uint64_t)high << 32 | low);
    send(&l);
    return 0;
}

/*
 * A read of a device's PCI configuration is a write to 0xcf8 and a read from 0xcfc. Not by iopl(): QEMU's TCG refuses port
 * access by the permission bitmap to a guest whose task register has the busy type, which KVM sets.
 */
static int work_port(uint64_t count)
{
    uint32_t value;
    long fd = call3(SYS_OPEN, (long)"/sys/bus/pci/devices/0000:00:00.0/config", 0, 0);
    while (count--)
        if (call(SYS_PREAD, fd, (long)&value, sizeof(value), 0, 0, 0) != sizeof(value))
            return 1;
    return 0;
}

static int work_memory(uint64_t count)
{
    long fd = call3(SYS_OPEN, (long)"/dev/mem", O_RDWR | O_SYNC, 0);
    long page = fd < 0 ? -1 : call(SYS_MMAP, 0, 4096, 3, 1, fd, IOAPIC_ADDRESS);
    if (page < 0 && page > -4096)
        return 1;
    volatile uint32_t *registers = (volatile uint32_t *)page;
    while (count--)
        (void)registers[IOAPIC_WINDOW];
    return 0;
}

int agent_main(long count, char **arguments);
int agent_main(long count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";
    if (count == 4 && equal(what, "exec"))
        return run_command(arguments[2], arguments[3]);
    if (count == 3 && equal(what, "mark"))
        return mark(arguments[2]);
    if (count == 4 && equal(what, "work") && equal(arguments[2], "port"))
        return work_port(number(arguments[3]));
    if (count == 4 && equal(what, "work") && equal(arguments[2], "mmio"))
        return work_memory(number(arguments[3]));
    return 2;
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov (%rsp), %rdi\n"
        "    lea 8(%rsp), %rsi\n"
        "    and $-16, %rsp\n"
        "    call agent_main\n"
        "    mov %eax, %edi\n"
        "    mov $60, %eax\n"
        "    syscall\n");
