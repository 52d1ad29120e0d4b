/* SPDX-License-Identifier: MIT */
/* Keyboard controller, small ports, PCI bridges, power management. */
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"
#include "vmm/devices/board.h"
#include "vmm/devices/pci.h"
#include "vmm/devices/pm.h"

#include <string.h>

static struct host *host;
static struct clock clk;
static struct port_bus ports;
static struct irq_hub hub;
static struct i8042 kbc;
static struct board board;
static struct pci pci;
static struct pm pm;
static bool lines[16];
static unsigned resets, exits, offs, controls;
static uint32_t exit_value;

static void heard(void *device, unsigned number, bool level)
{
    (void)device;
    lines[number] = level;
}

static void reset(void *context)
{
    (void)context;
    resets++;
}

static void debug_exit(void *context, uint32_t value)
{
    (void)context;
    exits++;
    exit_value = value;
}

static void power_off(void *context)
{
    (void)context;
    offs++;
}

static void reset_control(void *context, uint8_t value)
{
    (void)context;
    (void)value;
    controls++;
}

static void out(uint16_t port, unsigned size, uint32_t value)
{
    port_bus_write(&ports, port, size, value);
}

static uint32_t in(uint16_t port, unsigned size)
{
    return port_bus_read(&ports, port, size);
}

/* All that waits in the output buffer, as one number. */
static uint64_t drain(void)
{
    uint64_t all = 0;

    while (in(0x64, 1) & 1)
        all = all << 8 | in(0x60, 1);
    return all;
}

static uint64_t command(uint8_t byte)
{
    out(0x64, 1, byte);
    return drain();
}

static uint64_t keyboard(uint8_t byte)
{
    out(0x60, 1, byte);
    return drain();
}

static uint64_t mouse(uint8_t byte)
{
    out(0x64, 1, 0xd4);
    out(0x60, 1, byte);
    return drain();
}

static void test_controller(void)
{
    is_u64(in(0x64, 1), 0x14, "status after reset");
    is_u64(command(0xaa), 0x55, "self test");
    is_u64(command(0xab), 0x00, "keyboard interface");
    is_u64(command(0xa9), 0x00, "mouse interface");
    is_u64(command(0x20), 0x65, "command byte");
    out(0x64, 1, 0x60);
    ok(in(0x64, 1) & 8, "the last write was a command");
    out(0x60, 1, 0x03);
    is_u64(command(0x20), 0x03, "written");
    is_u64(command(0xa7) | command(0xad) | command(0x20), 0x33, "both disabled");
    is_u64(command(0xa8) | command(0xae) | command(0x20), 0x03, "both enabled");
    out(0x64, 1, 0x65);
    out(0x60, 1, 0xab);
    is_u64(command(0x25), 0xab, "controller memory");
    out(0x64, 1, 0xd2);
    out(0x60, 1, 0x77);
    ok(lines[1] && !lines[12] && !(in(0x64, 1) & 0x20), "keyboard output, interrupt 1");
    is_u64(drain(), 0x77, "read");
    ok(!lines[1], "which clears it");
    out(0x64, 1, 0xd3);
    out(0x60, 1, 0x78);
    ok(lines[12] && !lines[1] && (in(0x64, 1) & 0x20), "mouse output, interrupt 12");
    is_u64(drain(), 0x78, "read");
    is_u64(command(0xd0), 0xcf, "output port");
    (void)command(0xdd);
    is_u64(command(0xd0), 0xcd, "A20 off");
    is_u64(in(0x92, 1), 0x00, "port 92h sees it");
    out(0x92, 1, 2);
    is_u64(command(0xd0), 0xcf, "and sets it");
    is_u64(resets, 0, "no reset so far");
    out(0x64, 1, 0xfe);
    is_u64(resets, 1, "pulse of output bit 0");
    out(0x64, 1, 0xff);
    is_u64(resets, 1, "pulse of nothing");
    out(0x64, 1, 0xd1);
    out(0x60, 1, 0xce);
    is_u64(resets, 2, "reset by the output port");
    out(0x92, 1, 3);
    out(0x92, 1, 3);
    is_u64(resets, 3, "fast reset, once an edge");
    out(0x92, 1, 2);
}

