/* SPDX-License-Identifier: MIT */
/*
 * The UTCB: one page that a thread shares with the kernel, for messages. The kernel copies only what a descriptor names.
 *
 * Message descriptor (RSI of call and reply): bits 0-8 number of words, 0 to ABI_UTCB_WORDS; bit 16 the message carries
 * capabilities (tested once on the fast path), bits 20-23 how many, 1 to ABI_UTCB_CAPS. All other bits zero.
 * Sender: send[i] = selector << 8 | permissions. A capability that was derived from one in the receiver's own space is not
 * delegated but translated: the receiver finds its own selector. All others land in the receiver's window, in order, at
 * window_base, window_base + 1, ...; window_count bounds them. Receiver: recv[i] = selector << 8 | permissions | ABI_CAP_TRANSLATED.
 * The window is read when the message is delivered and closed (count 0) by a delivery that used it.
 *
 * Event message (exception, recall): word[] holds struct abi_event; the descriptor's word count covers the groups of the portal
 * (ABI_CTRL_PT); the reply's word 0 names the groups to write back. RIP, RSP, RFLAGS and vectors are validated.
 */
#ifndef ABI_UTCB_H
#define ABI_UTCB_H

#include <stddef.h>
#include <stdint.h>

#define ABI_UTCB_WORDS 448u
#define ABI_UTCB_CAPS  8u
#define ABI_MSG_WORDS  0x1ffu
#define ABI_MSG_CAPS   0x10000u
#define ABI_MSG_CAP_SHIFT 20
#define ABI_CAP_TRANSLATED (1ull << 63)

struct abi_utcb {
    uint64_t word[ABI_UTCB_WORDS];
    uint64_t window_base;
    uint64_t window_count;
    uint64_t send[ABI_UTCB_CAPS];
    uint64_t recv[ABI_UTCB_CAPS];
    uint64_t user[46]; // the kernel never touches these: for the component's startup library (TLS and so on)
};
_Static_assert(sizeof(struct abi_utcb) == 4096, "UTCB is one page");
_Static_assert(offsetof(struct abi_utcb, window_base) == 3584, "layout");

#define ABI_EVENT_GROUP_GPR 1u // all general registers
#define ABI_EVENT_GROUP_IP  2u // RIP, RSP, RFLAGS
/* An event always carries vector, error and cr2. */
struct abi_event {
    uint64_t groups; // in the message: groups transferred; in the reply: groups to write back
    uint64_t vector; // 0-31 exception, ABI_EVENT_RECALL
    uint64_t error;
    uint64_t cr2;
    uint64_t rip, rsp, rflags;
    uint64_t gpr[16]; // by encoding: RAX RCX RDX RBX RSP(unused) RBP RSI RDI R8-R15
};
_Static_assert(sizeof(struct abi_event) == 23 * 8, "layout");

#endif
