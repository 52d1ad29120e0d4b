/* SPDX-License-Identifier: MIT */
/*
 * What the entry code of exceptions and interrupts calls. Interrupts are off; the stack is the
 * CPU's. They come from user level (the registers of the current EC are saved in it), or in a
 * window of the kernel's (idle, preemption points), where the handler returns into it.
 */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include "kernel/ec.h"

/* An exception at user level, registers saved in ec (the current one). */
_Noreturn void trap_exception(struct ec *ec, uint64_t vector, uint64_t error, uint64_t cr2);

/* Pieces of an interrupt: acknowledge it, call one of these, then trap_return(). */
void timer_expired(void);
void interrupt_fired(unsigned source); // a pin (below pin_count), or pin_count + number of an MSI
void rendezvous_serve(void);
void wake_serve(void);

/* The end of every interrupt from user level: go on with the current EC, or schedule. */
_Noreturn void trap_return(void);

/*
 * SYSCALL enters here (MSR LSTAR), kernel/syscall.S. STAR: kernel CS 0x08, SS 0x10; user SS 0x23,
 * CS 0x2b. SFMASK clears all but bit 1.
 */
void syscall_entry(void);

#endif
