/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls as inline functions, one each, with the names and arguments of abi/hypercall.h. A selector or address that does not
 * fit its field is the caller's error; the kernel answers it. No function here touches the UTCB.
 */
#ifndef FRAMEWORK_HYPERCALL_H
#define FRAMEWORK_HYPERCALL_H

#include "abi/hypercall.h"
#include "abi/status.h"

#include <stdint.h>

#define HYPERCALL static inline __attribute__((always_inline)) enum abi_status

static inline __attribute__((always_inline))
uint64_t hypercall_target(uint64_t number, uint64_t flags, uint64_t selector)
{
    return selector << 16 | flags << 8 | number;
}

/* The registers of a call: a and b are RSI and RDX, in and out. */
HYPERCALL hypercall_1(uint64_t target, uint64_t *a)
{
    uint64_t rax;

    __asm__ volatile("syscall" : "=a"(rax), "+D"(target), "+S"(*a)
                     : : "rdx", "rcx", "r8", "r9", "r10", "r11", "memory");
    return (enum abi_status)rax;
}

HYPERCALL hypercall_2(uint64_t target, uint64_t *a, uint64_t *b)
{
    uint64_t rax;

    __asm__ volatile("syscall" : "=a"(rax), "+D"(target), "+S"(*a), "+d"(*b)
                     : : "rcx", "r8", "r9", "r10", "r11", "memory");
    return (enum abi_status)rax;
}

HYPERCALL hypercall_6(uint64_t target, uint64_t *a, uint64_t *b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    register uint64_t r8 __asm__("r8") = d;
    register uint64_t r9 __asm__("r9") = e;
    register uint64_t r10 __asm__("r10") = f;

    __asm__ volatile("syscall" : "+a"(c), "+D"(target), "+S"(*a), "+d"(*b), "+r"(r8), "+r"(r9), "+r"(r10)
                     : : "rcx", "r11", "memory");
    return (enum abi_status)c;
}

/* *message: descriptor of the call, then of the reply. */
HYPERCALL hc_call(uint64_t portal, uint64_t *message)
{
    return hypercall_1(hypercall_target(ABI_IPC_CALL, 0, portal), message);
}

HYPERCALL hc_call_nowait(uint64_t portal, uint64_t *message)
{
    return hypercall_1(hypercall_target(ABI_IPC_CALL, ABI_CALL_NOWAIT, portal), message);
}

HYPERCALL hc_create_pd(uint64_t sel, uint64_t parent, uint64_t frames)
{
    return hypercall_2(hypercall_target(ABI_CREATE_PD, 0, sel), &parent, &frames);
}

HYPERCALL hc_create_space(uint64_t sel, enum abi_space kind, uint64_t pd)
{
    return hypercall_1(hypercall_target(ABI_CREATE_SPACE, kind, sel), &pd);
}

HYPERCALL hc_create_thread(uint64_t sel, uint64_t pd, uint64_t utcb, unsigned cpu, uint64_t rsp, uint64_t rip,
                           uint64_t event_base, uint64_t fs_base)
{
    uint64_t page = utcb | cpu;

    return hypercall_6(hypercall_target(ABI_CREATE_EC, ABI_EC_THREAD, sel), &pd, &page, rsp, event_base, rip, fs_base);
}

HYPERCALL hc_create_local(uint64_t sel, uint64_t pd, uint64_t utcb, unsigned cpu, uint64_t rsp, uint64_t event_base,
                          uint64_t fs_base)
{
    uint64_t page = utcb | cpu;

    return hypercall_6(hypercall_target(ABI_CREATE_EC, ABI_EC_LOCAL, sel), &pd, &page, rsp, event_base, 0, fs_base);
}

/* pio and msr: ~0ull for none. */
HYPERCALL hc_create_vcpu(uint64_t sel, uint64_t pd, uint64_t state, unsigned cpu, uint64_t gst, uint64_t pio, uint64_t msr)
{
    uint64_t page = state | cpu;

    return hypercall_6(hypercall_target(ABI_CREATE_EC, ABI_EC_VCPU, sel), &pd, &page, gst, pio, msr, 0);
}

/* cpus: a mask of those allowed, 0 for all. */
HYPERCALL hc_create_sc(uint64_t sel, uint64_t pd, uint64_t ec, unsigned priority, unsigned slice_us, uint64_t cpus)
{
    return hypercall_6(hypercall_target(ABI_CREATE_SC, 0, sel), &pd, &ec, priority | (uint64_t)slice_us << 8, cpus, 0, 0);
}

HYPERCALL hc_create_portal(uint64_t sel, uint64_t pd, uint64_t ec, uint64_t rip, uint64_t id)
{
    return hypercall_6(hypercall_target(ABI_CREATE_PT, 0, sel), &pd, &ec, rip, id, 0, 0);
}

