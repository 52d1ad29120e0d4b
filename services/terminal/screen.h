/* SPDX-License-Identifier: MIT */
/*
 * What one screen of the multiplexer has to show: the last SCREEN_SIZE bytes of its output, and how much of them has been shown. No
 * locking; one thread.
 */
#ifndef SERVICES_TERMINAL_SCREEN_H
#define SERVICES_TERMINAL_SCREEN_H

#include "lib/align.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_SIZE   32768u
#define SCREEN_REPLAY 4096u // shown again when the screen comes to the front

struct screen {
    uint64_t produced, shown; // bytes ever
    char data[SCREEN_SIZE];
};

void screen_reset(struct screen *screen);
/* How much may be put: without end in the background, where the oldest goes; in front what is not shown must not go. */
size_t screen_room(const struct screen *screen, bool front);
void screen_put(struct screen *screen, const char *bytes, size_t size);
/* The same with "\n" made "\r\n". */
void screen_put_lines(struct screen *screen, const char *bytes, size_t size);
/* The next bytes to show, in one piece; 0: none. screen_shown() says how many were. */
size_t screen_unshown(const struct screen *screen, const char **bytes);
void screen_shown(struct screen *screen, size_t size);
/* Shows the last lines again. */
void screen_rewind(struct screen *screen);

#endif
