/* SPDX-License-Identifier: MIT */
/* The 16550A. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/uart.h"

#include <string.h>

static struct host *host;
static struct clock clk;
static struct port_bus ports;
static struct irq_hub hub;
static struct uart uart;
static bool irq;

enum { RBR = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static void heard(void *device, unsigned number, bool level)
{
    (void)device;
    irq = number == 4 ? level : irq;
}

static void out(uint16_t port, uint8_t value)
{
    port_bus_write(&ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
    return (uint8_t)port_bus_read(&ports, port, 1);
}

static size_t input(const char *text)
{
    return uart_input(&uart, (const uint8_t *)text, strlen(text));
}

static void test_registers(void)
{
    is_u64(in(LSR), 0x60, "LSR after reset");
    is_u64(in(IIR), 0x01, "no interrupt");
    is_u64(in(MSR), 0xb0, "modem lines on");
    out(SCR, 0x5a);
    is_u64(in(SCR), 0x5a, "scratch");
    out(IER, 0xff);
    is_u64(in(IER), 0x0f, "IER has four bits");
    out(IER, 0);
    out(LCR, 0x83);
    out(RBR, 0x01);
    out(IER, 0x02);
    is_u64(in(RBR) | in(IER) << 8, 0x0201, "divisor latch");
    out(RBR, 12);
    out(IER, 0);
    out(LCR, 0x03);
    is_u64(in(LCR), 0x03, "LCR");
    is_u64(in(IER), 0, "IER is behind the latch");
    out(LSR, 0xff);
    out(MSR, 0xff);
    is_u64(in(LSR) << 8 | in(MSR), 0x60b0, "LSR and MSR are read-only");
    out(IIR, 0x01);
    is_u64(in(IIR), 0xc1, "FIFOs on");
    out(IIR, 0xce);
    is_u64(in(IIR), 0x01, "FIFOs off: nothing else is kept");
    out(MCR, 0xff);
    is_u64(in(MCR), 0x1f, "MCR has five bits");
    out(MCR, 0x08);
    (void)in(MSR);
}

static void test_transmit(void)
{
    out(IER, 0x02);
    ok(irq, "THRE interrupt when it is enabled");
    is_u64(in(IIR), 0x02, "identified");
    ok(!irq, "which clears it");
    out(RBR, 'a');
    ok(irq, "and again after a byte");
    out(RBR, 'b');
    ok(host->console_size[0] == 2 && !memcmp(host->console[0], "ab", 2), "bytes on the stream");
    out(MCR, 0x00);
    ok(!irq, "OUT2 gates the interrupt");
    out(MCR, 0x08);
    ok(irq, "and lets it through again");
    (void)in(IIR);
    host->console_room = 1;
    out(RBR, 'c');
    ok(in(LSR) & 0x20, "room for one");
    (void)in(IIR);
    out(RBR, 'd');
    is_u64(in(LSR) & 0x60, 0, "the host is full: busy");
    ok(!irq, "and no interrupt");
    host->console_room = 100;
    uart_ready(&uart);
    is_u64(in(LSR) & 0x60, 0x60, "empty again");
    ok(irq, "with an interrupt");
    out(IIR, 0x01);
    host->console_room = 0;
    for (unsigned i = 0; i < 20; i++)
        out(RBR, (uint8_t)('A' + i));
    host->console_room = 10;
    uart_ready(&uart);
    is_u64(in(LSR) & 0x20, 0, "six still wait");
    host->console_room = SIZE_MAX;
    uart_ready(&uart);
    ok(host->console_size[0] == 20 && !memcmp(host->console[0], "abcdABCDEFGHIJKLMNOP", 20),
       "16 bytes in order; what overran the FIFO is lost");
    out(IER, 0);
}

static void test_receive(void)
{
    out(IIR, 0x00);
    out(IER, 0x01);
    ok(!irq && input("x") == 1 && irq, "a byte interrupts");
    is_u64(input("y"), 0, "without FIFO there is room for one");
    is_u64(in(IIR), 0x04, "identified");
    is_u64(in(LSR), 0x61, "data ready");
    host->resumed = 0;
    is_u64(in(RBR), 'x', "read");
    is_u64(host->resumed, 1, "the host hears of the room");
    ok(!irq && !(in(LSR) & 1), "and nothing is left");

    out(IIR, 0x81);
    is_u64(input("1234567"), 7, "seven bytes, trigger at eight");
    ok(!irq, "no interrupt yet");
    fake_host_pass(host, &clk, 4166000);
    ok(!irq, "not before four characters' time");
    fake_host_pass(host, &clk, 2000);
    ok(irq, "time-out (9600 baud, 10 bits)");
    is_u64(in(IIR), 0xcc, "identified");
    is_u64(in(RBR), '1', "a read");
    ok(!irq, "clears it");
    is_u64(input("89"), 2, "two more");
    ok(irq && in(IIR) == 0xc4, "trigger level");
    is_u64(input("abcdefghijk"), 8, "the FIFO takes 16");
    for (unsigned i = 0; i < 9; i++)
        (void)in(RBR);
    ok(!irq, "below the trigger level");
    is_u64(in(RBR), 'b', "in order");
    out(IIR, 0x83);
    is_u64(in(LSR), 0x60, "cleared");
    fake_host_pass(host, &clk, 10000000);
    ok(!irq, "and no time-out");
    is_u64(in(RBR), 0, "nothing to read");
    out(IER, 0);
}

static void test_loop(void)
{
    out(IIR, 0x01);
    out(MCR, 0x1f);
    is_u64(in(MSR) & 0xf0, 0xf0, "loop-back: modem outputs to inputs");
    out(MCR, 0x10);
    is_u64(in(MSR), 0x0f, "all fell: all deltas, ring's too");
    is_u64(in(MSR), 0x00, "reading clears them");
    out(MCR, 0x12);
    is_u64(in(MSR), 0x11, "RTS to CTS");
    out(RBR, 0x5a);
    is_u64(in(LSR), 0x61, "a byte comes back");
    is_u64(in(RBR), 0x5a, "the same");
    for (unsigned i = 0; i < 17; i++)
        out(RBR, (uint8_t)i);
    is_u64(in(LSR), 0x63, "overrun");
    is_u64(in(LSR), 0x61, "reported once");
    is_u64(input("q"), 0, "no input meanwhile");
    out(MCR, 0x08);
    out(IIR, 0x03);
    (void)in(MSR);
    out(IER, 0x0c);
    out(MCR, 0x18);
    is_u64(in(IIR), 0xc0, "modem status interrupt");
    ok(!irq, "kept from the line in loop-back");
    (void)in(MSR);
    out(RBR, 1);
    for (unsigned i = 0; i < 17; i++)
        out(RBR, (uint8_t)i);
    is_u64(in(IIR), 0xc6, "line status goes first");
    (void)in(LSR);
    is_u64(in(IIR), 0xc1, "until read");
    out(MCR, 0x08);
    out(IER, 0);
}

static void test_state(void)
{
    uint8_t image[256];
    size_t size, used;

    out(IIR, 0x03);
    out(IER, 0x01);
    (void)input("hello");
    size = device_save(&uart.device, image, sizeof(image));
    device_reset(&uart.device);
    is_u64(in(LSR), 0x60, "reset");
    ok(device_load(&uart.device, image, size, &used) == VMM_OK, "loaded");
    ok(irq || in(LSR) & 1, "as it was");
    is_u64(in(RBR), 'h', "with its bytes");
}

int main(void)
{
    host = fake_host_new(0);
    port_bus_init(&ports);
    irq_hub_init(&hub);
    hub.pic = heard;
    ok(clock_init(&clk, host) == VMM_OK &&
       uart_init(&uart, &ports, host_mutex_create(host), &clk, &hub, host, HOST_CONSOLE_COM1, RBR,
                 4) == VMM_OK, "there");
    test_registers();
    test_transmit();
    test_receive();
    test_loop();
    test_state();
    fake_host_free(host);
    return tap_done();
}