HYPERCALL hc_create_sm(uint64_t sel, uint64_t pd, uint64_t count)
{
    return hypercall_2(hypercall_target(ABI_CREATE_SM, 0, sel), &pd, &count);
}

/* *count: units asked for, then units delegated. */
HYPERCALL hc_delegate(uint64_t from, uint64_t to, uint64_t from_base, uint64_t to_base, uint64_t *count, unsigned perms)
{
    uint64_t base = from_base;
    enum abi_status status = hypercall_6(hypercall_target(ABI_DELEGATE, 0, from), &to, &base, to_base, *count, perms, 0);

    *count = status == ABI_OK ? to : 0;
    return status;
}

HYPERCALL hc_revoke(uint64_t space, uint64_t base, uint64_t count)
{
    return hypercall_2(hypercall_target(ABI_REVOKE, 0, space), &base, &count);
}

/* Takes the range itself too: destroys the objects that were made there. */
HYPERCALL hc_remove(uint64_t space, uint64_t base, uint64_t count)
{
    return hypercall_2(hypercall_target(ABI_REVOKE, ABI_REVOKE_SELF, space), &base, &count);
}

HYPERCALL hc_quota_give(uint64_t pd, uint64_t child, uint64_t frames)
{
    return hypercall_2(hypercall_target(ABI_CTRL_PD, ABI_PD_QUOTA_GIVE, pd), &child, &frames);
}

HYPERCALL hc_quota_take(uint64_t pd, uint64_t child, uint64_t frames)
{
    return hypercall_2(hypercall_target(ABI_CTRL_PD, ABI_PD_QUOTA_TAKE, pd), &child, &frames);
}

HYPERCALL hc_quota_query(uint64_t pd, uint64_t *used, uint64_t *limit)
{
    *used = *limit = 0;
    return hypercall_2(hypercall_target(ABI_CTRL_PD, ABI_PD_QUOTA_QUERY, pd), used, limit);
}

HYPERCALL hc_recall(uint64_t ec)
{
    uint64_t unused = 0;

    return hypercall_1(hypercall_target(ABI_CTRL_EC, ABI_EC_RECALL, ec), &unused);
}

HYPERCALL hc_fetch(uint64_t vcpu, uint64_t groups)
{
    return hypercall_1(hypercall_target(ABI_CTRL_EC, ABI_EC_FETCH, vcpu), &groups);
}

HYPERCALL hc_fs_base(uint64_t ec, uint64_t base)
{
    return hypercall_1(hypercall_target(ABI_CTRL_EC, ABI_EC_FS_BASE, ec), &base);
}

HYPERCALL hc_sc_time(uint64_t sc, uint64_t *ticks)
{
    *ticks = 0;
    return hypercall_1(hypercall_target(ABI_CTRL_SC, 0, sc), ticks);
}

HYPERCALL hc_ctrl_portal(uint64_t portal, uint64_t id, uint64_t groups)
{
    return hypercall_2(hypercall_target(ABI_CTRL_PT, 0, portal), &id, &groups);
}

HYPERCALL hc_up(uint64_t sm)
{
    uint64_t unused = 0;

    return hypercall_1(hypercall_target(ABI_CTRL_SM, ABI_SM_UP, sm), &unused);
}

/* deadline: absolute TSC, 0 for none. flags: ABI_SM_ALL, ABI_SM_MASKED. */
HYPERCALL hc_down(uint64_t sm, uint64_t flags, uint64_t deadline)
{
    return hypercall_1(hypercall_target(ABI_CTRL_SM, ABI_SM_DOWN | flags, sm), &deadline);
}

/* *reason: the exit. */
HYPERCALL hc_vcpu_run(uint64_t vcpu, uint64_t *reason)
{
    uint64_t rax, target = hypercall_target(ABI_VCPU_RUN, 0, vcpu);

    __asm__ volatile("syscall" : "=a"(rax), "+D"(target), "=S"(*reason)
                     : : "rdx", "rcx", "r8", "r9", "r10", "r11", "memory");
    return (enum abi_status)rax;
}

/* *cpu becomes the MSI address, *flags the MSI data. */
HYPERCALL hc_assign_int(uint64_t sm, uint64_t *cpu, uint64_t *flags)
{
    return hypercall_2(hypercall_target(ABI_ASSIGN_INT, 0, sm), cpu, flags);
}

HYPERCALL hc_assign_dev(uint64_t dma, uint64_t bdf)
{
    return hypercall_1(hypercall_target(ABI_ASSIGN_DEV, 0, dma), &bdf);
}

#undef HYPERCALL

#endif
