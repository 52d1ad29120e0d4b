/* SPDX-License-Identifier: MIT */
/* The sandbox: what it lets through, and that everything else ends the process. */
#include "hosts/linux/sandbox.h"
#include "tests/unit/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define BAD 99 // a child's status: the sandbox could not be set up

typedef void deed_fn(void);

/* Only raw calls: nothing of a sanitizer's between the deed and the filter. */
static void opens(void)      { syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }
static void opens_old(void)  { syscall(SYS_open, "/etc/passwd", O_RDONLY); }
static void connects(void)   { syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }
static void forks(void)      { syscall(SYS_fork); }
static void clones(void)     { syscall(SYS_clone3, NULL, 0); }
static void executes(void)   { syscall(SYS_execve, "/bin/true", NULL, NULL); }
static void traces(void)     { syscall(SYS_ptrace, 0, 0, 0, 0); }
static void kills(void)      { syscall(SYS_kill, getppid(), 0); }
static void kills_other(void){ syscall(SYS_tgkill, 1, 1, 0); }
static void peeks(void)      { syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0); }
static void mounts(void)     { syscall(SYS_mount, NULL, NULL, NULL, 0, NULL); }
static void pushes(void)     { syscall(SYS_ioctl, 0, TIOCSTI, "x"); } // types into the terminal
static void limits(void)     { syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); }
static void uring(void)      { syscall(SYS_io_uring_setup, 1, NULL); }

static void maps_code(void)
{
    syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void makes_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

/* A system call of the 32-bit table, where 5 is open and 1 exit. */
static void enters_by_32_bits(void)
{
    long result = 20; // getpid

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
}

/* The deed's process: its wait status. */
static int after(deed_fn *deed)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        char error[160];
        int landlock;

        if (!sandbox_restrict(NULL, 0, &landlock, error, sizeof(error)) ||
            !sandbox_filter(NULL, 0, error, sizeof(error)))
            _exit(BAD);
        deed();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

static void forbidden(void)
{
    static const struct {
        const char *name;
        deed_fn *deed;
    } deeds[] = {
        {"openat", opens}, {"open", opens_old}, {"socket", connects}, {"fork", forks},
        {"clone3", clones}, {"execve", executes}, {"ptrace", traces},
        {"kill", kills}, {"tgkill of another process", kills_other}, {"process_vm_readv", peeks},
        {"mount", mounts}, {"ioctl TIOCSTI", pushes}, {"prctl", limits}, {"io_uring", uring},
        {"mmap of code", maps_code}, {"mprotect to code", makes_code},
        {"a 32-bit system call", enters_by_32_bits},
    };

    for (unsigned i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        int status = after(deeds[i].deed);

        if (!ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: killed", deeds[i].name))
            tap_note("wait status %x", status);
        ok(!WCOREDUMP(status), "%s: without a core file", deeds[i].name);
    }
}

/* What a running machine does. */
static void works(void)
{
    static const struct timespec moment = {0, 1000};
    struct termios settings;
    struct rusage usage;
    char *memory = malloc(1 << 20), *more;

    if (!memory)
        _exit(1);
    more = realloc(memory, 4 << 20);
    if (!more)
        _exit(2);
    memset(more, 1, 4 << 20);
    free(more);
    if (clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) != 0)
        _exit(3);
    if (tcgetattr(0, &settings) == 0)
        _exit(4); // it is no terminal here, and the call may say so
    if (getrusage(RUSAGE_SELF, &usage) < 0 || sched_yield() < 0)
        _exit(5);
    if (write(1, "", 0) < 0)
        _exit(6);
}

static void aborts(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void allowed(void)
{
    int status = after(works);

    if (!ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "what a machine does is allowed"))
        tap_note("wait status %x", status);
    status = after(aborts);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "abort() ends by its own signal");
}

/* --- Threads: those that were there before are filtered too --- */

struct other {
    pthread_barrier_t gate;
    deed_fn *deed;
};

static void asks_for_user(void) { syscall(SYS_getuid); }

static void *other_thread(void *argument)
{
    struct other *other = argument;

    pthread_barrier_wait(&other->gate);
    pthread_barrier_wait(&other->gate);
    other->deed();
    return NULL;
}

static void thread_does(deed_fn *deed, const char *name)
{
    struct other other = {.deed = deed};
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        pthread_t thread;
        char error[160];
        int landlock;

        pthread_barrier_init(&other.gate, NULL, 2);
        if (!sandbox_restrict(NULL, 0, &landlock, error, sizeof(error)) ||
            pthread_create(&thread, NULL, other_thread, &other) != 0)
            _exit(BAD);
        pthread_barrier_wait(&other.gate);
        if (!sandbox_filter(NULL, 0, error, sizeof(error)))
            _exit(BAD);
        pthread_barrier_wait(&other.gate);
        pthread_join(thread, NULL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "another thread's %s: all killed", name);
}

/* --- Before the filter --- */

static bool has_capability(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) < 0)
        return true;
    return data[0].effective || data[0].permitted || data[0].inheritable || data[1].effective ||
           data[1].permitted || data[1].inheritable;
}

/* Bits of what is wrong. *landlock is told through the pipe. */
static int look(int *landlock)
{
    int kept = dup(1), other = dup(1), files[] = {kept}, wrong = 0;
    struct rlimit core;
    char error[160];

    if (!sandbox_restrict(files, 1, landlock, error, sizeof(error)))
        return BAD;
    wrong |= fcntl(kept, F_GETFD) < 0 || fcntl(2, F_GETFD) < 0 ? 1 : 0;
    wrong |= fcntl(other, F_GETFD) >= 0 ? 2 : 0;
    wrong |= has_capability() ? 4 : 0;
    wrong |= prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ? 8 : 0;
    wrong |= prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 ? 16 : 0;
    wrong |= getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0 ? 32 : 0;
    if (*landlock)
        wrong |= open("/etc/passwd", O_RDONLY) >= 0 || open("/tmp", O_RDONLY) >= 0 ? 64 : 0;
    return wrong;
}

static void restricted(void)
{
    int *landlock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    int status = 0, wrong;

    if (child == 0)
        _exit(look(landlock));
    waitpid(child, &status, 0);
    wrong = WEXITSTATUS(status);
    ok(WIFEXITED(status) && wrong != BAD, "the sandbox can be set up");
    ok(!(wrong & 1), "the files that are needed stay open");
    ok(!(wrong & 2), "others are closed");
    ok(!(wrong & 4), "no capability");
    ok(!(wrong & 8), "no new privileges");
    ok(!(wrong & 16), "not traceable");
    ok(!(wrong & 32), "no core file");
    ok(!(wrong & 64), "no file can be opened (Landlock ABI %d; 0: this kernel has none)",
       *landlock);
}

int main(void)
{
    restricted();
    forbidden();
    allowed();
    thread_does(asks_for_user, "forbidden call");
    thread_does(enters_by_32_bits, "32-bit call");
    return tap_done();
}
