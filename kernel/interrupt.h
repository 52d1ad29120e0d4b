/* SPDX-License-Identifier: MIT */
/*
 * Interrupt sources and inter-processor interrupts.
 *
 * Sources are numbered: I/O APIC pins first (global system interrupts 0 to pin_count - 1), then message-signalled ones. When a source fires, the CPU
 * it is routed to calls interrupt_fired(source) (kernel/trap.h); a level-triggered pin is masked by then and needs interrupt_set_mask(); edges
 * (pins and messages) are never masked by firing. Safe on any CPU.
 */
#ifndef KERNEL_INTERRUPT_H
#define KERNEL_INTERRUPT_H

#include "abi/hypercall.h"
#include "abi/status.h"

#include <stdbool.h>
#include <stdint.h>

#define INTERRUPT_PIN_MAX 240u
#define INTERRUPT_MSI_MAX 128u

/* Boot CPU, once. */
void interrupt_init(unsigned pins);

/* Routes a source to a CPU, unmasked. flags: enum abi_int_flags. Fills address and data (0 for pins). ABI_BAD_DEVICE, ABI_BAD_CPU. */
enum abi_status interrupt_route(unsigned source, unsigned cpu, unsigned flags, uint64_t *address, uint64_t *data)
    __attribute__((warn_unused_result));
/* Nothing for messages and for pins that are not routed. */
void interrupt_set_mask(unsigned source, bool masked);
bool interrupt_is_level(unsigned source);

enum ipi { IPI_RENDEZVOUS = 0xf1, IPI_WAKE = 0xf2 };
void ipi_send(unsigned cpu, enum ipi vector);
/* To all other CPUs: NMI, for panic(). */
void ipi_stop_others(void);

#endif
