/* SPDX-License-Identifier: MIT */
/*
 * Threads of a component. A thread stays on its CPU. Its stack has an unmapped page below it. A function that returns leaves the thread
 * waiting for ever; thread_end() of another thread takes it away.
 */
#ifndef FRAMEWORK_THREAD_H
#define FRAMEWORK_THREAD_H

#include "framework/memory.h"
#include "framework/thread_self.h"

struct thread {
    struct mapping stack;
    uint64_t      region;      // addresses: guard, stack, UTCB
    uint64_t      region_size;
    uint64_t      stack_top;   // of the thread's function, 16-byte aligned
    uint32_t      ec;          // selector
    uint32_t      time;        // core's id of its scheduling context
    uint32_t      done;        // selector of an SM that is upped when the function returns
    struct thread_self *self;
    void        (*function)(void *argument);
    void         *argument;
};

struct thread_config {
    void       (*function)(void *argument);
    void        *argument;
    unsigned     cpu;
    unsigned     priority;  // 0: the component's
    unsigned     slice_us;  // 0: 10 ms
    uint64_t     stack;     // bytes; 0: 64 KiB
};

/* The structure must stay where it is until thread_end(). */
enum status thread_start(struct thread *thread, const struct thread_config *config) MUST_CHECK;
void thread_end(struct thread *thread);

/* Wait for the function's return. */
enum status thread_join(struct thread *thread, uint64_t deadline) MUST_CHECK;

/* A local EC: code that runs on its callers' time only (framework/entrypoint.h). */
enum status thread_local_ec(struct thread *thread, unsigned cpu, uint64_t stack) MUST_CHECK;

#endif
