/* SPDX-License-Identifier: MIT */
/*
 * The thread control block: what FS:0 points to in every thread and entry EC of a component or root task. It belongs to whoever
 * made the thread and lives as long as that. Thread-local variables (PT_TLS) lie below it, as the x86-64 psABI has them (variant II).
 */
#ifndef FRAMEWORK_THREAD_SELF_H
#define FRAMEWORK_THREAD_SELF_H

#include "abi/utcb.h"

struct thread_self {
    struct thread_self *self; // FS:0
    struct abi_utcb    *utcb;
    uint32_t            cpu;
    uint32_t            ec;   // selector
    void               *thread; // struct thread of a component's own threads, else NULL
};
_Static_assert(offsetof(struct thread_self, utcb) == 8, "utcb_self() reads it");
_Static_assert(offsetof(struct thread_self, thread) == 24, "thread_first() reads it");
_Static_assert(offsetof(struct thread_self, cpu) == 16, "cpu_self() reads it");

/* The values never change within a thread, so the compiler may reuse them. */
static inline struct abi_utcb *utcb_self(void)
{
    struct abi_utcb *utcb;

    __asm__("mov %%fs:8, %0" : "=r"(utcb));
    return utcb;
}

static inline uint32_t cpu_self(void)
{
    uint32_t cpu;

    __asm__("mov %%fs:16, %0" : "=r"(cpu));
    return cpu;
}

/* Bytes below and including the control block that thread_self_place() needs at the top of a stack, a multiple of 64. */
uint64_t thread_self_size(void);

/* Lay out thread-local variables and the control block at the top of a stack; what lies below the returned address minus what
 * thread_self_size() says is the thread's. top is 64-byte aligned. */
struct thread_self *thread_self_place(uint64_t top, struct abi_utcb *utcb, uint32_t cpu, uint32_t ec);

#endif
