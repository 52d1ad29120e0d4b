/* SPDX-License-Identifier: MIT */
/* The boot log on COM1 and port 0xe9, and panic(). */
#include "kernel/console.h"

#include "kernel/assert.h"
#include "kernel/interrupt.h"
#include "kernel/io.h"
#include "kernel/spinlock.h"
#include "lib/format.h"

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

static void console_put(struct format_sink *sink, const char *text, size_t size)
{
    (void)sink;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n')
            put_byte('\r');
        put_byte((uint8_t)text[i]);
    }
}

void print(const char *format, ...)
{
    struct format_sink sink = {console_put};
    va_list arguments;
    va_start(arguments, format);
    spinlock_lock(&console_lock);
    format_to_va(&sink, format, arguments);
    spinlock_unlock(&console_lock);
    va_end(arguments);
}

void panic(const char *format, ...)
{
    struct format_sink sink = {console_put};
    va_list arguments;
    if (!__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL)) {
        ipi_stop_others();
        va_start(arguments, format);
        format_to(&sink, "\npanic: ");
        format_to_va(&sink, format, arguments);
        format_to(&sink, "\n");
        va_end(arguments);
    }
    for (;;)
        __asm__ volatile("cli; hlt");
}
