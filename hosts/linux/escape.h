/* SPDX-License-Identifier: MIT */
/*
 * The escape key of the terminal: Ctrl-A begins a command to Graft; everything else is the
 * guest's.
 *
 * Ctrl-A x ends the machine, Ctrl-A p presses its power button, Ctrl-A h prints help, Ctrl-A
 * Ctrl-A sends one Ctrl-A. Before any other key the Ctrl-A is sent too.
 */
#ifndef HOSTS_LINUX_ESCAPE_H
#define HOSTS_LINUX_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ESCAPE_KEY       1u // Ctrl-A
#define ESCAPE_BYTES_MAX 2u // that one key can send

enum escape_command { ESCAPE_NONE, ESCAPE_END, ESCAPE_POWER, ESCAPE_HELP };

struct escape {
    bool prefix; // the last key was Ctrl-A
};

/* One key: what it sends is put into bytes, *n of them; what it commands is returned. */
enum escape_command escape_key(struct escape *escape, uint8_t key,
                               uint8_t bytes[ESCAPE_BYTES_MAX], size_t *n);

#endif
