/* SPDX-License-Identifier: MIT */
/* The boot log: COM1 (115200 8N1) and port 0xe9. Serialized between CPUs. Formats: %s %u %lu %lx, nothing else. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

void console_init(void);
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
