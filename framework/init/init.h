/* SPDX-License-Identifier: MIT */
/*
 * Init's state: the children of its configuration and the sessions between them. One instance; changed under the entrypoint's lock only.
 */
#ifndef FRAMEWORK_INIT_INIT_H
#define FRAMEWORK_INIT_INIT_H

#include "framework/entrypoint.h"
#include "framework/init/config.h"
#include "framework/parent.h"

#define SESSION_MAX 256u
#define PORTAL_MAX  ((START_MAX + 1) * ABI_CPU_MAX)
#define CAP_BLOCK   4u // slots of a window: SESSION_SERVER_CAPS, or the signal and SESSION_CLIENT_CAPS
_Static_assert(CAP_BLOCK >= SESSION_SERVER_CAPS && CAP_BLOCK > SESSION_CLIENT_CAPS, "windows hold a message");

enum child_state { CHILD_STOPPED, CHILD_UP, CHILD_ENDING, CHILD_WAITING };

struct child {
    struct init        *init;
    const struct start *start;
    enum child_state    state;
    uint32_t            core;          // core's id
    uint64_t            cpu_mask;
    struct portal      *portal[ABI_CPU_MAX];
    bool                serving;
    uint32_t            serve_slots;   // window block with the signal in it
    bool                exited;
    uint64_t            exit_code;
    uint64_t            started;       // TSC
    uint64_t            restart_at;    // TSC
    unsigned            backoff_ms;
    struct mapping       config;        // its ROM "config"
    bool                has_config;
};

enum resource { RESOURCE_NONE, RESOURCE_SLOT, RESOURCE_MEMORY, RESOURCE_IRQ, RESOURCE_PORT };

/* A session between a client and a server, or between a client and what init itself has of core (server NULL). */
struct link {
    bool               used;
    uint8_t            generation;
    enum session_state state;
    enum status        failure;
    struct child      *client;         // NULL: has ended or closed; the server is still to be told
    struct child      *server;
    bool               offered;        // the server has been given the request
    uint32_t           cpu;
    uint64_t           in[SESSION_WORDS], out[SESSION_WORDS];
    uint32_t           notify;         // selector, 0 none
    uint32_t           client_slots, server_slots; // window blocks, 0 none
    uint64_t           client_caps[SESSION_CLIENT_CAPS], server_caps[SESSION_SERVER_CAPS]; // selector << 8 | permissions
    unsigned           client_cap_count, server_cap_count;
    enum resource      resource;
    uint32_t           resource_id;
    char               service[SESSION_NAME], label[SESSION_NAME];
};

struct init {
    struct init_config config;
    struct entrypoint  entrypoint;
    struct portal      portals[PORTAL_MAX];
    struct child       children[START_MAX];
    struct link        links[SESSION_MAX];
};

/* child.c */
enum status child_start(struct child *child) MUST_CHECK;
void child_end(struct child *child);
struct child *child_find(struct init *init, const char *name);

/* link.c: what a child asks for its sessions, and what happens to them at its end. */
struct link *link_open(struct child *client, const char *service, const char *label, const uint64_t words[SESSION_WORDS],
                       uint32_t cpu, enum status *status);
void link_route(struct link *link);
void link_close(struct link *link);
void link_free(struct link *link);
void links_end(struct child *child);
void link_notify(const struct link *link);
uint32_t link_id(const struct init *init, const struct link *link);
struct link *link_find(struct init *init, uint64_t id);
struct link *link_next_request(struct child *server);
void server_signal(struct child *server);

/* parent.c */
uint64_t parent_handle(void *object, struct abi_utcb *utcb, uint64_t message);

#endif