static void test_keyboard_and_mouse(void)
{
    is_u64(keyboard(0xff), 0xfaaa, "keyboard reset");
    is_u64(keyboard(0xf2), 0xfaab83, "keyboard identifier");
    is_u64(keyboard(0xee), 0xee, "echo");
    is_u64(keyboard(0xed), 0xfa, "LEDs");
    is_u64(keyboard(0x05), 0xfa, "their argument");
    is_u64(keyboard(0xf0), 0xfa, "scan code set");
    is_u64(keyboard(0x00), 0xfa02, "is 2");
    is_u64(keyboard(0xf5) << 8 | keyboard(0xf4), 0xfafa, "disable, enable");
    is_u64(keyboard(0x01), 0xfe, "unknown");
    (void)keyboard(0xee);
    is_u64(keyboard(0xfe), 0xee, "resend");
    out(0x64, 1, 0x60);
    out(0x60, 1, 0x40);
    is_u64(keyboard(0xf2), 0xfaab41, "identifier, translated");
    is_u64(mouse(0xff), 0xfaaa00, "mouse reset");
    is_u64(mouse(0xf2), 0xfa00, "mouse identifier");
    is_u64(mouse(0xf3) << 8 | mouse(0x50), 0xfafa, "sample rate");
    is_u64(mouse(0xf4), 0xfa, "enable");
    is_u64(mouse(0xe9), 0xfa200250, "status: enabled, resolution, rate");
    is_u64(mouse(0xeb), 0xfa080000, "a packet");
    is_u64(mouse(0x11), 0xfe, "unknown");
    (void)command(0xad);
    out(0x60, 1, 0xee);
    for (unsigned i = 0; i < 40; i++)
        out(0x60, 1, 0xf2);
    ok(drain() != 0, "more answers than fit do no harm");
    is_u64(keyboard(0xee), 0xee, "and it goes on");
}

static void test_ports(void)
{
    out(0x80, 1, 0xa5);
    is_u64(in(0x80, 1), 0xa5, "post code");
    out(0xe9, 1, 'h');
    out(0x402, 1, 'i');
    ok(!memcmp(host->console[HOST_CONSOLE_DEBUG], "hi", 2), "debug console");
    is_u64(in(0xe9, 1), 0xe9, "announces itself");
    out(0x501, 4, 0x12345);
    is_u64(exits == 1 ? exit_value : 0, 0x12345, "debug exit");
    is_u64(in(0x501, 4), 0xffffffff, "not readable");
}

static void config(uint8_t devfn, uint8_t reg)
{
    out(0xcf8, 4, 0x80000000u | (uint32_t)devfn << 8 | (reg & 0xfc));
}

static void test_pci(void)
{
    config(0, 0);
    is_u64(in(0xcf8, 4), 0x80000000, "configuration address");
    is_u64(in(0xcfc, 4), 0x12378086, "host bridge");
    config(0x08, 0);
    is_u64(in(0xcfc, 4), 0x70008086, "ISA bridge");
    config(0x08, 0x0c);
    is_u64(in(0xcfe, 1), 0x80, "a multi-function device");
    config(0x38, 0);
    is_u64(in(0xcfc, 4), 0x71138086, "power management");
    config(0x38, 8);
    is_u64(in(0xcfc, 4), 0x06800008, "class and revision");
    config(0x38, 0x3c);
    is_u64(in(0xcfc, 2), 0x0109, "interrupt");
    config(0x38, 0x40);
    is_u64(in(0xcfc, 4), 0x4001, "PM base");
    config(0, 0);
    out(0xcfc, 4, 0xdeadbeef);
    is_u64(in(0xcfc, 4), 0x12378086, "identifiers are read-only");
    config(0, 4);
    out(0xcfc, 2, 0xffff);
    is_u64(in(0xcfc, 2), 0x0106, "command: writable bits");
    config(0, 0x10);
    out(0xcfc, 4, 0xffffffff);
    is_u64(in(0xcfc, 4), 0, "no base address register");
    config(0x08, 0x60);
    out(0xcfd, 1, 0x0b);
    is_u64(in(0xcfc, 4), 0x80800b80, "PIRQ routing, by bytes");
    config(0x09, 0);
    is_u64(in(0xcfc, 4), 0xffffffff, "no such function");
    out(0xcf8, 4, 0x80010000);
    is_u64(in(0xcfc, 4), 0xffffffff, "no such bus");
    out(0xcf8, 4, 0x00000000);
    is_u64(in(0xcfc, 4), 0xffffffff, "not enabled");
    out(0xcf8, 4, 0xffffffff);
    is_u64(in(0xcf8, 4), 0x80fffffc, "reserved address bits");
    out(0xcf8, 1, 0x12);
    is_u64(in(0xcf8, 4), 0x80fffffc, "only 32 bits reach it");
    out(0xcf9, 1, 0x02);
    is_u64(controls, 0, "reset control: kind");
    out(0xcf9, 1, 0x06);
    is_u64(controls, 1, "and reset");
    is_u64(in(0xcf9, 1), 0x06, "reads back");
}

