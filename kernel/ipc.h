/* SPDX-License-Identifier: MIT */
/*
 * Calls through portals. A call moves the message into the callee's UTCB and continues there on the
 * caller's time; the reply goes back the same way. A callee that is busy is helped. See abi/utcb.h
 * for messages.
 */
#ifndef KERNEL_IPC_H
#define KERNEL_IPC_H

#include "kernel/object_kinds.h"

/* Entered from syscall.S with all registers saved in the current EC. */
_Noreturn void ipc_call(struct ec *ec);
_Noreturn void ipc_reply(struct ec *ec);

/*
 * `ec` (the current one) waits for a busy callee and gives it its time; false if that would close a
 * circle.
 */
bool ipc_help(struct ec *ec, struct ec *callee) MUST_CHECK;

/*
 * Links caller and idle callee and sets the callee's registers for a call that enters the portal.
 */
void ipc_enter(struct ec *ec, struct ec *callee, const struct pt *pt, uint64_t descriptor);

/*
 * Moves the capabilities of a message (slow path; tree lock held). Returns how many arrived in
 * *count; either all or none.
 */
enum abi_status ipc_move_caps(struct ec *from, struct ec *to, unsigned count) MUST_CHECK;

#endif
