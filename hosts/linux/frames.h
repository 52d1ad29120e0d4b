/* SPDX-License-Identifier: MIT */
/*
 * The framing by which a guest's command sends its output and status over a console that others print on too.
 *
 * The guest's agent (tools/guest/agent.c) writes lines; all other text on the console is ignored:
 *     @NONCE:TEXT          output; control characters, backslash and bytes from 0x7f on are written \xx (hex)
 *     @NONCE=STATUS,BYTES  the end: exit status 0 to 255 and how many bytes of output were sent in all
 *     @NONCE!TEXT          the command could not be run
 * A line may follow other text (a prefix of a terminal multiplexer) and end in \r\n. Output is never longer than
 * FRAME_LINE bytes a line. The decoder keeps one line and allocates nothing.
 */
#ifndef HOSTS_LINUX_FRAMES_H
#define HOSTS_LINUX_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_LINE 4096

enum frames_state { FRAMES_RUNNING, FRAMES_DONE, FRAMES_FAILED, FRAMES_DAMAGED };

struct frames {
    char nonce[40];
    char line[FRAME_LINE + 1];
    size_t used;
    uint64_t bytes; // of output received so far
    enum frames_state state;
    int status;     // valid when DONE
    char reason[200]; // valid when FAILED or DAMAGED
    void (*output)(void *context, const char *data, size_t size);
    void *context;
};

void frames_init(struct frames *f, const char *nonce, void (*output)(void *, const char *, size_t), void *context);

/* Feed what the console printed. What follows the end is ignored. */
void frames_feed(struct frames *f, const char *data, size_t size);

#endif
