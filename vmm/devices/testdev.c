/* SPDX-License-Identifier: MIT */
/* The test suites' device. */
#include "vmm/devices/testdev.h"

#include "lib/string.h"

#define FLUSH 4u
#define BYTE  8u

static const struct device_field fields[] = {
    DEVICE_FIELD(struct testdev, kept, 0),
    DEVICE_ARRAY(struct testdev, memory, TESTDEV_SIZE / 2, 0), // in pairs, as a count has 16 bits
};

static void power_on(void *device)
{
    struct testdev *testdev = device;

    for (unsigned i = 0; i < IRQ_LINES; i++)
        irq_set(&testdev->irq[i], false);
}

static const struct device_class testdev_class = {
    .name = "testdev", .version = 1, DEVICE_TABLE(fields), .reset = power_on,
};

static uint64_t port_read(void *device, uint64_t offset, unsigned size)
{
    const struct testdev *testdev = device;

    (void)size;
    if (offset < FLUSH)
        return testdev->kept >> (8 * offset);
    return offset == BYTE ? testdev->kept & 0xff : 0;
}

static void port_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *testdev = device;
    uint32_t mask = size == 4 ? UINT32_MAX : (1u << (8 * size)) - 1;

    if (offset < FLUSH)
        testdev->kept = (testdev->kept & ~(mask << (8 * offset))) |
                        ((uint32_t)value & mask) << (8 * offset);
    else if (offset == BYTE)
        testdev->kept = (uint8_t)value;
}

static void irq_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *testdev = device;

    (void)size;
    irq_set(&testdev->irq[offset], value & 0xff);
}

static uint64_t memory_read(void *device, uint64_t offset, unsigned size)
{
    const struct testdev *testdev = device;
    uint64_t value = 0;

    memcpy(&value, testdev->memory + offset, size);
    return value;
}

static void memory_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct testdev *testdev = device;

    memcpy(testdev->memory + offset, &value, size);
}

enum vmm_status testdev_init(struct testdev *testdev, struct port_bus *ports,
                             struct memory_bus *mmio, struct host_mutex *lock, struct irq_hub *hub)
{
    enum vmm_status status;

    testdev->device.class = &testdev_class;
    for (unsigned i = 0; i < IRQ_LINES; i++)
        if (!irq_connect(hub, &testdev->irq[i], i))
            return VMM_NO_MEMORY;
    device_reset(&testdev->device);
    testdev->port_range = (struct bus_range){
        "testdev", TESTDEV_PORT, 9, 4, lock, port_read, port_write, testdev,
    };
    testdev->irq_range = (struct bus_range){
        "testdev irq", TESTDEV_IRQS, IRQ_LINES, 1, lock, NULL, irq_write, testdev,
    };
    testdev->memory_range = (struct bus_range){
        "testdev memory", TESTDEV_MEMORY, TESTDEV_SIZE, 8, lock, memory_read, memory_write, testdev,
    };
    status = port_bus_add(ports, &testdev->port_range);
    if (status == VMM_OK)
        status = port_bus_add(ports, &testdev->irq_range);
    return status == VMM_OK ? memory_bus_add(mmio, &testdev->memory_range) : status;
}
