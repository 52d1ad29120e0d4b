/* SPDX-License-Identifier: MIT */
/*
 * The sessions that a device driver lives on. Each names what it wants by numbers, which the route in the parent's configuration must
 * allow (base and size there bound words 0 and 1 here).
 *
 * "IO_PORT"  word 0 first port, 1 count. The ports are the component's from the answer on.
 * "IO_MEM"   word 0 physical address, 1 size in bytes, 2 ABI_CACHE_*. Answer: word 0 offset of the address in the dataspace; capability: the
 *            dataspace {R W}.
 * "IRQ"      word 0 pin, or CORE_IRQ_MSI for a message-signalled interrupt, 1 always 1, 2 enum abi_int_flags, 3 CPU. Answer: word 0 and 1 MSI address
 *            and data; capability: an SM {DOWN} (hc_down() waits for the interrupt; a level-triggered pin is unmasked by it).
 * "PLATFORM" Answer: word 0 physical address of ACPI's RSDP or 0, 1 number of interrupt pins.
 */
#ifndef FRAMEWORK_SESSION_DEVICE_H
#define FRAMEWORK_SESSION_DEVICE_H

#include "framework/memory.h"
#include "framework/parent.h"

enum status io_port_open(struct session *session, uint16_t first, uint32_t count) MUST_CHECK;

struct io_mem {
    struct session session;
    struct mapping  memory;
    void          *registers; // at the physical address asked for
};
enum status io_mem_open(struct io_mem *io, uint64_t physical, uint64_t size, unsigned cache) MUST_CHECK;
void io_mem_close(struct io_mem *io);

struct irq {
    struct session session;
    uint32_t       sm;
    uint64_t       msi_address, msi_data;
};
enum status irq_open(struct irq *irq, uint32_t pin, unsigned flags) MUST_CHECK;
enum status irq_open_msi(struct irq *irq) MUST_CHECK;

#endif
