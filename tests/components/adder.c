/* SPDX-License-Identifier: MIT */
/*
 * A server with calls: service "adder". A session is a portal; a call adds its words 1 and 2 to the session's sum, which it answers in word 1.
 * With it comes a page of shared memory with the number 4711 in it. A call with word 0 = 1 faults in the handler instead: the client must be told, and the server be restarted.
 */
#include "framework/component.h"
#include "framework/entrypoint.h"
#include "framework/parent.h"
#include "framework/slots.h"

#define SESSIONS 32u // each takes a page and two objects of the quota

struct adder {
    uint32_t id; // 0: unused
    uint32_t slots;
    uint64_t sum;
    struct portal *portal;
    struct mapping memory;
};

static struct server {
    struct entrypoint entrypoint;
    struct portal     portals[SESSIONS + ABI_CPU_MAX];
    struct adder      adders[SESSIONS];
} server;

static uint64_t handle(void *object, struct abi_utcb *utcb, uint64_t message)
{
    struct adder *adder = object;

    if (message_words(message) != 3) {
        utcb->word[0] = STATUS_INVALID;
        return 1;
    }
    if (utcb->word[0] == 1)
        __builtin_trap();
    adder->sum += utcb->word[1] + utcb->word[2];
    utcb->word[0] = STATUS_OK;
    utcb->word[1] = adder->sum;
    return 2;
}

static struct adder *find(uint32_t id)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        if (server.adders[i].id == id)
            return &server.adders[i];
    return NULL;
}

static enum status open(const struct session_request *request)
{
    struct adder *adder = find(0);
    uint64_t caps[2];
    enum status status;

    if (!adder)
        return STATUS_QUOTA;
    status = memory_alloc(&adder->memory, PAGE_SIZE, PAGE_SIZE);
    if (status != STATUS_OK)
        return status;
    status = portal_make(&server.entrypoint, request->cpu, handle, adder, &adder->portal);
    if (status != STATUS_OK) {
        memory_free(&adder->memory);
        return status;
    }
    *(uint64_t *)adder->memory.address = 4711;
    adder->id = request->id;
    adder->slots = request->slots;
    adder->sum = 0;
    caps[0] = message_cap(adder->portal->selector, ABI_PERM_PT_CALL);
    caps[1] = message_cap(adder->memory.slot, ABI_PERM_MEM_R | ABI_PERM_MEM_W);
    return service_answer(request->id, STATUS_OK, NULL, caps, 2);
}

static void end(uint32_t id)
{
    struct adder *adder = id ? find(id) : NULL;

    if (!adder)
        return;
    portal_end(adder->portal);
    memory_free(&adder->memory);
    slots_remove(adder->slots, SESSION_CLIENT_CAPS);
    adder->id = 0;
}

static void signalled(void *context, uint64_t bits)
{
    struct session_request request;
    enum status status;

    (void)context, (void)bits;
    while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE) {
        if (request.kind == SESSION_REQUEST_CLOSE) {
            end(request.id);
            continue;
        }
        status = open(&request);
        if (status == STATUS_OK)
            continue;
        slots_remove(request.slots, SESSION_CLIENT_CAPS);
        (void)!service_answer(request.id, status, NULL, NULL, 0);
    }
}

int main(void)
{
    enum status status = entrypoint_init(&server.entrypoint, component_info()->cpu_mask, server.portals,
                                         SESSIONS + ABI_CPU_MAX, signalled, NULL);

    if (status == STATUS_OK)
        status = service_announce(server.entrypoint.signal);
    if (status != STATUS_OK) {
        log_print("cannot serve: %s", status_name(status));
        return 1;
    }
    entrypoint_run(&server.entrypoint);
}
