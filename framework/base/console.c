/* SPDX-License-Identifier: MIT */
/* The raw console: debug port and polled serial port (National Semiconductor PC16550D, register numbers in section 8). */
#include "framework/base/console.h"
#include "framework/hypercall.h"
#include "framework/io.h"

#define DEBUG_PORT  0xe9u
#define UART_DATA   (CONSOLE_SERIAL_PORT + 0)
#define UART_IER    (CONSOLE_SERIAL_PORT + 1)
#define UART_FCR    (CONSOLE_SERIAL_PORT + 2)
#define UART_LCR    (CONSOLE_SERIAL_PORT + 3)
#define UART_MCR    (CONSOLE_SERIAL_PORT + 4)
#define UART_LSR    (CONSOLE_SERIAL_PORT + 5)
#define UART_SCR    (CONSOLE_SERIAL_PORT + 7)
#define LSR_THRE    0x20u
#define WAIT_READS  100000u // a line that never drains must not hang the system

static bool ports_take(uint16_t port, uint64_t count)
{
    enum abi_status status = hc_delegate(ABI_SEL_ALL_PIO, ABI_SEL_ROOT_PIO, port, port, &count, ABI_PERM_PIO);

    return status == ABI_OK || status == ABI_OCCUPIED;
}

static bool uart_probe(void)
{
    out8(UART_SCR, 0x5a);
    if (in8(UART_SCR) != 0x5a)
        return false;
    out8(UART_SCR, 0xa5);
    return in8(UART_SCR) == 0xa5;
}

static void uart_program(void)
{
    out8(UART_IER, 0);
    out8(UART_LCR, 0x80);
    out8(UART_DATA, 1); // divisor 1: 115200 baud
    out8(UART_IER, 0);
    out8(UART_LCR, 0x03);
    out8(UART_FCR, 0x07);
    out8(UART_MCR, 0x03);
}

void console_serial_start(struct console *console)
{
    if (!console->serial_present)
        return;
    if (!ports_take(CONSOLE_SERIAL_PORT, CONSOLE_SERIAL_PORTS))
        return;
    console->serial = uart_probe();
    if (console->serial)
        uart_program();
}

void console_serial_stop(struct console *console)
{
    console->serial = false;
}

void console_open(struct console *console, bool serial, bool debug)
{
    console->debug = debug && ports_take(DEBUG_PORT, 1);
    console->serial_present = serial;
    console->serial = false;
    console_serial_start(console);
}

static void serial_put(struct console *console, char byte)
{
    for (unsigned i = 0; !(in8(UART_LSR) & LSR_THRE); i++)
        if (i == WAIT_READS) {
            console->serial = false;
            return;
        }
    out8(UART_DATA, (uint8_t)byte);
}

void console_write(struct console *console, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (console->debug)
            out8(DEBUG_PORT, (uint8_t)text[i]);
        if (console->serial && text[i] == '\n')
            serial_put(console, '\r');
        if (console->serial)
            serial_put(console, text[i]);
    }
}
