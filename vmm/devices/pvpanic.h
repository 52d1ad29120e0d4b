/* SPDX-License-Identifier: MIT */
/*
 * The panic port: how a guest kernel tells that it has panicked. Port 505h, one byte, ACPI id QEMU0001 (docs/specs/pvpanic of QEMU;
 * Linux drivers/misc/pvpanic). Reads as the set of events that are understood; a write is a line in the log, at most a few of a
 * run, and the guest goes on as it likes. No state.
 */
#ifndef VMM_DEVICES_PVPANIC_H
#define VMM_DEVICES_PVPANIC_H

#include "vmm/bus.h"

#define PVPANIC_PORT       0x505u
#define PVPANIC_PANICKED   1u // the kernel has panicked
#define PVPANIC_CRASH_LOAD 2u // it has, and loads a crash kernel

struct pvpanic {
    struct bus_range range;
    struct host *host;
    unsigned reports;
};

enum vmm_status pvpanic_init(struct pvpanic *pvpanic, struct port_bus *ports,
                             struct host_mutex *lock, struct host *host) VMM_MUST_CHECK;

#endif
