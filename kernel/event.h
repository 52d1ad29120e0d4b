/* SPDX-License-Identifier: MIT */
/*
 * Events: an exception or a recall of a thread becomes a call to the portal event_base + number,
 * made by the kernel. A thread without such a portal stops (a recall is dropped instead).
 */
#ifndef KERNEL_EVENT_H
#define KERNEL_EVENT_H

#include "kernel/ec.h"

/* The current EC has a hazard: handles it. Returns if the EC can go on. */
void event_hazard(struct ec *ec);

/*
 * The handler's reply to an event of `ec`: takes over the groups that word 0 names, from the
 * handler's UTCB.
 */
enum abi_status event_reply(struct ec *ec, const struct abi_utcb *utcb, unsigned words) MUST_CHECK;

#endif
