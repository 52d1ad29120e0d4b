/* SPDX-License-Identifier: MIT */
/*
 * Delivery of an event to the guest's handler by the interpreter, for engines that have no
 * processor to do it (SDM volume 3, chapter 6; APM volume 2, chapter 8).
 */
#ifndef VMM_CPU_DELIVER_H
#define VMM_CPU_DELIVER_H

#include "vmm/cpu/interp.h"

/*
 * Deliver `event` (EVENTINJ format: an interrupt, NMI or exception; software interrupts are
 * executed instead). The frame returns to RIP as it is. INTERP_FAULT: nothing but accessed bits and
 * memory below the stack pointer has changed, or a task gate's new task (interp->switched) has the
 * fault; `fault` is to be delivered by the rules of double faults. Called between two steps by the
 * vCPU's own thread.
 */
enum interp_status interp_deliver(struct interp *interp, uint64_t event) INTERP_MUST_CHECK;

#endif
