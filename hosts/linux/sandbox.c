/* SPDX-License-Identifier: MIT */
/* The sandbox. */
#include "hosts/linux/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES_MAX 80u

static bool fail(char *error, size_t size, const char *what, int number)
{
    snprintf(error, size, "%s: %s", what, strerror(number));
    return false;
}

/* --- Files --- */

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Everything from 3 on but what is listed. */
static bool close_files(const int *files, unsigned count)
{
    int sorted[FILES_MAX];
    unsigned from = 3;

    if (count > FILES_MAX) {
        errno = EINVAL;
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        sorted[i] = files[i];
    qsort(sorted, count, sizeof(*sorted), compare);
    for (unsigned i = 0; i < count; i++) {
        unsigned fd = (unsigned)sorted[i];

        if (fd > from && close_range(from, fd - 1, 0) < 0)
            return false;
        if (fd >= from)
            from = fd + 1;
    }
    return close_range(from, ~0u, 0) == 0;
}

/* --- Capabilities --- */

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

    memset(none, 0, sizeof(none));
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
           syscall(SYS_capset, &header, none) == 0;
}

/* --- Landlock (Linux: Documentation/userspace-api/landlock.rst) --- */

/* As of ABI 6; what an older kernel does not know is cut off by `size`. */
struct ruleset {
    uint64_t files;
    uint64_t net;    // ABI 4
    uint64_t scoped; // ABI 6
};

/* A ruleset that handles everything and allows nothing. */
static bool deny_files(int *abi)
{
    /* Number of file access rights that each ABI knows. */
    static const unsigned rights[] = {0, 13, 14, 15, 15, 16};
    long known = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    unsigned n = known > 5 ? 5 : (unsigned)known;
    struct ruleset all = {.net = 3, .scoped = 3};
    size_t size = known >= 6 ? 24 : known >= 4 ? 16 : 8;
    bool good;
    int fd;

    *abi = 0;
    if (known <= 0)
        return known == 0 || errno == ENOSYS || errno == EOPNOTSUPP; // not there, or switched off
    all.files = (1ull << rights[n]) - 1;
    fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (fd < 0)
        return false;
    good = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    *abi = (int)known;
    return good;
}

bool sandbox_restrict(const int *files, unsigned count, int *landlock, char *error, size_t size)
{
    static const struct rlimit none = {0, 0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail(error, size, "no_new_privs", errno);
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return fail(error, size, "no core file", errno);
    if (!close_files(files, count))
        return fail(error, size, "closing files", errno);
    if (!drop_capabilities())
        return fail(error, size, "dropping capabilities", errno);
    if (!deny_files(landlock))
        return fail(error, size, "Landlock", errno);
    return true;
}

/* --- System calls --- */

/*
 * What the threads do while the guest runs, what ends them, what the C library needs for it, and
 * (nanosleep, gettimeofday) what the thread sanitizer's own thread does, and (sched_getaffinity)
 * the address sanitizer in a thread that begins.
 */
static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(timerfd_settime),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep), SCMP_SYS(getrusage), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static int add_request(scmp_filter_ctx filter, uint32_t request)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, request));
}

static int add_all(scmp_filter_ctx filter, const uint32_t *requests, unsigned count)
{
    /* A terminal's settings: TCGETS, and TCSETS with its two variants. */
    static const uint32_t terminal[] = {0x5401, 0x5402, 0x5403, 0x5404};
    int status = 0;

    for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && status == 0; i++)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (unsigned i = 0; i < sizeof(terminal) / sizeof(terminal[0]) && status == 0; i++)
        status = add_request(filter, terminal[i]);
    for (unsigned i = 0; i < count && status == 0; i++)
        status = add_request(filter, requests[i]);
    /* Memory, but no code; private and anonymous, since no file is left to map. */
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                                  SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* Its own end: abort() and SIGSTOP. */
    if (status == 0)
        status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)getpid()));
    return status;
}

bool sandbox_filter(const uint32_t *requests, unsigned count, char *error, size_t size)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int status = filter ? 0 : -ENOMEM;

    if (status == 0)
        status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Calls by another table (32 bits) would only end the thread. */
    if (status == 0)
        status = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (status == 0)
        status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); // a tree, not a list
    if (status == 0)
        status = add_all(filter, requests, count);
    if (status == 0)
        status = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return status == 0 || fail(error, size, "seccomp", -status);
}
