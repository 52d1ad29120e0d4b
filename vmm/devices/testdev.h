/* SPDX-License-Identifier: MIT */
/*
 * The device that hypervisor test suites know as QEMU's pc-testdev (hw/misc/pc-testdev.c there), for kernels that test their machine:
 *
 *   port E0h, 4 bytes  keeps what is written, by accesses of any size
 *   port E4h, 4 bytes  asks QEMU to drop its mapping of a page: nothing to do here
 *   port E8h, 1 byte   the low byte of what E0h keeps
 *   port 2000h + N     level of interrupt N, 0 to 23: the written byte, zero or not
 *   memory FF000000h   64 KiB that keep what is written, reached as a device
 *
 * Under the machine lock.
 */
#ifndef VMM_DEVICES_TESTDEV_H
#define VMM_DEVICES_TESTDEV_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/irq.h"

#define TESTDEV_PORT   0xe0u
#define TESTDEV_IRQS   0x2000u
#define TESTDEV_MEMORY 0xff000000ull
#define TESTDEV_SIZE   0x10000u

struct testdev {
    struct device device;
    /* State. */
    uint32_t kept;
    uint8_t memory[TESTDEV_SIZE];
    /* Wiring. */
    struct irq_line irq[IRQ_LINES];
    struct bus_range port_range, irq_range, memory_range;
};

enum vmm_status testdev_init(struct testdev *testdev, struct port_bus *ports,
                             struct memory_bus *mmio, struct host_mutex *lock,
                             struct irq_hub *hub) VMM_MUST_CHECK;

#endif
