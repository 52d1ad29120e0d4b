/* SPDX-License-Identifier: MIT */
/*
 * Dispatch of port and memory accesses to devices.
 *
 * A range belongs to one device and has one pair of callbacks. `width` is the largest access that
 * the device takes: a larger one, and one that crosses the end of a range, is split into bytes,
 * as the ISA bridge does. A callback gets the offset into the range, the size (1, 2, 4, or 8 for
 * memory) and the value, zero-extended. Unclaimed reads give all ones, unclaimed writes are lost.
 *
 * Look-ups take no lock. Ranges are added and moved under the machine lock, and never freed; a
 * look-up that races with a move may still reach the device at the old place. If `lock` is set,
 * it is held around the callback.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include "vmm/host.h"
#include "vmm/status.h"

#include <stdbool.h>
#include <stdint.h>

#define BUS_RANGES 64u
#define BUS_PORTS  0x10000u

typedef uint64_t bus_read_fn(void *device, uint64_t offset, unsigned size);
typedef void bus_write_fn(void *device, uint64_t offset, unsigned size, uint64_t value);

struct bus_range {
    const char *name;
    uint64_t first;
    uint64_t size;
    unsigned width;           // largest access: 1, 2, 4 or 8
    struct host_mutex *lock;  // may be NULL
    bus_read_fn *read;        // NULL: all ones
    bus_write_fn *write;      // NULL: lost
    void *device;
};

/* Ports: one byte of index a port, so that a look-up is one load. */
struct port_bus {
    const struct bus_range *range[BUS_RANGES]; // [0] is unclaimed
    uint8_t index[BUS_PORTS];
    unsigned count;
};

/* Memory: ranges sorted by address, in a snapshot that is replaced as a whole. */
struct memory_bus_map {
    unsigned count;
    const struct bus_range *range[BUS_RANGES];
};
struct memory_bus {
    struct memory_bus_map map[2];
    _Atomic(struct memory_bus_map *) current;
};

void port_bus_init(struct port_bus *bus);
/* The range must outlive the bus. VMM_OVERLAP if any port is taken. */
enum vmm_status port_bus_add(struct port_bus *bus, const struct bus_range *range) VMM_MUST_CHECK;
void port_bus_remove(struct port_bus *bus, const struct bus_range *range);
/* The device's name; NULL: nobody's. */
const char *port_bus_name(const struct port_bus *bus, uint16_t port);
uint32_t port_bus_read(struct port_bus *bus, uint16_t port, unsigned size);
void port_bus_write(struct port_bus *bus, uint16_t port, unsigned size, uint32_t value);

void memory_bus_init(struct memory_bus *bus);
enum vmm_status memory_bus_add(struct memory_bus *bus,
                               const struct bus_range *range) VMM_MUST_CHECK;
void memory_bus_remove(struct memory_bus *bus, const struct bus_range *range);
const char *memory_bus_name(struct memory_bus *bus, uint64_t gpa);
uint64_t memory_bus_read(struct memory_bus *bus, uint64_t gpa, unsigned size);
void memory_bus_write(struct memory_bus *bus, uint64_t gpa, unsigned size, uint64_t value);

#endif
