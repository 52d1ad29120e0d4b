/* SPDX-License-Identifier: MIT */
/* The parent's side of framework/parent.h: decode a child's request, check it, do it, answer. */
#include "framework/component.h"
#include "framework/init/init.h"
#include "framework/slots.h"
#include "framework/thread_self.h"
#include "lib/align.h"
#include "lib/string.h"

/* A request, copied out of the UTCB, which our own requests to core overwrite. */
struct request {
    struct init  *init;
    struct child *child;
    unsigned      words;
    uint64_t      word[64];
    char          service[SESSION_NAME], label[SESSION_NAME];
    uint64_t      caps[CAP_BLOCK];
    unsigned      cap_count;
    /* The answer. */
    uint64_t      out[32];
    unsigned      results;
    uint64_t      out_caps[CAP_BLOCK];
    unsigned      out_cap_count;
};

static enum status op_open(struct request *r)
{
    enum status status;
    struct link *link;

    if (r->cap_count < 1 || r->cap_count > 1 + SESSION_CLIENT_CAPS || !r->service[0])
        return STATUS_INVALID;
    link = link_open(r->child, r->service, r->label, &r->word[1], cpu_self(), &status);
    if (!link)
        return status;
    link->client_slots = entrypoint_keep(&r->init->entrypoint);
    link->notify = received_selector(r->caps[0]);
    link->client_cap_count = r->cap_count - 1;
    memcpy(link->client_caps, &r->caps[1], link->client_cap_count * sizeof r->caps[0]);
    link_route(link);
    r->out[0] = link_id(r->init, link);
    r->results = 1;
    return STATUS_OK;
}

static struct link *argument_link(struct request *r)
{
    struct link *link = link_find(r->init, r->word[1]);

    return link && link->client == r->child ? link : NULL;
}

static enum status op_state(struct request *r)
{
    struct link *link = argument_link(r);

    if (!link)
        return STATUS_NOT_FOUND;
    r->out[0] = link->state;
    r->out[1] = link->failure;
    memcpy(&r->out[2], link->out, sizeof link->out);
    r->results = 2 + SESSION_WORDS;
    if (link->state == SESSION_OPEN && r->word[2]) {
        memcpy(r->out_caps, link->server_caps, sizeof link->server_caps);
        r->out_cap_count = link->server_cap_count;
    }
    return STATUS_OK;
}

static enum status op_close(struct request *r)
{
    struct link *link = argument_link(r);

    if (!link)
        return STATUS_NOT_FOUND;
    link_close(link);
    return STATUS_OK;
}

static enum status op_serve(struct request *r)
{
    struct child *child = r->child;

    if (r->cap_count != 1 || !child->start->provides_count || (r->caps[0] & ABI_CAP_TRANSLATED))
        return STATUS_INVALID;
    if (child->serve_slots)
        slots_remove(child->serve_slots, CAP_BLOCK);
    child->serve_slots = entrypoint_keep(&r->init->entrypoint);
    child->serving = true;
    server_signal(child); // there may be sessions waiting
    return STATUS_OK;
}

static enum status op_next(struct request *r)
{
    struct link *link = link_next_request(r->child);

    memset(r->out, 0, sizeof r->out);
    r->results = 3 + SESSION_WORDS;
    if (!link)
        return STATUS_OK; // SESSION_REQUEST_NONE
    r->out[0] = link->client ? SESSION_REQUEST_OPEN : SESSION_REQUEST_CLOSE;
    r->out[1] = link_id(r->init, link);
    r->out[2] = link->cpu;
    memcpy(&r->out[3], link->in, sizeof link->in);
    memcpy(r->service, link->service, sizeof r->service);
    memcpy(r->label, link->label, sizeof r->label);
    if (!link->client) {
        link_free(link);
        return STATUS_OK;
    }
    link->offered = true;
    memcpy(r->out_caps, link->client_caps, sizeof link->client_caps);
    r->out_cap_count = link->client_cap_count;
    return STATUS_OK;
}

