/* SPDX-License-Identifier: MIT */
/*
 * The interface to a component's parent: sessions, services, exit. Requests go through the portal SEL_PARENT of the present CPU. A
 * parent never calls a child: it signals a semaphore that the child gave it, and the child asks. So no child can hold its parent up.
 *
 * A session is opened by service name and label. The parent routes it by its policy to a component that serves it, or answers itself from
 * what it has of core. It may take as long as the server takes to come up: the state is PENDING until then.
 *
 * What can travel: SESSION_WORDS numbers each way; up to SESSION_CLIENT_CAPS capabilities to the server, up to SESSION_SERVER_CAPS to the client.
 * Their meaning is the service's (framework/session/).
 *
 * Layouts: request words after the operation; reply words after the status. A text is a byte count and the bytes in whole words.
 */
#ifndef FRAMEWORK_PARENT_H
#define FRAMEWORK_PARENT_H

#include "framework/status.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_WORDS       4u
#define SESSION_CLIENT_CAPS 2u
#define SESSION_SERVER_CAPS 4u
#define SESSION_NAME        64u // bytes of a service name or label with its end

enum parent_operation {
    PARENT_OPEN,   // 4 words, service, label; caps: SM {UP} to signal changes, then the client's -> session
    PARENT_STATE,  // session -> enum session_state, failure status, 4 words; caps: the server's
    PARENT_CLOSE,  // session -> nothing
    PARENT_SERVE,  // cap: SM {UP} to signal requests -> nothing: the child now serves what its configuration says
    PARENT_NEXT,   // -> enum session_request_kind, session, CPU of the client, 4 words, service, label; caps: the client's
    PARENT_ANSWER, // session, status, 4 words; caps: the server's -> nothing
    PARENT_EXIT,   // exit code -> nothing
    PARENT_OPERATION_COUNT
};

enum session_state { SESSION_PENDING, SESSION_OPEN, SESSION_FAILED, SESSION_CLOSED };
enum session_request_kind { SESSION_REQUEST_NONE, SESSION_REQUEST_OPEN, SESSION_REQUEST_CLOSE };

/* --- Clients --- */

struct session_arguments {
    const char *service;
    const char *label;
    uint64_t    word[SESSION_WORDS];
    uint32_t    cap[SESSION_CLIENT_CAPS];   // selectors
    uint32_t    perms[SESSION_CLIENT_CAPS];
    unsigned    caps;
    uint32_t    notify; // selector of the SM {UP, DOWN} that is signalled at changes, or 0 for one of the session's own
};

struct session {
    uint32_t id;
    uint32_t notify;
    bool     own_notify;
    uint32_t slots;  // of the capabilities received
    unsigned caps;   // how many
    uint64_t word[SESSION_WORDS];
};

/* Opens and waits until the server has answered; deadline: absolute TSC, 0 for none (TIMEOUT closes the session). */
enum status session_open(struct session *session, const struct session_arguments *arguments, uint64_t deadline) MUST_CHECK;

/* Asks for it only; session_update() tells when it is OPEN, FAILED or CLOSED. *failure (may be NULL) says why. */
enum status session_request(struct session *session, const struct session_arguments *arguments) MUST_CHECK;
enum session_state session_update(struct session *session, enum status *failure);

/* Gives everything back; the capabilities are gone. */
void session_close(struct session *session);

/* --- Servers --- */

struct session_request {
    enum session_request_kind kind;
    uint32_t id;
    uint32_t cpu;
    uint64_t word[SESSION_WORDS];
    uint32_t cap[SESSION_CLIENT_CAPS];   // selectors of the server
    uint32_t perms[SESSION_CLIENT_CAPS];
    unsigned caps;
    uint32_t slots; // they lie in two slots from here, which the server frees (slots_remove) at the end of the session
    char     service[SESSION_NAME];
    char     label[SESSION_NAME];
};

enum status service_announce(uint32_t signal) MUST_CHECK;

/* The next request; kind NONE when there is none. */
enum status service_next(struct session_request *request) MUST_CHECK;

/* Answer an OPEN: with status OK the words and capabilities go to the client. A CLOSE is not answered. */
enum status service_answer(uint32_t id, enum status status, const uint64_t word[SESSION_WORDS], const uint64_t *caps,
                           unsigned count) MUST_CHECK;

/* --- The end --- */
_Noreturn void component_exit(uint64_t code);

#endif
