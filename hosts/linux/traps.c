/* SPDX-License-Identifier: MIT */
/* Signals of translated code. */
#include "hosts/linux/traps.h"

#include "vmm/engines/recompiler/recompiler.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK_SIZE (64u << 10) // a signal frame with AVX-512 is 3 KiB

static _Thread_local struct engine *running;

static const int signals[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS};

static void handle(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *regs = u->uc_mcontext.gregs;
    uint64_t to = 0;

    (void)info;
    if (running)
        to = recompiler_trap(running, (uint64_t)regs[REG_RIP], (uint64_t)regs[REG_RSP],
                             (uint64_t)regs[REG_EFL]);
    if (to)
        regs[REG_RIP] = (greg_t)to;
    else
        signal(number, SIG_DFL); // and the instruction faults again
}

bool traps_install(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (sigaction(signals[i], &action, NULL) < 0)
            return false;
    return true;
}

bool traps_begin_thread(struct engine *engine)
{
    stack_t stack = {.ss_size = STACK_SIZE};

    stack.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);
    running = engine;
    return stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0;
}