static enum status op_answer(struct request *r)
{
    struct link *link = link_find(r->init, r->word[1]);

    if (!link || link->server != r->child || !link->offered)
        return STATUS_NOT_FOUND;
    if (!link->client)
        return STATUS_OK; // the client has gone meanwhile; the next request will be to close it
    if (link->state != SESSION_PENDING || r->word[2] >= STATUS_COUNT)
        return STATUS_INVALID;
    if (r->word[2] != STATUS_OK) {
        link->server = NULL; // the server has dismissed it and needs no word of its end
        link->state = SESSION_FAILED;
        link->failure = (enum status)r->word[2];
    } else {
        memcpy(link->out, &r->word[3], sizeof link->out);
        memcpy(link->server_caps, r->caps, sizeof r->caps);
        link->server_cap_count = r->cap_count;
        link->server_slots = entrypoint_keep(&r->init->entrypoint);
        link->state = SESSION_OPEN;
    }
    link_notify(link);
    return STATUS_OK;
}

static enum status op_exit(struct request *r)
{
    r->child->exited = true;
    r->child->exit_code = r->word[1];
    entrypoint_raise(&r->init->entrypoint, 1);
    return STATUS_OK;
}

static const struct {
    enum status (*handle)(struct request *r);
    unsigned words;
} operations[PARENT_OPERATION_COUNT] = {
    [PARENT_OPEN]   = {op_open,   1 + SESSION_WORDS + 2},
    [PARENT_STATE]  = {op_state,  3},
    [PARENT_CLOSE]  = {op_close,  2},
    [PARENT_SERVE]  = {op_serve,  1},
    [PARENT_NEXT]   = {op_next,   1},
    [PARENT_ANSWER] = {op_answer, 3 + SESSION_WORDS},
    [PARENT_EXIT]   = {op_exit,   2},
};

static enum status handle(struct request *r)
{
    uint64_t number = r->words ? r->word[0] : PARENT_OPERATION_COUNT;

    if (number >= PARENT_OPERATION_COUNT || r->words < operations[number].words || r->child->state != CHILD_UP)
        return STATUS_INVALID;
    return operations[number].handle(r);
}

static bool decode(struct request *r, const struct abi_utcb *utcb, uint64_t message)
{
    unsigned at = 1 + SESSION_WORDS;

    r->words = message_words(message);
    r->cap_count = message_caps(message);
    if (r->words > ARRAY_SIZE(r->word) || r->cap_count > CAP_BLOCK)
        return false;
    memcpy(r->word, utcb->word, r->words * sizeof r->word[0]);
    for (unsigned i = 0; i < r->cap_count; i++)
        r->caps[i] = utcb->recv[i];
    return !r->words || r->word[0] != PARENT_OPEN ||
           (message_get_text(utcb, r->words, &at, r->service, sizeof r->service) &&
            message_get_text(utcb, r->words, &at, r->label, sizeof r->label));
}

static uint64_t encode(struct request *r, struct abi_utcb *utcb, enum status status)
{
    unsigned words = 1;

    utcb->word[0] = status;
    if (status == STATUS_OK) {
        memcpy(&utcb->word[1], r->out, r->results * sizeof r->out[0]);
        words += r->results;
        if (r->word[0] == PARENT_NEXT) {
            words = message_put_text(utcb, words, r->service, strlen(r->service));
            words = message_put_text(utcb, words, r->label, strlen(r->label));
        }
        for (unsigned i = 0; i < r->out_cap_count; i++)
            utcb->send[i] = message_cap(received_selector(r->out_caps[i]), received_perms(r->out_caps[i]));
    }
    return message_descriptor(words, status == STATUS_OK ? r->out_cap_count : 0);
}

uint64_t parent_handle(void *object, struct abi_utcb *utcb, uint64_t message)
{
    struct child *child = object;
    struct request r = {.init = child->init, .child = child};
    enum status status = decode(&r, utcb, message) ? handle(&r) : STATUS_INVALID;

    return encode(&r, utcb, status);
}
