/* SPDX-License-Identifier: MIT */
/*
 * A guest gone mad: random values to every port, every device register, every kind of unmapped
 * address and every MSR of the local APIC, while time passes and input comes; states saved,
 * damaged and loaded. Whatever happens, the process goes on, no lock stays taken, and after a
 * reset the machine works.
 *
 * Arguments: seed and number of rounds (2,000 accesses each).
 */
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "tests/vmm/script.h"
#include "vmm/machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t seed;
static struct host *host;
static struct vm *vm;

static uint64_t below(uint64_t limit)
{
    return random_below(&seed, limit);
}

/* Often something that looks like a command. */
static uint64_t some_value(void)
{
    switch (below(4)) {
    case 0:  return random_u64(&seed);
    case 1:  return below(256);
    case 2:  return 1ull << below(64);
    default: return 0 - below(3);
    }
}

static void touch_port(uint16_t port)
{
    unsigned size = 1u << below(3);

    if (below(2))
        port_bus_write(&vm->ports, port, size, (uint32_t)some_value());
    else
        (void)port_bus_read(&vm->ports, port, size);
}

static void touch_memory(uint64_t gpa)
{
    unsigned size = 1u << below(4);

    if (below(2))
        memory_bus_write(&vm->mmio, gpa, size, some_value());
    else
        (void)memory_bus_read(&vm->mmio, gpa, size);
}

/* Modes are left as well as entered, and the software switch is on more often than off. */
static void change_lapic(struct lapic *lapic)
{
    static const uint64_t bases[] = {0xfee00800, 0xfee00c00, 0xfee00000, 0xfee00900};
    uint64_t deadline = clock_now(&vm->clock) + lapic->tsc_skew + below(100000);

    switch (below(6)) {
    case 0:
        (void)!lapic_msr_write(lapic, MSR_APIC_BASE, below(9) ? bases[below(4)] : some_value());
        break;
    case 1:
        (void)!lapic_msr_write(lapic, MSR_TSC_DEADLINE, below(4) ? deadline : some_value());
        break;
    case 2:
        lapic_set_tsc_skew(lapic, some_value());
        break;
    case 3:
        lapic_mmio_write(lapic, 0x320, (uint32_t)(below(3) << 17 | (16 + below(240))));
        break;
    default:
        lapic_mmio_write(lapic, 0xf0, 0x1ff);
        (void)!lapic_msr_write(lapic, 0x80f, 0x1ff);
        break;
    }
}

static void touch_lapic(void)
{
    struct lapic *lapic = &vm->vcpu[below(vm->config.vcpus)].lapic;
    uint64_t value;

    switch (below(5)) {
    case 0:
        lapic_mmio_write(lapic, (uint32_t)below(0x40) << 4, (uint32_t)some_value());
        break;
    case 1:
        (void)lapic_mmio_read(lapic, (uint32_t)below(0x1000));
        break;
    case 2:
        (void)!lapic_msr_write(lapic, MSR_X2APIC_FIRST + (uint32_t)below(0x40), some_value());
        break;
    case 3:
        (void)!lapic_msr_read(lapic, MSR_X2APIC_FIRST + (uint32_t)below(0x100), &value);
        break;
    default:
        change_lapic(lapic);
        break;
    }
    if (lapic_pending(lapic) >= 0 && below(2))
        lapic_acknowledge(lapic, (uint8_t)lapic_pending(lapic));
}

/* Registers of devices are hit often; anything else now and then. */
static void touch(void)
{
    static const uint64_t places[] = {IOAPIC_BASE, HPET_BASE, 0xfee00000, 0xc0000000, 0x100000000};
    const struct bus_range *range = vm->ports.range[1 + below(vm->ports.count - 1)];

    switch (below(8)) {
    case 0:
        touch_port((uint16_t)below(0x10000));
        break;
    case 1:
    case 2:
    case 3:
        touch_port((uint16_t)(range->first + below(range->size)));
        break;
    case 4:
        touch_memory(places[below(5)] + below(0x1000));
        break;
    case 5:
        touch_memory(random_u64(&seed) >> below(64));
        break;
    default:
        touch_lapic();
        break;
    }
    if (pic_requests(&vm->pic) && below(2))
        (void)pic_acknowledge(&vm->pic);
}

static void feed(void)
{
    uint8_t bytes[32];

    (void)vm_console_input(vm, (enum host_console)below(HOST_CONSOLES), bytes,
                           below(sizeof(bytes)));
    vm_console_ready(vm, (enum host_console)below(HOST_CONSOLES));
    host->console_room = below(64);
    if (!below(50))
        vm_power_button(vm);
}

/* Saves a device, damages the image, loads it: refused or taken, the device stays usable. */
static void reload(struct device *device)
{
    static uint8_t image[4096];
    size_t size = device_save(device, image, sizeof(image));
    size_t used;

    for (unsigned i = 0; i < 4 && below(2); i++)
        image[below(size)] ^= (uint8_t)(1u << below(8));
    if (below(8) == 0)
        size = below(size + 1);
    if (device_load(device, image, size, &used) != VMM_OK)
        device_reset(device);
}

static void round_of_accesses(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        touch();
        if (below(16) == 0)
            fake_host_pass(host, &vm->clock, below(200000));
        if (below(64) == 0)
            feed();
    }
    for (struct device *device = vm->devices; device; device = device->next)
        if (below(4) == 0)
            reload(device);
    if (below(16) == 0)
        machine_reset(vm);
    host->log_size = 0;
}

static void every_port(void)
{
    for (unsigned port = 0; port < BUS_PORTS; port++)
        for (unsigned size = 1; size <= 4; size *= 2) {
            (void)port_bus_read(&vm->ports, (uint16_t)port, size);
            port_bus_write(&vm->ports, (uint16_t)port, size, (uint32_t)random_u64(&seed));
        }
    ok(host->locks_held == 0, "each of 65,536 ports, in each size");
}

static void test_after(void)
{
    machine_reset(vm);
    host->console_room = SIZE_MAX;
    host->console_size[0] = 0;
    port_bus_write(&vm->ports, 0x3f8, 1, '!');
    ok(host->console_size[0] == 1, "after a reset the serial port works");
    port_bus_write(&vm->ports, 0x43, 1, 0x34);
    port_bus_write(&vm->ports, 0x40, 1, 0xe8);
    port_bus_write(&vm->ports, 0x40, 1, 0x03);
    fake_host_pass(host, &vm->clock, 100000);
    ok(port_bus_read(&vm->ports, 0x40, 1) != 0xe8, "the timer counts");
    ok(host->locks_held == 0, "no lock is held");
}

int main(int argc, char **argv)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    const struct vm_config config = {
        .memory = 16 << 20, .vcpus = 4, .kernel = script_image(), .hpet = true,
        .debug_exit_port = 0x501,
    };
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 300;

    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20240607;
    tap_note("seed %llu, %u rounds", (unsigned long long)seed, rounds);
    alarm(300);
    host = fake_host_new(16 << 20);
    vm = vm_create(host, &script_ops, engine, &config);
    if (!ok(vm != NULL, "a machine")) {
        tap_note("%s", host->log);
        return tap_done();
    }
    every_port();
    for (unsigned i = 0; i < rounds; i++)
        round_of_accesses();
    ok(true, "%u random accesses", rounds * 2000);
    test_after();
    vm_destroy(vm);
    fake_host_free(host);
    free(engine);
    return tap_done();
}
