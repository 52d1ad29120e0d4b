/* SPDX-License-Identifier: MIT */
/* The two 8259A. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/pic.h"

#include <string.h>

static struct port_bus ports;
static struct pic_pair pic;
static bool intr;

static void output(void *context, bool level)
{
    (void)context;
    intr = level;
}

static void out(uint16_t port, uint8_t value)
{
    port_bus_write(&ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
    return (uint8_t)port_bus_read(&ports, port, 1);
}

/* As a PC's firmware does it: vectors from 8 and 70h. */
static void initialise(uint8_t icw4)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned n = 0; n < 16; n++)
            pic_set(&pic, n, false);
    out(0x20, 0x11);
    out(0x21, 0x08);
    out(0x21, 0x04);
    out(0x21, icw4);
    out(0xa0, 0x11);
    out(0xa1, 0x70);
    out(0xa1, 0x02);
    out(0xa1, icw4 & 0x0f);
    out(0x21, 0x00);
    out(0xa1, 0x00);
}

static void pulse(unsigned irq)
{
    pic_set(&pic, irq, false);
    pic_set(&pic, irq, true);
}

static void test_basics(void)
{
    initialise(0x01);
    ok(!intr, "quiet");
    pulse(4);
    ok(intr, "a request");
    out(0x20, 0x0a);
    is_u64(in(0x20), 0x10, "IRR");
    is_u64(pic_acknowledge(&pic), 0x0c, "its vector");
    ok(!intr, "in service: no request");
    out(0x20, 0x0b);
    is_u64(in(0x20), 0x10, "ISR");
    pulse(5);
    ok(!intr, "a lower priority waits");
    pulse(1);
    ok(intr, "a higher one does not");
    is_u64(pic_acknowledge(&pic), 0x09, "and nests");
    out(0x20, 0x20);
    is_u64(in(0x20), 0x10, "non-specific EOI ends the highest");
    ok(!intr, "5 still waits for 4");
    out(0x20, 0x64);
    ok(intr, "specific EOI of 4");
    is_u64(pic_acknowledge(&pic), 0x0d, "now 5");
    out(0x20, 0x20);
    pic_set(&pic, 4, true);
    ok(!intr, "an edge counts once");
    out(0x21, 0x40);
    is_u64(in(0x21), 0x40, "the mask reads back");
    pulse(6);
    ok(!intr, "masked");
    out(0x21, 0x00);
    ok(intr, "and remembered");
    pic_set(&pic, 6, false);
    ok(!intr, "gone when the input falls first");
    is_u64(pic_acknowledge(&pic), 0x0f, "then the interrupt is spurious: input 7");
    out(0x20, 0x0b);
    is_u64(in(0x20), 0, "and not in service");
}

static void test_cascade(void)
{
    initialise(0x01);
    pulse(12);
    is_u64(pic_acknowledge(&pic), 0x74, "input 4 of the second");
    out(0x20, 0x0b);
    out(0xa0, 0x0b);
    is_u64(in(0x20) << 8 | in(0xa0), 0x0410, "both in service");
    pulse(8);
    ok(!intr, "the first one blocks its cascade input");
    out(0x20, 0x20);
    ok(intr, "until its EOI");
    is_u64(pic_acknowledge(&pic), 0x70, "then a higher one of the second nests");
    out(0xa0, 0x20);
    out(0xa0, 0x20);
    out(0x20, 0x20);
    pulse(14);
    pic_set(&pic, 14, false);
    ok(!intr, "a request of the second that goes takes its own along");
    pulse(14);
    pulse(3);
    is_u64(pic_acknowledge(&pic), 0x76, "cascade input 2 goes before 3");

    initialise(0x11);
    pulse(12);
    is_u64(pic_acknowledge(&pic), 0x74, "special fully nested mode");
    pulse(9);
    ok(intr, "a higher one of the second is passed");
    is_u64(pic_acknowledge(&pic), 0x71, "without EOI");
}

