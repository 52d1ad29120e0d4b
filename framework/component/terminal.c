/* SPDX-License-Identifier: MIT */
/* Both sides of the terminal session. */
#include "framework/session/terminal.h"

#include "abi/hypercall.h"
#include "framework/hypercall.h"
#include "framework/message.h"
#include "framework/slots.h"
#include "lib/string.h"

static size_t put_bytes(struct ring *ring, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    while (done < size && ring_put(ring, &bytes[done]) == RING_OK)
        done++;
    return done;
}

static size_t take_bytes(struct ring *ring, uint8_t *buffer, size_t size)
{
    size_t done = 0;

    while (done < size && ring_take(ring, &buffer[done]) == RING_OK)
        done++;
    return done;
}

static bool rings_init(struct ring *output, struct ring *input, uint8_t *memory)
{
    return ring_init(output, memory, TERMINAL_RING, 1) == RING_OK &&
           ring_init(input, memory + TERMINAL_INPUT, TERMINAL_RING, 1) == RING_OK;
}

static volatile uint32_t *alive_word(const struct mapping *memory)
{
    return (volatile uint32_t *)((uint64_t)memory->address + TERMINAL_ALIVE);
}

enum status terminal_request(struct terminal *terminal, const char *label, uint32_t notify)
{
    struct session_arguments arguments = {
        .service = "terminal", .label = label, .cap = {notify}, .perms = {ABI_PERM_SM_UP}, .caps = 1, .notify = notify,
    };

    return session_request(&terminal->session, &arguments);
}

static MUST_CHECK enum status terminal_attach(struct terminal *terminal)
{
    enum status status = STATUS_INVALID;

    terminal->server = terminal->session.slots + 1;
    if (terminal->session.caps == 2)
        status = memory_attach(&terminal->memory, terminal->session.slots, ABI_PERM_MEM_R | ABI_PERM_MEM_W);
    if (status != STATUS_OK)
        return status;
    if (terminal->memory.size >= TERMINAL_MEMORY &&
        rings_init(&terminal->output, &terminal->input, terminal->memory.address))
        return STATUS_OK;
    memory_detach(&terminal->memory);
    return STATUS_INVALID;
}

enum status terminal_poll(struct terminal *terminal)
{
    enum status status;

    switch (session_update(&terminal->session, &status)) {
    case SESSION_PENDING:
        return STATUS_PENDING;
    case SESSION_OPEN:
        status = terminal_attach(terminal);
        break;
    default:
        status = status == STATUS_OK ? STATUS_ABORTED : status;
    }
    if (status != STATUS_OK)
        session_close(&terminal->session);
    return status;
}

enum status terminal_open(struct terminal *terminal, const char *label, uint32_t notify, uint64_t deadline)
{
    enum status status = terminal_request(terminal, label, notify);

    if (status != STATUS_OK)
        return status;
    while ((status = terminal_poll(terminal)) == STATUS_PENDING) {
        status = status_of(hc_down(notify, ABI_SM_ALL, deadline));
        if (status == STATUS_OK)
            continue;
        session_close(&terminal->session);
        break;
    }
    return status;
}

bool terminal_lost(const struct terminal *terminal)
{
    return *alive_word(&terminal->memory) == 0;
}

void terminal_close(struct terminal *terminal)
{
    memory_detach(&terminal->memory);
    session_close(&terminal->session);
}

size_t terminal_write(struct terminal *terminal, const void *bytes, size_t size)
{
    return put_bytes(&terminal->output, bytes, size);
}

size_t terminal_read(struct terminal *terminal, void *buffer, size_t size)
{
    return take_bytes(&terminal->input, buffer, size);
}

void terminal_flush(struct terminal *terminal)
{
    (void)!hc_up(terminal->server); // a server that is gone needs no signal
}

enum status terminal_peer_open(struct terminal_peer *peer, const struct session_request *request, uint32_t signal)
{
    enum status status = STATUS_INVALID;
    uint64_t caps[2];

    memset(peer, 0, sizeof *peer);
    if (request->caps == 1)
        status = memory_alloc(&peer->memory, TERMINAL_MEMORY, PAGE_SIZE);
    if (status != STATUS_OK) {
        (void)!service_answer(request->id, status, NULL, NULL, 0);
        slots_remove(request->slots, SESSION_CLIENT_CAPS);
        return status;
    }
    *alive_word(&peer->memory) = 1;
    peer->client = request->cap[0];
    peer->slots = request->slots;
    memcpy(peer->label, request->label, sizeof peer->label);
    caps[0] = message_cap(peer->memory.slot, ABI_PERM_MEM_R | ABI_PERM_MEM_W);
    caps[1] = message_cap(signal, ABI_PERM_SM_UP);
    status = rings_init(&peer->output, &peer->input, peer->memory.address)
        ? service_answer(request->id, STATUS_OK, NULL, caps, 2) : STATUS_INVALID;
    if (status == STATUS_OK)
        peer->id = request->id;
    else
        terminal_peer_close(peer);
    return status;
}

void terminal_peer_close(struct terminal_peer *peer)
{
    memory_free(&peer->memory);
    slots_remove(peer->slots, SESSION_CLIENT_CAPS);
    peer->id = 0;
}

size_t terminal_peer_take(struct terminal_peer *peer, void *buffer, size_t size)
{
    return take_bytes(&peer->output, buffer, size);
}

size_t terminal_peer_give(struct terminal_peer *peer, const void *bytes, size_t size)
{
    return put_bytes(&peer->input, bytes, size);
}

void terminal_peer_signal(struct terminal_peer *peer)
{
    (void)!hc_up(peer->client);
}
