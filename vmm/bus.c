/* SPDX-License-Identifier: MIT */
/* Dispatch of port and memory accesses: look-up, splitting, and the lock a range asks for. */
#include "vmm/bus.h"

#include "lib/string.h"

#include <stdatomic.h>
#include <stddef.h>

static uint64_t ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << (size * 8)) - 1;
}

static uint64_t range_read(const struct bus_range *range, uint64_t offset, unsigned size)
{
    uint64_t value;

    if (!range->read)
        return ones(size);
    if (range->lock)
        host_mutex_lock(range->lock);
    value = range->read(range->device, offset, size);
    if (range->lock)
        host_mutex_unlock(range->lock);
    return value & ones(size);
}

static void range_write(const struct bus_range *range, uint64_t offset, unsigned size,
                        uint64_t value)
{
    if (!range->write)
        return;
    if (range->lock)
        host_mutex_lock(range->lock);
    range->write(range->device, offset, size, value & ones(size));
    if (range->lock)
        host_mutex_unlock(range->lock);
}

/* Does the range take the access in one piece? */
static bool fits(const struct bus_range *range, uint64_t offset, unsigned size)
{
    return size <= range->width && size <= range->size - offset;
}

void port_bus_init(struct port_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    bus->count = 1;
}

enum vmm_status port_bus_add(struct port_bus *bus, const struct bus_range *range)
{
    unsigned slot = 1;

    if (!range->size || range->first >= BUS_PORTS || range->size > BUS_PORTS - range->first)
        return VMM_BAD_RANGE;
    for (uint64_t port = range->first; port < range->first + range->size; port++)
        if (bus->index[port])
            return VMM_OVERLAP;
    while (slot < bus->count && bus->range[slot] != range)
        slot++;
    if (slot == BUS_RANGES)
        return VMM_NO_MEMORY;
    bus->range[slot] = range;
    if (slot == bus->count)
        bus->count++;
    memset(&bus->index[range->first], (int)slot, range->size);
    return VMM_OK;
}

/* The slot stays with the range: a look-up under way may still use it. */
void port_bus_remove(struct port_bus *bus, const struct bus_range *range)
{
    for (unsigned port = 0; port < BUS_PORTS; port++)
        if (bus->index[port] && bus->range[bus->index[port]] == range)
            bus->index[port] = 0;
}

static const struct bus_range *port_find(const struct port_bus *bus, uint16_t port)
{
    return bus->range[bus->index[port]];
}

const char *port_bus_name(const struct port_bus *bus, uint16_t port)
{
    const struct bus_range *range = port_find(bus, port);

    return range ? range->name : NULL;
}

uint32_t port_bus_read(struct port_bus *bus, uint16_t port, unsigned size)
{
    const struct bus_range *range = port_find(bus, port);
    uint32_t value = 0;

    if (range && fits(range, port - range->first, size))
        return (uint32_t)range_read(range, port - range->first, size);
    if (size == 1)
        return 0xff;
    for (unsigned i = 0; i < size; i++)
        value |= port_bus_read(bus, (uint16_t)(port + i), 1) << (8 * i);
    return value;
}

void port_bus_write(struct port_bus *bus, uint16_t port, unsigned size, uint32_t value)
{
    const struct bus_range *range = port_find(bus, port);

    if (range && fits(range, port - range->first, size)) {
        range_write(range, port - range->first, size, value);
        return;
    }
    for (unsigned i = 0; i < size && size > 1; i++)
        port_bus_write(bus, (uint16_t)(port + i), 1, (value >> (8 * i)) & 0xff);
}

void memory_bus_init(struct memory_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    atomic_store(&bus->current, &bus->map[0]);
}

static struct memory_bus_map *spare_map(struct memory_bus *bus)
{
    return atomic_load(&bus->current) == &bus->map[0] ? &bus->map[1] : &bus->map[0];
}

enum vmm_status memory_bus_add(struct memory_bus *bus, const struct bus_range *range)
{
    const struct memory_bus_map *old = atomic_load(&bus->current);
    struct memory_bus_map *new = spare_map(bus);
    unsigned at = 0;

    if (!range->size || range->size - 1 > UINT64_MAX - range->first)
        return VMM_BAD_RANGE;
    if (old->count == BUS_RANGES)
        return VMM_NO_MEMORY;
    for (unsigned i = 0; i < old->count; i++) {
        const struct bus_range *other = old->range[i];

        if (other->first - range->first < range->size || range->first - other->first < other->size)
            return VMM_OVERLAP;
        if (other->first < range->first)
            at = i + 1;
    }
    memcpy(new->range, old->range, at * sizeof(new->range[0]));
    new->range[at] = range;
    memcpy(&new->range[at + 1], &old->range[at], (old->count - at) * sizeof(new->range[0]));
    new->count = old->count + 1;
    atomic_store(&bus->current, new);
    return VMM_OK;
}

void memory_bus_remove(struct memory_bus *bus, const struct bus_range *range)
{
    const struct memory_bus_map *old = atomic_load(&bus->current);
    struct memory_bus_map *new = spare_map(bus);
    unsigned n = 0;

    for (unsigned i = 0; i < old->count; i++)
        if (old->range[i] != range)
            new->range[n++] = old->range[i];
    new->count = n;
    atomic_store(&bus->current, new);
}

static const struct bus_range *memory_find(struct memory_bus *bus, uint64_t gpa)
{
    const struct memory_bus_map *map = atomic_load_explicit(&bus->current, memory_order_acquire);
    unsigned low = 0;
    unsigned high = map->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct bus_range *range = map->range[middle];

        if (gpa - range->first < range->size)
            return range;
        if (gpa < range->first)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *memory_bus_name(struct memory_bus *bus, uint64_t gpa)
{
    const struct bus_range *range = memory_find(bus, gpa);

    return range ? range->name : NULL;
}

uint64_t memory_bus_read(struct memory_bus *bus, uint64_t gpa, unsigned size)
{
    const struct bus_range *range = memory_find(bus, gpa);
    uint64_t value = 0;

    if (range && fits(range, gpa - range->first, size))
        return range_read(range, gpa - range->first, size);
    if (size == 1)
        return 0xff;
    for (unsigned i = 0; i < size; i++)
        value |= memory_bus_read(bus, gpa + i, 1) << (8 * i);
    return value;
}

void memory_bus_write(struct memory_bus *bus, uint64_t gpa, unsigned size, uint64_t value)
{
    const struct bus_range *range = memory_find(bus, gpa);

    if (range && fits(range, gpa - range->first, size)) {
        range_write(range, gpa - range->first, size, value);
        return;
    }
    for (unsigned i = 0; i < size && size > 1; i++)
        memory_bus_write(bus, gpa + i, 1, (value >> (8 * i)) & 0xff);
}