static void test_rotation(void)
{
    initialise(0x01);
    out(0x20, 0xc3);
    pulse(3);
    pulse(4);
    is_u64(pic_acknowledge(&pic), 0x0c, "set priority: 3 is lowest, 4 highest");
    out(0x20, 0xa0);
    pulse(4);
    is_u64(pic_acknowledge(&pic), 0x0b, "rotate on EOI: 4 is lowest");
    out(0x20, 0xe3);
    pulse(5);
    is_u64(pic_acknowledge(&pic), 0x0c, "rotate on specific EOI: 3 is lowest");
    out(0x20, 0x20);

    initialise(0x03);
    pulse(1);
    is_u64(pic_acknowledge(&pic), 0x09, "automatic EOI");
    out(0x20, 0x0b);
    is_u64(in(0x20), 0, "leaves nothing in service");
    out(0x20, 0x80);
    pulse(1);
    (void)pic_acknowledge(&pic);
    pulse(1);
    pulse(2 + 5);
    is_u64(pic_acknowledge(&pic), 0x0f, "rotating: 1 is lowest");
}

static void test_modes(void)
{
    initialise(0x01);
    pulse(1);
    (void)pic_acknowledge(&pic);
    out(0x21, 0x02);
    out(0x20, 0x68);
    pulse(5);
    ok(intr, "special mask mode: a lower priority passes a masked level");
    is_u64(pic_acknowledge(&pic), 0x0d, "5");
    out(0x20, 0x20);
    out(0x20, 0x0b);
    is_u64(in(0x20), 0x02, "non-specific EOI leaves the masked level alone");
    out(0x20, 0x48);
    pulse(5);
    ok(!intr, "left");

    initialise(0x01);
    pulse(3);
    out(0x20, 0x0c);
    is_u64(in(0x20), 0x83, "poll: request and level");
    out(0x20, 0x0b);
    is_u64(in(0x20), 0x08, "which is now in service");
    out(0x20, 0x0c);
    is_u64(in(0x21), 0x00, "poll by the other port: nothing");

    initialise(0x01);
    out(0x4d0, 0xff);
    out(0x4d1, 0xff);
    is_u64(port_bus_read(&ports, 0x4d0, 2), 0xdef8, "edge/level registers: some inputs are fixed");
    pic_set(&pic, 11, true);
    is_u64(pic_acknowledge(&pic), 0x73, "level");
    out(0xa0, 0x20);
    out(0x20, 0x20);
    ok(intr, "as long as it is high");
    pic_set(&pic, 11, false);
    ok(!intr, "and no longer");
    out(0x4d0, 0);
    out(0x4d1, 0);
}

static void test_initialisation(void)
{
    out(0x20, 0x13);
    out(0x21, 0x40);
    out(0x21, 0x01);
    out(0x21, 0xaa);
    is_u64(in(0x21), 0xaa, "single: no ICW3");
    out(0x20, 0x12);
    out(0x21, 0x50);
    out(0x21, 0x55);
    is_u64(in(0x21), 0x55, "without ICW4");
    out(0x21, 0);
    pulse(7);
    is_u64(pic_acknowledge(&pic), 0x57, "vector base");
    pulse(6);
    is_u64(port_bus_read(&ports, 0x20, 2), 0x0040, "command port: IRR");
}

static void test_state(void)
{
    uint8_t image[256];
    size_t size, used;

    initialise(0x01);
    pulse(4);
    size = device_save(&pic.chip[0].device, image, sizeof(image));
    (void)pic_acknowledge(&pic);
    ok(device_load(&pic.chip[0].device, image, size, &used) == VMM_OK, "saved and loaded");
    is_u64(pic_acknowledge(&pic), 0x0c, "the request is back");
}

int main(void)
{
    struct host *host = fake_host_new(0);

    port_bus_init(&ports);
    ok(pic_init(&pic, &ports, host_mutex_create(host), output, NULL) == VMM_OK, "there");
    test_basics();
    test_cascade();
    test_rotation();
    test_modes();
    test_initialisation();
    test_state();
    fake_host_free(host);
    return tap_done();
}
