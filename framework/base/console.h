/* SPDX-License-Identifier: MIT */
/*
 * The raw console of a root task: the debug port 0xe9 and the first serial port (16550A at 0x3f8, polled, 115200 8N1). Only for a PD
 * that holds ABI_SEL_ALL_PIO. Not locked: the caller serializes.
 */
#ifndef FRAMEWORK_BASE_CONSOLE_H
#define FRAMEWORK_BASE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

struct console {
    bool debug;
    bool serial;
    bool serial_present;
};

#define CONSOLE_SERIAL_PORT  0x3f8u
#define CONSOLE_SERIAL_PORTS 8u

/* Takes the ports for the running PD (its PIO space is ABI_SEL_ROOT_PIO). */
void console_open(struct console *console, bool serial, bool debug);

/* Stop and start using the serial port; start programs it anew. */
void console_serial_stop(struct console *console);
void console_serial_start(struct console *console);

/* A newline on the serial line becomes carriage return and newline. */
void console_write(struct console *console, const char *text, size_t size);

#endif
