/* SPDX-License-Identifier: MIT */
/* A screen of the terminal multiplexer. */
#include "services/terminal/screen.h"

void screen_reset(struct screen *screen)
{
    screen->produced = screen->shown = 0;
}

size_t screen_room(const struct screen *screen, bool front)
{
    return front ? SCREEN_SIZE - (size_t)(screen->produced - screen->shown) : SCREEN_SIZE;
}

void screen_put(struct screen *screen, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        screen->data[screen->produced++ % SCREEN_SIZE] = bytes[i];
    if (screen->produced - screen->shown > SCREEN_SIZE)
        screen->shown = screen->produced - SCREEN_SIZE;
}

void screen_put_lines(struct screen *screen, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            screen_put(screen, "\r", 1);
        screen_put(screen, &bytes[i], 1);
    }
}

size_t screen_unshown(const struct screen *screen, const char **bytes)
{
    size_t at = screen->shown % SCREEN_SIZE, size = (size_t)(screen->produced - screen->shown);

    *bytes = screen->data + at;
    return MIN(size, SCREEN_SIZE - at);
}

void screen_shown(struct screen *screen, size_t size)
{
    screen->shown += size;
}

void screen_rewind(struct screen *screen)
{
    uint64_t from = screen->produced > SCREEN_REPLAY ? screen->produced - SCREEN_REPLAY : 0;

    while (from && from < screen->produced && screen->data[(from - 1) % SCREEN_SIZE] != '\n')
        from++;
    if (from < screen->shown)
        screen->shown = from;
}
