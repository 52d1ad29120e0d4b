/* SPDX-License-Identifier: MIT */
/* The raw hypercall, with every register in the test's hand: a test must be able to pass what no stub would. */
#ifndef TESTS_KERNEL_CALL_H
#define TESTS_KERNEL_CALL_H

#include <stdint.h>

#include "abi/hypercall.h"
#include "abi/status.h"

struct call {
    uint64_t rsi, rdx, rax, r8, r9, r10; // arguments; rsi and rdx come back as results
};

static inline uint64_t call_raw(uint64_t rdi, struct call *c)
{
    register uint64_t r8 __asm__("r8") = c->r8;
    register uint64_t r9 __asm__("r9") = c->r9;
    register uint64_t r10 __asm__("r10") = c->r10;
    uint64_t rax = c->rax, rsi = c->rsi, rdx = c->rdx;
    __asm__ volatile("syscall"
                     : "+a"(rax), "+S"(rsi), "+d"(rdx), "+D"(rdi), "+r"(r8), "+r"(r9), "+r"(r10)
                     :
                     : "rcx", "r11", "memory");
    c->rsi = rsi;
    c->rdx = rdx;
    return rax;
}

static inline uint64_t call_id(uint64_t number, uint64_t flags, uint64_t sel)
{
    return sel << 16 | flags << 8 | number;
}

static inline uint64_t create_pd(uint64_t sel, uint64_t parent, uint64_t frames)
{
    struct call c = {.rsi = parent, .rdx = frames};
    return call_raw(call_id(ABI_CREATE_PD, 0, sel), &c);
}

static inline uint64_t create_space(uint64_t sel, uint64_t pd, uint64_t kind)
{
    struct call c = {.rsi = pd};
    return call_raw(call_id(ABI_CREATE_SPACE, kind, sel), &c);
}

static inline uint64_t create_local(uint64_t sel, uint64_t pd, uint64_t utcb, uint64_t cpu, uint64_t sp, uint64_t events)
{
    struct call c = {.rsi = pd, .rdx = utcb | cpu, .rax = sp, .r8 = events};
    return call_raw(call_id(ABI_CREATE_EC, ABI_EC_LOCAL, sel), &c);
}

static inline uint64_t create_thread(uint64_t sel, uint64_t pd, uint64_t utcb, uint64_t cpu, uint64_t sp, uint64_t events,
                                     uint64_t ip)
{
    struct call c = {.rsi = pd, .rdx = utcb | cpu, .rax = sp, .r8 = events, .r9 = ip};
    return call_raw(call_id(ABI_CREATE_EC, ABI_EC_THREAD, sel), &c);
}

static inline uint64_t create_vcpu(uint64_t sel, uint64_t pd, uint64_t page, uint64_t cpu, uint64_t gst, uint64_t pio,
                                   uint64_t msr)
{
    struct call c = {.rsi = pd, .rdx = page | cpu, .rax = gst, .r8 = pio, .r9 = msr};
    return call_raw(call_id(ABI_CREATE_EC, ABI_EC_VCPU, sel), &c);
}

static inline uint64_t create_sc(uint64_t sel, uint64_t pd, uint64_t ec, uint64_t prio, uint64_t slice_us)
{
    struct call c = {.rsi = pd, .rdx = ec, .rax = prio | slice_us << 8};
    return call_raw(call_id(ABI_CREATE_SC, 0, sel), &c);
}

static inline uint64_t create_sc_on(uint64_t sel, uint64_t pd, uint64_t ec, uint64_t cpus)
{
    struct call c = {.rsi = pd, .rdx = ec, .rax = 1 | 1000 << 8, .r8 = cpus};
    return call_raw(call_id(ABI_CREATE_SC, 0, sel), &c);
}

static inline uint64_t create_pt(uint64_t sel, uint64_t pd, uint64_t ec, uint64_t ip, uint64_t id)
{
    struct call c = {.rsi = pd, .rdx = ec, .rax = ip, .r8 = id};
    return call_raw(call_id(ABI_CREATE_PT, 0, sel), &c);
}

static inline uint64_t create_sm(uint64_t sel, uint64_t pd, uint64_t count)
{
    struct call c = {.rsi = pd, .rdx = count};
    return call_raw(call_id(ABI_CREATE_SM, 0, sel), &c);
}

/* Returns the status; *done, if given, the number of units. */
static inline uint64_t delegate(uint64_t from, uint64_t to, uint64_t src, uint64_t dst, uint64_t count, uint64_t perms,
                                uint64_t *done)
{
    struct call c = {.rsi = to, .rdx = src, .rax = dst, .r8 = count, .r9 = perms};
    uint64_t status = call_raw(call_id(ABI_DELEGATE, 0, from), &c);
    if (done)
        *done = c.rsi;
    return status;
}

static inline uint64_t revoke(uint64_t space, uint64_t base, uint64_t count, uint64_t flags)
{
    struct call c = {.rsi = base, .rdx = count};
    return call_raw(call_id(ABI_REVOKE, flags, space), &c);
}

static inline uint64_t quota_query(uint64_t pd, uint64_t *used, uint64_t *limit)
{
    struct call c = {0};
    uint64_t status = call_raw(call_id(ABI_CTRL_PD, ABI_PD_QUOTA_QUERY, pd), &c);
    if (used)
        *used = c.rsi;
    if (limit)
        *limit = c.rdx;
    return status;
}

static inline uint64_t quota_move(uint64_t op, uint64_t pd, uint64_t child, uint64_t frames)
{
    struct call c = {.rsi = child, .rdx = frames};
    return call_raw(call_id(ABI_CTRL_PD, op, pd), &c);
}

static inline uint64_t sm_up(uint64_t sm)
{
    struct call c = {0};
    return call_raw(call_id(ABI_CTRL_SM, ABI_SM_UP, sm), &c);
}

static inline uint64_t sm_down(uint64_t sm, uint64_t flags, uint64_t deadline, uint64_t *taken)
{
    struct call c = {.rsi = deadline};
    uint64_t status = call_raw(call_id(ABI_CTRL_SM, ABI_SM_DOWN | flags, sm), &c);
    if (taken)
        *taken = c.rsi;
    return status;
}

static inline uint64_t ipc_call(uint64_t pt, uint64_t flags, uint64_t *mtd)
{
    struct call c = {.rsi = *mtd};
    uint64_t status = call_raw(call_id(ABI_IPC_CALL, flags, pt), &c);
    *mtd = c.rsi;
    return status;
}

static inline uint64_t vcpu_run(uint64_t vcpu, uint64_t *reason)
{
    struct call c = {0};
    uint64_t status = call_raw(call_id(ABI_VCPU_RUN, 0, vcpu), &c);
    *reason = c.rsi;
    return status;
}

static inline uint64_t ctrl_ec(uint64_t op, uint64_t ec, uint64_t argument)
{
    struct call c = {.rsi = argument};
    return call_raw(call_id(ABI_CTRL_EC, op, ec), &c);
}

static inline uint64_t tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

#endif
