/* SPDX-License-Identifier: MIT */
/* The two devices that kernels of hypervisor test suites look for. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/testdev.h"

static struct port_bus ports;
static struct memory_bus mmio;
static struct irq_hub hub;
static struct fw_cfg fw_cfg;
static struct testdev testdev;
static bool pins[IRQ_LINES];

static void heard(void *device, unsigned pin, bool level)
{
    (void)device;
    pins[pin] = level;
}

static void out(uint16_t port, unsigned size, uint32_t value)
{
    port_bus_write(&ports, port, size, value);
}

static uint32_t in(uint16_t port, unsigned size)
{
    return port_bus_read(&ports, port, size);
}

/* An item's first bytes, as a number. */
static uint64_t item(uint16_t number, unsigned bytes)
{
    uint64_t value = 0;

    out(0x510, 2, number);
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in(0x511, 1) << (8 * i);
    return value;
}

static void test_fw_cfg(void)
{
    is_u64(item(FW_CFG_SIGNATURE, 4), 0x554d4551, "signature: QEMU");
    is_u64(item(FW_CFG_ID, 4), 1, "by ports only");
    is_u64(item(FW_CFG_RAM_SIZE, 8), 0x123456000, "size of RAM");
    is_u64(item(FW_CFG_CPUS, 2), 3, "CPUs");
    is_u64(item(FW_CFG_CPUS_MAX, 2), 3, "no more of them");
    is_u64(item(FW_CFG_DIRECTORY, 4), 0, "no files");
    is_u64(item(0x8000, 8), 0, "an item that is not there");
    out(0x510, 2, FW_CFG_RAM_SIZE);
    for (unsigned i = 0; i < 1000; i++)
        (void)in(0x511, 1);
    is_u64(in(0x511, 1), 0, "behind an item's end");
    is_u64(item(FW_CFG_SIGNATURE, 1), 'Q', "selecting begins anew");
    out(0x511, 1, 0xff);
    out(0x510, 1, FW_CFG_CPUS);
    is_u64(in(0x511, 1), 'E', "writing a byte changes nothing");
    is_u64(in(0x510, 2), 0, "the selector cannot be read");
    device_reset(&fw_cfg.device);
    is_u64(in(0x511, 1), 'Q', "reset");
}

static void test_testdev(void)
{
    out(0xe0, 4, 0x12345678);
    is_u64(in(0xe0, 4), 0x12345678, "port E0h keeps 32 bits");
    is_u64(in(0xe1, 1), 0x56, "and gives bytes");
    out(0xe2, 2, 0xabcd);
    is_u64(in(0xe0, 4), 0xabcd5678, "takes halves");
    is_u64(in(0xe8, 1), 0x78, "port E8h is its low byte");
    out(0xe4, 4, 0xffffffff);
    is_u64(in(0xe0, 4), 0xabcd5678, "port E4h changes nothing");
    out(0xe8, 1, 0x99);
    is_u64(in(0xe0, 1), 0x99, "port E8h writes too");
    out(0x2004, 1, 1);
    ok(pins[4] && !pins[5], "interrupt 4");
    out(0x2004, 1, 0);
    ok(!pins[4], "and off");
    out(0x2000 + 23, 1, 0xff);
    ok(pins[23], "interrupt 23");
    out(0x2000 + 24, 1, 1);
    memory_bus_write(&mmio, 0xff00fff8, 8, 0x1122334455667788);
    is_u64(memory_bus_read(&mmio, 0xff00fff8, 8), 0x1122334455667788, "its memory keeps 64 bits");
    is_u64(memory_bus_read(&mmio, 0xff00fffb, 1), 0x55, "and gives bytes");
    memory_bus_write(&mmio, 0xff000000, 2, 0xffff1234);
    is_u64(memory_bus_read(&mmio, 0xff000000, 4), 0x1234, "takes halves");
    is_u64(memory_bus_read(&mmio, 0xff010000, 4), 0xffffffff, "and ends");
    device_reset(&testdev.device);
    ok(!pins[23] && in(0xe0, 4) == 0 && memory_bus_read(&mmio, 0xff00fff8, 8) == 0, "reset");
}

int main(void)
{
    struct host *host = fake_host_new(0);
    struct host_mutex *lock = host_mutex_create(host);

    port_bus_init(&ports);
    memory_bus_init(&mmio);
    irq_hub_init(&hub);
    hub.ioapic = heard;
    ok(fw_cfg_init(&fw_cfg, &ports, lock, 0x123456000, 3) == VMM_OK, "firmware configuration");
    ok(testdev_init(&testdev, &ports, &mmio, lock, &hub) == VMM_OK, "test device");
    test_fw_cfg();
    test_testdev();
    fake_host_free(host);
    return tap_done();
}
