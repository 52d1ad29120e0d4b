/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls other than call and reply: decoding (abi/hypercall.h). Each handler decodes its arguments from the EC's registers, looks capabilities
 * up, reserves what it needs and only then commits.
 */
#ifndef KERNEL_HYPERCALL_H
#define KERNEL_HYPERCALL_H

#include "kernel/ec.h"

/* RAX and RSI of the caller. */
struct result {
    uint64_t status;
    uint64_t value;
};

static inline struct result status_result(enum abi_status status)
{
    return (struct result){status, 0};
}

static inline unsigned hypercall_flags(const struct ec *ec)
{
    return ec->regs.rdi >> 8 & 0xff;
}

static inline uint64_t hypercall_sel(const struct ec *ec)
{
    return ec->regs.rdi >> 16;
}

/* Called by syscall.S with all registers of the current EC saved. */
struct result hypercall(struct ec *ec);

/* The end of a hypercall that does not go back by returning. */
_Noreturn void hypercall_finish(struct ec *ec, enum abi_status status, uint64_t value, uint64_t second);

/* Tree lock held: an object that is not going away. */
struct object *live_object(const struct ec *ec, uint64_t sel, enum object_type type, unsigned perms);
struct space *live_space(const struct ec *ec, uint64_t sel, unsigned perms);

/* create.c: ABI_CREATE_*. */
struct result create(struct ec *ec);

/* derive.c: ABI_DELEGATE, ABI_REVOKE. */
struct result derive_delegate(struct ec *ec);
struct result derive_revoke(struct ec *ec);

/* vcpu_run.c: ABI_VCPU_RUN and the vCPU part of ABI_CTRL_EC. */
struct result vcpu_run(struct ec *ec);
enum abi_status vcpu_fetch(struct ec *vcpu, uint64_t groups);

/* debug.c: abi/debug.h in the assertion build, else no such call. */
struct result debug_call(struct ec *ec);

#endif
