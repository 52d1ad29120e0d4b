/* SPDX-License-Identifier: MIT */
/* Attacks on init. */
#include "tests/isolation/attacker.h"

#include "framework/message.h"
#include "framework/parent.h"
#include "framework/slots.h"
#include "framework/thread_self.h"
#include "lib/string.h"

#define SESSIONS 600u

static MUST_CHECK enum status ask(uint64_t operation, uint64_t argument, unsigned words)
{
    struct abi_utcb *utcb = utcb_self();

    memset(utcb->word, 0, 64 * 8);
    utcb->word[0] = operation;
    utcb->word[1] = argument;
    return request(SEL_PARENT + cpu_self(), words, 0);
}

/* Every session number that there can be: it has none, so none may be known to it. */
static void forged_sessions(struct attack *a)
{
    static const uint64_t operations[] = {PARENT_STATE, PARENT_CLOSE, PARENT_ANSWER};
    unsigned wrong = 0;

    for (unsigned o = 0; o < 3; o++)
        for (uint64_t index = 0; index < 300; index++)
            for (uint64_t generation = 0; generation < 256; generation += index < 24 ? 1 : 37)
                wrong += ask(operations[o], index | generation << 16, 7) == STATUS_OK;
    for (unsigned i = 0; i < 20000; i++)
        wrong += ask(operations[i % 3], random_u64(&a->seed), 7) == STATUS_OK;
    CHECK(&a->checks, wrong == 0, "no session of others by a forged number");
}

static void malformed(struct attack *a)
{
    struct abi_utcb *utcb = utcb_self();
    unsigned wrong = 0;

    for (unsigned i = 0; i < 50000; i++) {
        uint64_t operation = random_below(&a->seed, PARENT_OPERATION_COUNT + 3), number, status;
        uint64_t words = random_below(&a->seed, 4) ? random_below(&a->seed, 20) : random_below(&a->seed, 512);
        uint64_t message = message_descriptor(words, random_below(&a->seed, 3) ? 0 : random_below(&a->seed, 10));

        if (operation == PARENT_EXIT || operation == PARENT_OPEN) // the one it may, the other follows
            continue;
        for (unsigned w = 1; w < 64; w++)
            utcb->word[w] = random_argument(&a->seed);
        for (unsigned c = 0; c < ABI_UTCB_CAPS; c++)
            utcb->send[c] = random_below(&a->seed, 1024) << 8 | random_below(&a->seed, 32);
        utcb->word[0] = operation;
        number = hc_call(SEL_PARENT + cpu_self(), &message);
        status = number == ABI_OK && message_words(message) ? utcb->word[0] : STATUS_INVALID;
        wrong += status == STATUS_OK && operation != PARENT_NEXT; // a component that serves nothing may ask, and hears of nothing
        wrong += status == STATUS_OK && operation == PARENT_NEXT && utcb->word[1] != SESSION_REQUEST_NONE;
    }
    CHECK(&a->checks, wrong == 0, "no malformed request is done (%u)", wrong);
}

/* Requests to open a session whose texts do not fit the message or their buffers. */
static void long_names(struct attack *a)
{
    struct abi_utcb *utcb = utcb_self();
    uint32_t sm = slots_alloc(1);
    unsigned wrong = 0;

    CHECK(&a->checks, hc_create_sm(sm, SEL_PD, 0) == ABI_OK, "a semaphore");
    for (uint64_t size = 0; size < 1000; size++)
        for (unsigned words = 1; words < 64; words += 7) {
            memset(utcb->word, 'A', 64 * 8);
            utcb->word[0] = PARENT_OPEN;
            utcb->word[5] = size < 500 ? size : ~size;
            utcb->send[0] = message_cap(sm, ABI_PERM_SM_UP);
            wrong += request(SEL_PARENT + cpu_self(), words, 1) == STATUS_OK;
        }
    slots_remove(sm, 1);
    CHECK(&a->checks, wrong == 0, "no session with names beyond the message");
}

void attack_parent(struct attack *a)
{
    uint64_t message = 0;
    unsigned wrong = 0;

    forged_sessions(a);
    malformed(a);
    long_names(a);
    /* Oversize: more words or capabilities than there are, bits that mean nothing. */
    for (uint64_t words = ABI_UTCB_WORDS + 1; words < 600; words++) {
        message = words;
        wrong += hc_call(SEL_PARENT + cpu_self(), &message) == ABI_OK;
        message = ABI_MSG_CAPS | (words - ABI_UTCB_WORDS + ABI_UTCB_CAPS) << ABI_MSG_CAP_SHIFT;
        wrong += hc_call(SEL_CORE + cpu_self(), &message) == ABI_OK;
    }
    CHECK(&a->checks, wrong == 0, "no message beyond the UTCB");
    CHECK(&a->checks, service_announce(slots_alloc(1)) != STATUS_OK, "serves nothing");
}

/* The one session it has a route for, one without a route, and never a close. The victim must still get its own. */
void attack_sessions(struct attack *a)
{
    static struct session sessions[SESSIONS];
    const struct session_arguments routed = {.service = "victim", .label = "hold"}, none = {.service = "other", .label = ""};
    unsigned held = 0, last;

    for (unsigned i = 0; i < SESSIONS; i++)
        held += session_request(&sessions[i], i % 2 ? &routed : &none) == STATUS_OK;
    CHECK(&a->checks, held > 0 && held < 100, "%u sessions at once", held);
    for (last = 0; last < SESSIONS; last++)
        session_close(&sessions[last]);
}
