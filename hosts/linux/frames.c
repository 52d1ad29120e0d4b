/* SPDX-License-Identifier: MIT */
/* The decoder of the framing of a guest command's output. */
#include "hosts/linux/frames.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void frames_init(struct frames *f, const char *nonce, void (*output)(void *, const char *, size_t), void *context)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->nonce, sizeof(f->nonce), "@%s", nonce);
    f->output = output;
    f->context = context;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void damaged(struct frames *f, const char *what)
{
    f->state = FRAMES_DAMAGED;
    snprintf(f->reason, sizeof(f->reason), "%s", what);
}

static void take_output(struct frames *f, char *text)
{
    size_t size = 0;
    for (const char *p = text; *p; p++) {
        if (*p != '\\') {
            text[size++] = *p;
            continue;
        }
        int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
        if (low < 0) {
            damaged(f, "a broken escape in the command's output");
            return;
        }
        text[size++] = (char)(high << 4 | low);
        p += 2;
    }
    f->bytes += size;
    f->output(f->context, text, size);
}

static void take_end(struct frames *f, const char *text)
{
    int status;
    uint64_t bytes;
    int length = 0;
    if (sscanf(text, "%d,%" SCNu64 "%n", &status, &bytes, &length) != 2 || text[length] || status < 0 || status > 255) {
        damaged(f, "a broken end of the command's output");
        return;
    }
    if (bytes != f->bytes) {
        f->state = FRAMES_DAMAGED;
        snprintf(f->reason, sizeof(f->reason), "the command wrote %" PRIu64 " bytes, but %" PRIu64 " arrived", bytes, f->bytes);
        return;
    }
    f->status = status;
    f->state = FRAMES_DONE;
}

static void take_line(struct frames *f)
{
    f->line[f->used] = 0;
    f->used = 0;
    char *at = strstr(f->line, f->nonce);
    if (!at)
        return;
    at += strlen(f->nonce);
    if (*at == ':') {
        take_output(f, at + 1);
    } else if (*at == '=') {
        take_end(f, at + 1);
    } else if (*at == '!') {
        f->state = FRAMES_FAILED;
        snprintf(f->reason, sizeof(f->reason), "%.190s", at + 1);
    }
}

void frames_feed(struct frames *f, const char *data, size_t size)
{
    for (size_t i = 0; i < size && f->state == FRAMES_RUNNING; i++) {
        char c = data[i];
        if (c == '\n')
            take_line(f);
        else if (c != '\r' && c != 0 && f->used < FRAME_LINE)
            f->line[f->used++] = c;
    }
}
