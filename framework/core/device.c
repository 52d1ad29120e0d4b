/* SPDX-License-Identifier: MIT */
/* Ports, device memory, interrupts. */
#include "framework/core/dataspace.h"
#include "framework/core/device.h"
#include "framework/core/syslog.h"

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

/* Is this memory that a driver may have: not RAM, and nobody's yet? ACPI tables may be read by several. */
static enum status memory_check(struct core *core, uint64_t base, uint64_t size)
{
    bool shared = false;

    for (uint32_t i = 0; i < core->info->range_count; i++) {
        const struct abi_memory_range *range = &core->info->range[i];

        if (!overlap(base, size, range->base, range->size))
            continue;
        if (range->type == ABI_MEMORY_ACPI)
            shared = true;
        else if (range->type != ABI_MEMORY_RESERVED)
            return STATUS_DENIED;
    }
    for (uint32_t i = 0; i < DATASPACE_MAX && !shared; i++)
        if (core->dataspace[i].kind == DATASPACE_DEVICE &&
            overlap(base, size, core->dataspace[i].base, core->dataspace[i].size))
            return STATUS_OCCUPIED;
    return STATUS_OK;
}

enum status device_memory(struct core *core, struct pd *pd, uint64_t physical, uint64_t size, uint64_t cache, uint32_t *dataspace,
                          uint64_t *offset)
{
    uint64_t base = ALIGN_DOWN(physical, PAGE_SIZE);
    enum status status;

    if (size == 0 || cache > ABI_CACHE_WC || !range_fits(physical, size, 1ull << 52))
        return STATUS_INVALID;
    size = ALIGN_UP(physical + size - base, PAGE_SIZE);
    status = memory_check(core, base, size);
    if (status == STATUS_OK)
        status = dataspace_fixed(core, pd, DATASPACE_DEVICE, base, size, (unsigned)cache, dataspace);
    *offset = physical - base;
    return status;
}

static bool is_console(uint64_t first, uint64_t count)
{
    return overlap(first, count, CONSOLE_SERIAL_PORT, CONSOLE_SERIAL_PORTS);
}

/* Held by another PD: the ports are then somewhere in a space derived from ABI_SEL_ALL_PIO. */
static bool ports_taken(const struct core *core, const struct pd *pd, uint64_t first, uint64_t count)
{
    for (unsigned i = 0; i < PORT_RANGE_MAX; i++) {
        const struct port_range *range = &core->ports[i];

        if (range->count && range->owner != pd_index(core, pd) && overlap(first, count, range->first, range->count))
            return true;
    }
    return false;
}

static struct port_range *port_range_find(struct core *core, unsigned owner, uint64_t first, uint64_t count)
{
    for (unsigned i = 0; i < PORT_RANGE_MAX; i++) {
        struct port_range *range = &core->ports[i];

        if (range->count == count && (!count || (range->owner == owner && range->first == first)))
            return range;
    }
    return NULL;
}

enum status device_ports(struct core *core, struct pd *pd, uint64_t first, uint64_t count)
{
    uint32_t space = pd_slot(core, pd, PD_SLOT_PIO);
    struct port_range *range = port_range_find(core, 0, 0, 0);
    enum abi_status status;

    if (count == 0 || !range_fits(first, count, 0x10000))
        return STATUS_INVALID;
    if (ports_taken(core, pd, first, count))
        return STATUS_OCCUPIED;
    if (!range)
        return STATUS_QUOTA;
    if (!pd->has_pio) {
        status = hc_create_space(space, ABI_SPACE_PIO, pd_slot(core, pd, PD_SLOT_PD));
        if (status != ABI_OK)
            return status_of(status);
        pd->has_pio = true;
    }
    if (is_console(first, count))
        syslog_serial(core, false);
    status = hc_delegate(ABI_SEL_ALL_PIO, space, first, first, &(uint64_t){count}, ABI_PERM_PIO);
    if (status == ABI_OK)
        *range = (struct port_range){.first = (uint32_t)first, .count = (uint32_t)count, .owner = pd_index(core, pd)};
    return status_of(status);
}

static void port_range_end(struct core *core, struct port_range *range)
{
    bool console = is_console(range->first, range->count);

    range->count = 0;
    if (console)
        syslog_serial(core, true);
}

enum status device_ports_free(struct core *core, struct pd *pd, uint64_t first, uint64_t count)
{
    struct port_range *range = count ? port_range_find(core, pd_index(core, pd), first, count) : NULL;
    enum abi_status status;

    if (!range)
        return STATUS_NOT_FOUND;
    status = hc_remove(pd_slot(core, pd, PD_SLOT_PIO), first, count);
    port_range_end(core, range);
    return status_of(status);
}

static uint32_t source_count(const struct core *core)
{
    return MIN(core->info->pin_count + core->info->msi_count, IRQ_MAX);
}

enum status device_irq(struct core *core, struct pd *pd, uint64_t source, uint64_t flags, uint64_t cpu, struct core_irq *irq,
                       uint32_t *selector)
{
    uint64_t address = cpu, data = flags;
    enum abi_status status;

    if (source == CORE_IRQ_MSI) {
        source = core->info->pin_count;
        while (source < source_count(core) && core->irq_owner[source])
            source++;
        if (source >= source_count(core))
            return STATUS_QUOTA;
    } else if (source >= MIN(core->info->pin_count, IRQ_MAX)) {
        return STATUS_NOT_FOUND;
    }
    if (cpu >= core->info->cpu_count || flags > (ABI_INT_LEVEL | ABI_INT_LOW))
        return STATUS_INVALID;
    if (core->irq_owner[source])
        return STATUS_OCCUPIED;
    status = hc_assign_int(ABI_SEL_INT_BASE + source, &address, &data);
    if (status != ABI_OK)
        return status_of(status);
    core->irq_owner[source] = pd_index(core, pd);
    irq->id = (uint32_t)source;
    irq->msi_address = address;
    irq->msi_data = data;
    *selector = ABI_SEL_INT_BASE + (uint32_t)source;
    return STATUS_OK;
}

/* Takes the semaphore back; its line stays masked once it fires, since nobody waits any more. */
static void irq_end(struct core *core, uint32_t source)
{
    (void)hc_revoke(SEL_OBJ, ABI_SEL_INT_BASE + source, 1); // core's own slot: nothing to refuse
    core->irq_owner[source] = 0;
}

enum status device_irq_free(struct core *core, struct pd *pd, uint64_t id)
{
    if (id >= IRQ_MAX || core->irq_owner[id] != pd_index(core, pd))
        return STATUS_NOT_FOUND;
    irq_end(core, (uint32_t)id);
    return STATUS_OK;
}

void device_end_all(struct core *core, struct pd *pd)
{
    for (uint32_t source = 0; source < IRQ_MAX; source++)
        if (core->irq_owner[source] == pd_index(core, pd))
            irq_end(core, source);
    for (unsigned i = 0; i < PORT_RANGE_MAX; i++)
        if (core->ports[i].count && core->ports[i].owner == pd_index(core, pd))
            port_range_end(core, &core->ports[i]);
}
