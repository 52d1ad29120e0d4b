/* SPDX-License-Identifier: MIT */
/*
 * A server in a PD of its own, on one CPU: what arrives there is paid by that PD, and its window is its own. Its code is remote_code of
 * entry.S, which needs neither stack nor memory but its UTCB.
 */
#ifndef TESTS_KERNEL_REMOTE_H
#define TESTS_KERNEL_REMOTE_H

#include "ktest.h"

/* Selectors, from that of the PD on. */
enum remote_selector { REMOTE_PD, REMOTE_OBJ, REMOTE_HST, REMOTE_EC, REMOTE_ECHO, REMOTE_OPEN, REMOTE_REPLY, REMOTE_SELECTORS };

#define REMOTE_CODE 0x400000ull
#define REMOTE_UTCB 0x500000ull

bool remote_create(uint64_t sel, uint64_t frames, uint64_t cpu);
/* Sets the receive window of its UTCB, by a call from this thread, whose own UTCB is given. */
uint64_t remote_open(uint64_t sel, struct abi_utcb *own, uint64_t base, uint64_t count);
/* It replies with this descriptor and these flags, and tells the status of a reply that failed; OK if it did not. */
uint64_t remote_reply(uint64_t sel, const struct abi_utcb *own, uint32_t descriptor, uint8_t flags);
/* Leaves it without a free frame, and with no place for an object: `fill` are 32 selectors for what takes the last places. */
void remote_impoverish(uint64_t sel, uint64_t fill);

#endif
