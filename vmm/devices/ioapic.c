/* SPDX-License-Identifier: MIT */
/* The IOAPIC: redirection of 24 pins to local APICs. */
#include "vmm/devices/ioapic.h"

#define ENTRY_DELIVERY   0x0700ull
#define ENTRY_LOGICAL    0x0800ull
#define ENTRY_STATUS     0x1000ull
#define ENTRY_REMOTE_IRR 0x4000ull
#define ENTRY_LEVEL      0x8000ull
#define ENTRY_MASKED     0x10000ull
#define ENTRY_WRITABLE   0xff0000000001afffull

enum { WINDOW_SELECT = 0x00, WINDOW_DATA = 0x10, WINDOW_EOI = 0x40 };
enum { REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_TABLE = 0x10 };

static const struct device_field fields[] = {
    DEVICE_FIELD(struct ioapic, select, 0), DEVICE_KEPT(struct ioapic, id, 1),
    DEVICE_FIELD(struct ioapic, lines, 0),
    DEVICE_ARRAY(struct ioapic, entry, IOAPIC_PINS, ENTRY_MASKED),
};

static const struct device_class ioapic_class = {
    .name = "ioapic", .version = 1, DEVICE_TABLE(fields),
};

/*
 * Sends what the pin asks for: an edge that just came, or a level that is on and not yet in
 * service.
 */
static void serve(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entry[pin];
    const struct apic_message message = {
        .destination = (uint32_t)(entry >> 56),
        .vector = (uint8_t)entry,
        .delivery = (uint8_t)((entry & ENTRY_DELIVERY) >> 8),
        .logical = entry & ENTRY_LOGICAL,
        .level = entry & ENTRY_LEVEL,
    };

    if (entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR))
        return;
    if (apic_bus_send(ioapic->bus, &message) && message.level && message.delivery <= APIC_LOWEST)
        ioapic->entry[pin] |= ENTRY_REMOTE_IRR;
}

void ioapic_set(void *device, unsigned pin, bool level)
{
    struct ioapic *ioapic = device;
    uint32_t bit = 1u << (pin % 32);
    bool rises = level && !(ioapic->lines & bit);

    if (pin >= IOAPIC_PINS)
        return;
    ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
    if (level && (rises || (ioapic->entry[pin] & ENTRY_LEVEL)))
        serve(ioapic, pin);
}

static void end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic->entry[pin];

        if ((uint8_t)entry != vector || !(entry & ENTRY_LEVEL) || !(entry & ENTRY_REMOTE_IRR))
            continue;
        ioapic->entry[pin] &= ~ENTRY_REMOTE_IRR;
        if (ioapic->lines & (1u << pin))
            serve(ioapic, pin);
    }
}

void ioapic_eoi(void *device, uint8_t vector)
{
    struct ioapic *ioapic = device;

    host_mutex_lock(ioapic->lock);
    end_of_interrupt(ioapic, vector);
    host_mutex_unlock(ioapic->lock);
}

static uint32_t read_register(const struct ioapic *ioapic, unsigned reg)
{
    unsigned pin = (reg - REG_TABLE) / 2;

    if (reg == REG_ID || reg == REG_ARBITRATION)
        return (uint32_t)ioapic->id << 24;
    if (reg == REG_VERSION)
        return (IOAPIC_PINS - 1) << 16 | 0x20;
    if (reg < REG_TABLE || pin >= IOAPIC_PINS)
        return 0;
    return (uint32_t)(ioapic->entry[pin] >> (reg & 1 ? 32 : 0));
}

static void write_entry(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
    uint64_t old = ioapic->entry[pin];
    uint64_t entry = high ? (uint32_t)old | (uint64_t)value << 32 : (old >> 32) << 32 | value;

    entry = (entry & ENTRY_WRITABLE) | (old & ENTRY_REMOTE_IRR);
    if (!(entry & ENTRY_LEVEL))
        entry &= ~ENTRY_REMOTE_IRR;
    ioapic->entry[pin] = entry;
    if ((entry & ENTRY_LEVEL) && (ioapic->lines & (1u << pin)))
        serve(ioapic, pin);
}

static void write_register(struct ioapic *ioapic, unsigned reg, uint32_t value)
{
    unsigned pin = (reg - REG_TABLE) / 2;

    if (reg == REG_ID)
        ioapic->id = (value >> 24) & 0xf;
    else if (reg >= REG_TABLE && pin < IOAPIC_PINS)
        write_entry(ioapic, pin, reg & 1, value);
}

static uint64_t ioapic_read(void *device, uint64_t offset, unsigned size)
{
    struct ioapic *ioapic = device;

    (void)size;
    if (offset == WINDOW_SELECT)
        return ioapic->select;
    return offset == WINDOW_DATA ? read_register(ioapic, ioapic->select) : 0;
}

static void ioapic_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct ioapic *ioapic = device;

    (void)size;
    switch (offset) {
    case WINDOW_SELECT:
        ioapic->select = (uint8_t)value;
        break;
    case WINDOW_DATA:
        write_register(ioapic, ioapic->select, (uint32_t)value);
        break;
    case WINDOW_EOI:
        end_of_interrupt(ioapic, (uint8_t)value);
        break;
    default:
        break;
    }
}

enum vmm_status ioapic_init(struct ioapic *ioapic, struct memory_bus *memory,
                            struct host_mutex *lock, struct apic_bus *bus, uint8_t id)
{
    ioapic->device.class = &ioapic_class;
    ioapic->lock = lock;
    ioapic->bus = bus;
    ioapic->id = id & 0xf;
    bus->eoi = ioapic_eoi;
    bus->ioapic = ioapic;
    device_reset(&ioapic->device);
    ioapic->range = (struct bus_range){
        "ioapic", IOAPIC_BASE, 0x1000, 4, lock, ioapic_read, ioapic_write, ioapic,
    };
    return memory_bus_add(memory, &ioapic->range);
}