static void test_pm(void)
{
    uint32_t start;

    is_u64(in(0x4004, 2), 0, "not in ACPI mode");
    out(0xb2, 1, 0xa1);
    is_u64(in(0x4004, 2), 1, "SCI_EN by SMI command");
    is_u64(in(0xb2, 1), 0xa1, "command reads back");
    out(0xb3, 1, 0x17);
    is_u64(in(0xb3, 1), 0x17, "status port");
    start = in(0x4008, 4);
    fake_host_pass(host, &clk, 1000000000);
    is_u64(in(0x4008, 4) - start, 3579545, "PM timer");
    is_u64(in(0x4009, 1), in(0x4008, 4) >> 8 & 0xff, "by bytes");
    ok(!pm_power_button(&pm), "the power button, with nobody listening");
    is_u64(in(0x4000, 2) & 0x100, 0x100, "is noted");
    ok(!lines[9], "no interrupt");
    out(0x4002, 2, 0x100);
    ok(lines[9], "until it is enabled");
    out(0x4000, 2, 0x100);
    ok(!lines[9] && !(in(0x4000, 2) & 0x100), "write 1 to clear");
    ok(pm_power_button(&pm) && lines[9], "heard");
    out(0x4000, 1, 0xff);
    ok(lines[9], "the other byte's bits do not clear it");
    out(0x4001, 1, 0x01);
    ok(!lines[9], "its own does");
    out(0x4000, 4, 0x01010100);
    is_u64(in(0x4002, 2), 0x0101 & 0x0721, "enable, written with status");
    out(0x4000, 2, 0xffff);
    out(0x4002, 2, 0x0001);
    host->timer_calls = 0;
    fake_host_pass(host, &clk, 600ull * 1000000000);
    ok(lines[9], "timer overflow interrupts");
    out(0x4000, 2, 1);
    ok(!lines[9], "and is cleared");
    out(0x4002, 2, 0);
    ok(host->timer_calls < 10, "the timer fires seldom");
    out(0x400c, 4, 0xffff0000);
    is_u64(in(0x400e, 2), 0xffff, "GPE enable");
    is_u64(in(0x400c, 2), 0, "GPE status");
    out(0x400e, 1, 0x12);
    is_u64(in(0x400c, 4), 0xff120000, "by bytes");
    out(0x4004, 2, 0x1c01);
    is_u64(offs, 0, "sleep type alone does nothing");
    out(0x4004, 2, 0x2001);
    is_u64(offs, 0, "nor another sleep state");
    out(0x4004, 2, 5 << 10 | 0x2001);
    is_u64(offs, 1, "S5");
    is_u64(in(0x4004, 2), 5 << 10 | 1, "SLP_EN reads 0");
    out(0xb2, 1, 0xa0);
    is_u64(in(0x4004, 2) & 1, 0, "back to legacy mode");
}

int main(void)
{
    struct host_mutex *lock;

    host = fake_host_new(0);
    lock = host_mutex_create(host);
    port_bus_init(&ports);
    irq_hub_init(&hub);
    hub.pic = heard;
    board.kbc = &kbc;
    board.reset = reset;
    board.debug_exit = debug_exit;
    ok(clock_init(&clk, host) == VMM_OK, "clock");
    ok(i8042_init(&kbc, &ports, lock, &hub, reset, NULL) == VMM_OK, "keyboard controller");
    ok(board_init(&board, &ports, lock, host, 0x501) == VMM_OK, "board");
    ok(pci_init(&pci, &ports, lock, reset_control, NULL) == VMM_OK, "PCI");
    ok(pm_init(&pm, &ports, lock, &clk, &hub, power_off, NULL) == VMM_OK, "power management");
    test_controller();
    test_keyboard_and_mouse();
    test_ports();
    test_pci();
    test_pm();
    fake_host_free(host);
    return tap_done();
}
