/* SPDX-License-Identifier: MIT */
/* The boot log on COM1 and port 0xe9, and panic(). */
#include "kernel/console.h"

#include "kernel/assert.h"
#include "kernel/interrupt.h"
#include "kernel/io.h"
#include "kernel/spinlock.h"

#include <stdarg.h>

#define COM1 0x3f8
#define UART_LSR 5
#define UART_LSR_THRE 0x20
#define DEBUG_PORT 0xe9

static struct spinlock console_lock;
uint32_t panicking; // read by entry_nmi

void console_init(void)
{
    static const uint8_t setup[][2] = {{1, 0}, {3, 0x80}, {0, 1}, {1, 0}, {3, 3}, {2, 7}, {4, 3}};
    for (unsigned i = 0; i < sizeof(setup) / sizeof(setup[0]); i++)
        io_out8(COM1 + setup[i][0], setup[i][1]);
}

static void put_byte(uint8_t byte)
{
    io_out8(DEBUG_PORT, byte);
    for (unsigned i = 0; i < 100000 && !(io_in8(COM1 + UART_LSR) & UART_LSR_THRE); i++)
        ;
    io_out8(COM1, byte);
}

static void put_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            put_byte('\r');
        put_byte((uint8_t)*text);
    }
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[21];
    unsigned at = sizeof(digits) - 1;
    digits[at] = 0;
    do
        digits[--at] = "0123456789abcdef"[value % base];
    while (value /= base);
    put_text(digits + at);
}

static void put_format(const char *format, va_list arguments)
{
    for (; *format; format++) {
        char literal[2] = {*format, 0};
        if (*format != '%') {
            put_text(literal);
        } else if (*++format == 's') {
            put_text(va_arg(arguments, const char *));
        } else if (*format == 'u') {
            put_number(va_arg(arguments, unsigned), 10);
        } else if (*format == 'l') {
            uint64_t value = va_arg(arguments, uint64_t);
            put_number(value, *++format == 'x' ? 16 : 10);
        }
    }
}

void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    spinlock_lock(&console_lock);
    put_format(format, arguments);
    spinlock_unlock(&console_lock);
    va_end(arguments);
}

void panic(const char *format, ...)
{
    va_list arguments;
    if (!__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL)) {
        ipi_stop_others();
        va_start(arguments, format);
        put_text("\npanic: ");
        put_format(format, arguments);
        put_text("\n");
        va_end(arguments);
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}
