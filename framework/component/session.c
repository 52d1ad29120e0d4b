/* SPDX-License-Identifier: MIT */
/* Sessions, services: messages to the parent. */
#include "framework/hypercall.h"
#include "framework/layout.h"
#include "framework/message.h"
#include "framework/parent.h"
#include "framework/slots.h"
#include "framework/thread_self.h"
#include "lib/align.h"
#include "lib/string.h"

static uint64_t parent_portal(void)
{
    return SEL_PARENT + cpu_self();
}

static MUST_CHECK enum status notify_make(struct session *session, const struct session_arguments *arguments)
{
    session->own_notify = arguments->notify == 0;
    session->notify = arguments->notify;
    if (!session->own_notify)
        return STATUS_OK;
    session->notify = slots_alloc(1);
    return session->notify == SEL_NONE ? STATUS_QUOTA : status_of(hc_create_sm(session->notify, SEL_PD, 0));
}

static void session_drop(struct session *session)
{
    slots_remove(session->slots, SESSION_SERVER_CAPS);
    if (session->own_notify)
        slots_remove(session->notify, 1);
    session->id = 0;
}

enum status session_request(struct session *session, const struct session_arguments *arguments)
{
    struct abi_utcb *utcb = utcb_self();
    unsigned words = 1 + SESSION_WORDS;
    enum status status;

    if (arguments->caps > SESSION_CLIENT_CAPS)
        return STATUS_INVALID;
    memset(session, 0, sizeof *session);
    session->slots = slots_alloc(SESSION_SERVER_CAPS);
    if (session->slots == SEL_NONE)
        return STATUS_QUOTA;
    status = notify_make(session, arguments);
    if (status == STATUS_OK) {
        utcb->word[0] = PARENT_OPEN;
        memcpy(&utcb->word[1], arguments->word, sizeof arguments->word);
        words = message_put_text(utcb, words, arguments->service, strnlen(arguments->service, SESSION_NAME - 1));
        words = message_put_text(utcb, words, arguments->label, strnlen(arguments->label, SESSION_NAME - 1));
        utcb->send[0] = message_cap(session->notify, ABI_PERM_SM_UP);
        for (unsigned i = 0; i < arguments->caps; i++)
            utcb->send[1 + i] = message_cap(arguments->cap[i], arguments->perms[i]);
        status = request(parent_portal(), words, 1 + arguments->caps);
    }
    if (status == STATUS_OK)
        session->id = (uint32_t)utcb->word[1];
    else
        session_drop(session);
    return status;
}

enum session_state session_update(struct session *session, enum status *failure)
{
    struct abi_utcb *utcb = utcb_self();
    uint64_t reply;
    enum status status;

    utcb->word[0] = PARENT_STATE;
    utcb->word[1] = session->id;
    utcb->word[2] = session->caps == 0; // once is enough
    status = request_with_window(parent_portal(), 3, 0, session->slots, session->caps ? 0 : SESSION_SERVER_CAPS, &reply);
    if (failure)
        *failure = status != STATUS_OK ? status : (enum status)utcb->word[2];
    if (status != STATUS_OK)
        return SESSION_CLOSED;
    if (utcb->word[1] == SESSION_OPEN && !session->caps) {
        session->caps = MIN(message_caps(reply), SESSION_SERVER_CAPS);
        memcpy(session->word, &utcb->word[3], sizeof session->word);
    }
    return (enum session_state)utcb->word[1];
}

enum status session_open(struct session *session, const struct session_arguments *arguments, uint64_t deadline)
{
    enum status status = session_request(session, arguments), failure = STATUS_ABORTED;

    if (status != STATUS_OK)
        return status;
    for (;;) {
        enum session_state state = session_update(session, &failure);

        if (state == SESSION_OPEN)
            return STATUS_OK;
        if (state != SESSION_PENDING)
            break;
        failure = status_of(hc_down(session->notify, 0, deadline));
        if (failure != STATUS_OK)
            break;
    }
    session_close(session);
    return failure;
}

void session_close(struct session *session)
{
    struct abi_utcb *utcb = utcb_self();

    if (!session->id)
        return;
    utcb->word[0] = PARENT_CLOSE;
    utcb->word[1] = session->id;
    (void)!request(parent_portal(), 2, 0); // the parent knows no such session any more: as good as closed
    session_drop(session);
}

enum status service_announce(uint32_t signal)
{
    struct abi_utcb *utcb = utcb_self();

    utcb->word[0] = PARENT_SERVE;
    utcb->send[0] = message_cap(signal, ABI_PERM_SM_UP);
    return request(parent_portal(), 1, 1);
}

enum status service_next(struct session_request *r)
{
    struct abi_utcb *utcb = utcb_self();
    unsigned at = 4 + SESSION_WORDS;
    uint64_t reply;
    enum status status;

    memset(r, 0, sizeof *r);
    r->slots = slots_alloc(SESSION_CLIENT_CAPS);
    if (r->slots == SEL_NONE)
        return STATUS_QUOTA;
    utcb->word[0] = PARENT_NEXT;
    status = request_with_window(parent_portal(), 1, 0, r->slots, SESSION_CLIENT_CAPS, &reply);
    if (status == STATUS_OK && utcb->word[1] != SESSION_REQUEST_NONE) {
        r->kind = (enum session_request_kind)utcb->word[1];
        r->id = (uint32_t)utcb->word[2];
        r->cpu = (uint32_t)utcb->word[3];
        memcpy(r->word, &utcb->word[4], sizeof r->word);
        r->caps = MIN(message_caps(reply), SESSION_CLIENT_CAPS);
        for (unsigned i = 0; i < r->caps; i++) {
            r->cap[i] = received_selector(utcb->recv[i]);
            r->perms[i] = received_perms(utcb->recv[i]);
        }
        if (!message_get_text(utcb, message_words(reply), &at, r->service, sizeof r->service) ||
            !message_get_text(utcb, message_words(reply), &at, r->label, sizeof r->label))
            status = STATUS_INVALID;
    }
    if (status != STATUS_OK || r->kind != SESSION_REQUEST_OPEN)
        slots_remove(r->slots, SESSION_CLIENT_CAPS);
    return status;
}

enum status service_answer(uint32_t id, enum status status, const uint64_t word[SESSION_WORDS], const uint64_t *caps,
                           unsigned count)
{
    struct abi_utcb *utcb = utcb_self();

    if (count > SESSION_SERVER_CAPS)
        return STATUS_INVALID;
    utcb->word[0] = PARENT_ANSWER;
    utcb->word[1] = id;
    utcb->word[2] = status;
    for (unsigned i = 0; i < SESSION_WORDS; i++)
        utcb->word[3 + i] = word ? word[i] : 0;
    for (unsigned i = 0; i < count; i++)
        utcb->send[i] = caps[i];
    return request(parent_portal(), 3 + SESSION_WORDS, count);
}
