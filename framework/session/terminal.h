/* SPDX-License-Identifier: MIT */
/*
 * The terminal session: a byte stream each way, through two rings in one shared dataspace. Service name "terminal"; the label says which.
 *
 * Open: word 0 of the request unused; capability: an SM {UP} of the client, signalled when there is input or room for output again.
 * Answer: capabilities: the dataspace {R W}, which the server owns, and an SM {UP} of the server, to be signalled after output was put or input
 * taken. Layout: the ring to the server at 0, the ring to the client at TERMINAL_INPUT, and at TERMINAL_ALIVE a word that the server has set: it reads 0
 * when the server has ended (core puts empty pages in the place of its memory). Either side may be hostile: lib/ring.h bounds it.
 */
#ifndef FRAMEWORK_SESSION_TERMINAL_H
#define FRAMEWORK_SESSION_TERMINAL_H

#include "framework/memory.h"
#include "framework/parent.h"
#include "lib/ring.h"

#define TERMINAL_RING   16384u // bytes each way, entries of 1 byte
#define TERMINAL_INPUT  20480u // offset of the second ring
#define TERMINAL_ALIVE  40896u
#define TERMINAL_MEMORY 40960u
_Static_assert(sizeof(struct ring_shared) + TERMINAL_RING <= TERMINAL_INPUT, "layout");
_Static_assert(TERMINAL_INPUT + sizeof(struct ring_shared) + TERMINAL_RING <= TERMINAL_ALIVE, "layout");

/* --- Client. One thread at a time for each direction. --- */

struct terminal {
    struct session session;
    struct mapping  memory;
    struct ring    output, input;
    uint32_t       server; // SM to signal
};

/*
 * notify: selector of an SM {UP, DOWN} of the caller, signalled for input, room, and the end of the session. terminal_open() waits on it
 * until the server has answered: look at everything else afterwards. deadline: absolute TSC, 0 for none.
 */
enum status terminal_open(struct terminal *terminal, const char *label, uint32_t notify, uint64_t deadline) MUST_CHECK;
void terminal_close(struct terminal *terminal);

/* The same without waiting: after the request and at each signal, terminal_poll() says OK, PENDING, or a failure (it is closed then). */
enum status terminal_request(struct terminal *terminal, const char *label, uint32_t notify) MUST_CHECK;
enum status terminal_poll(struct terminal *terminal) MUST_CHECK;

/* The server has ended: reads and writes take nothing any more. Another terminal may be requested; this one stays valid until closed. */
bool terminal_lost(const struct terminal *terminal);

/* Return how many bytes were taken; terminal_flush() tells the server. */
size_t terminal_write(struct terminal *terminal, const void *bytes, size_t size);
size_t terminal_read(struct terminal *terminal, void *buffer, size_t size);
void terminal_flush(struct terminal *terminal);

/* --- Server --- */

struct terminal_peer {
    uint32_t      id; // 0: unused
    struct mapping memory;
    struct ring   output, input; // from the client, to the client
    uint32_t      client;        // SM to signal
    uint32_t      slots;
    char          label[SESSION_NAME];
};

/* Serve an OPEN request: answers it in either case. signal: the server's SM. */
enum status terminal_peer_open(struct terminal_peer *peer, const struct session_request *request, uint32_t signal) MUST_CHECK;
void terminal_peer_close(struct terminal_peer *peer);

size_t terminal_peer_take(struct terminal_peer *peer, void *buffer, size_t size);
size_t terminal_peer_give(struct terminal_peer *peer, const void *bytes, size_t size);
void terminal_peer_signal(struct terminal_peer *peer);

#endif
