/* SPDX-License-Identifier: MIT */
/* The panic port. */
#include "vmm/devices/pvpanic.h"

#include "vmm/host.h"

#define REPORTS_MAX 16u

static uint64_t events_read(void *device, uint64_t offset, unsigned size)
{
    (void)device;
    (void)offset;
    (void)size;
    return PVPANIC_PANICKED | PVPANIC_CRASH_LOAD;
}

static void events_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pvpanic *pvpanic = device;

    (void)offset;
    (void)size;
    if (!(value & (PVPANIC_PANICKED | PVPANIC_CRASH_LOAD)) || pvpanic->reports == REPORTS_MAX)
        return;
    pvpanic->reports++;
    host_log(pvpanic->host, value & PVPANIC_PANICKED ? "the guest's kernel has panicked"
                                                     : "the guest's kernel has panicked and loads another");
}

enum vmm_status pvpanic_init(struct pvpanic *pvpanic, struct port_bus *ports,
                             struct host_mutex *lock, struct host *host)
{
    pvpanic->host = host;
    pvpanic->range = (struct bus_range){
        "panic", PVPANIC_PORT, 1, 1, lock, events_read, events_write, pvpanic,
    };
    return port_bus_add(ports, &pvpanic->range);
}
