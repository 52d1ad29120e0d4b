/* SPDX-License-Identifier: MIT */
/*
 * QEMU's firmware configuration device, as far as kernels use it that are started without firmware: ports 510h (16 bits: selects an
 * item) and 511h (the item's next byte), see docs/specs/fw_cfg of QEMU. Read-only: signature, version without DMA, size of RAM,
 * number of CPUs, an empty directory of files. Other items and what is behind an item's end read 0.
 */
#ifndef VMM_DEVICES_FW_CFG_H
#define VMM_DEVICES_FW_CFG_H

#include "vmm/bus.h"
#include "vmm/device.h"

#define FW_CFG_PORT 0x510u

#define FW_CFG_SIGNATURE  0x00u
#define FW_CFG_ID         0x01u
#define FW_CFG_RAM_SIZE   0x03u
#define FW_CFG_NOGRAPHIC  0x04u
#define FW_CFG_CPUS       0x05u
#define FW_CFG_CPUS_MAX   0x0fu
#define FW_CFG_DIRECTORY  0x19u

struct fw_cfg {
    struct device device;
    /* State. */
    uint16_t item;
    uint8_t  at; // next byte; stays at 8, behind the longest item
    /* Wiring. */
    struct bus_range range;
    uint64_t memory;
    uint16_t cpus;
};

enum vmm_status fw_cfg_init(struct fw_cfg *fw_cfg, struct port_bus *ports, struct host_mutex *lock,
                            uint64_t memory, unsigned cpus) VMM_MUST_CHECK;

#endif
