/* SPDX-License-Identifier: MIT */
/* A terminal server that logs what it is sent, line by line, and faults when a line is "die". One client. */
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/session/terminal.h"
#include "framework/slots.h"
#include "lib/string.h"

static struct terminal_peer peer;
static char   line[80];
static size_t length;

static void take(void)
{
    char byte;

    while (peer.id && terminal_peer_take(&peer, &byte, 1)) {
        if (byte == '\r')
            continue;
        if (byte != '\n' && length < sizeof line - 1) {
            line[length++] = byte;
            continue;
        }
        line[length] = 0;
        length = 0;
        if (strcmp(line, "die") == 0)
            __builtin_trap();
        log_print("heard: %s", line);
        terminal_peer_give(&peer, "k", 1);
        terminal_peer_signal(&peer);
    }
}

int main(void)
{
    struct session_request request;
    uint32_t signal = slots_alloc(1);

    if (hc_create_sm(signal, SEL_PD, 0) != ABI_OK || service_announce(signal) != STATUS_OK)
        return 1;
    do {
        while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE)
            if (request.kind == SESSION_REQUEST_OPEN && terminal_peer_open(&peer, &request, signal) != STATUS_OK)
                return 2;
        take();
    } while (hc_down(signal, ABI_SM_ALL, 0) == ABI_OK);
    return 3;
}
