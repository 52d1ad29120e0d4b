/* SPDX-License-Identifier: MIT */
/*
 * Kernel tests: a root task that has the machine to itself and speaks TAP on port 0xe9 and the first serial line.
 *
 * A suite is a function that calls check() and its kin; everything it makes it takes away again, and the runner compares the
 * root PD's quota before and after. Addresses and selectors come from the fixed areas below.
 */
#ifndef TESTS_KERNEL_KTEST_H
#define TESTS_KERNEL_KTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/info.h"
#include "abi/utcb.h"
#include "abi/vcpu.h"
#include "call.h"

#define OWN_PD  ABI_SEL_ROOT_PD
#define OWN_OBJ ABI_SEL_ROOT_OBJ
#define OWN_HST ABI_SEL_ROOT_HST
#define OWN_PIO ABI_SEL_ROOT_PIO

/* Host addresses that suites may use. */
#define TEST_UTCBS  0x0000000010000000ull // UTCB and state pages: TEST_UTCBS + n * 4096
#define TEST_MEMORY 0x0000000020000000ull // delegated memory; 2 MiB aligned
#define PAGE        4096ull

extern const struct abi_info *test_info;

/* Records one result; `what` names the case, shown with the line when it fails. */
void check_at(const char *file, int line, bool good, const char *what);
#define check(condition) check_at(__FILE__, __LINE__, (condition), #condition)
void check_is_at(const char *file, int line, uint64_t got, uint64_t want, const char *what);
#define check_is(got, want) check_is_at(__FILE__, __LINE__, (got), (want), #got)
/* A case that this machine cannot run: counted and shown with its reason. */
void check_skip(const char *what, const char *why);
void note(const char *text, uint64_t value);
/* Prints `figure NAME VALUE`. */
void figure(const char *name, uint64_t value);

/* A free selector range above ABI_SEL_FREE for a suite; reset by the runner before each suite. */
uint64_t sel_take(unsigned count);
/* A physically contiguous run of unused frames, 2 MiB aligned if it is that large; page number. Never given back. */
uint64_t frames_take(uint64_t count);
/* The frames of the last call of frames_take by a suite are reused by the next suite. */
void frames_reset(void);

/*
 * A server: a local EC whose portals call `handler` with portal id and message descriptor; what it returns is the descriptor of
 * the reply. The stack top holds the handler's address.
 */
typedef uint64_t (*portal_handler)(uint64_t id, uint64_t mtd);
/* Prepares a stack of its own for a server (or, with thread_stack, for a thread) and returns the RSP to create the EC with. */
uint64_t server_stack(portal_handler handler);
uint64_t thread_stack(void (*entry)(uint64_t));
void stacks_reset(void);
/* Entry points in entry.S. */
extern char portal_entry[], thread_entry[], fault_here[];

static inline struct abi_utcb *utcb_root(void)
{
    return (struct abi_utcb *)ABI_ROOT_UTCB;
}

static inline uint64_t utcb_address(unsigned n)
{
    return TEST_UTCBS + n * PAGE;
}

static inline struct abi_utcb *utcb_at(unsigned n)
{
    return (struct abi_utcb *)utcb_address(n);
}

/* TSC ticks of so many microseconds. */
static inline uint64_t ticks(uint64_t microseconds)
{
    return microseconds * test_info->tsc_khz / 1000;
}

/* With assertions: the kernel looks whether all its invariants hold. */
void kernel_check(void);
/* Free frames of the pool, living objects and nodes, digest of the derivation tree and all accounts; 0 without assertions. */
struct kernel_state {
    uint64_t frames, objects, digest;
};
struct kernel_state kernel_state(void);

/* A child PD with OBJ and HST space at sel, sel + 1, sel + 2. */
bool child_create(uint64_t sel, uint64_t frames);

/* The suites. */
void suite_info(void);
void suite_status(void);
void suite_pd(void);
void suite_delegate(void);
void suite_revoke(void);
void suite_ipc(void);
void suite_semaphore(void);
void suite_event(void);
void suite_isolation(void);
void suite_interrupt(void);
void suite_smp(void);
void suite_vcpu(void);
void suite_tags(void);
void suite_memory_failure(void);
void suite_random(void);
void suite_bench(void);

/* Options of the root module's string: "name=VALUE", decimal or 0x; 0 if absent. */
uint64_t option(const char *name, uint64_t otherwise);

#endif
