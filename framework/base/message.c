/* SPDX-License-Identifier: MIT */
/* Requests and the text in them. */
#include "framework/message.h"
#include "framework/thread_self.h"
#include "lib/string.h"

unsigned message_put_text(struct abi_utcb *utcb, unsigned at, const char *text, size_t size)
{
    unsigned words = text_words(size);

    utcb->word[at] = size;
    utcb->word[at + words - 1] = size ? 0 : utcb->word[at];
    memcpy(&utcb->word[at + 1], text, size);
    return at + words;
}

bool message_get_text(const struct abi_utcb *utcb, unsigned words, unsigned *at, char *buffer, size_t size)
{
    uint64_t length;

    if (*at >= words)
        return false;
    length = utcb->word[*at];
    if (length >= size || length > (uint64_t)(words - *at - 1) * 8)
        return false;
    memcpy(buffer, &utcb->word[*at + 1], length);
    buffer[length] = 0;
    *at += text_words(length);
    return true;
}

enum status request_with_window(uint64_t portal, unsigned words, unsigned caps, uint32_t window, unsigned window_count,
                                uint64_t *reply)
{
    struct abi_utcb *utcb = utcb_self();
    uint64_t message = message_descriptor(words, caps);
    enum abi_status status;

    utcb->window_base = window;
    utcb->window_count = window_count;
    status = hc_call(portal, &message);
    utcb->window_count = 0;
    if (status != ABI_OK)
        return status_of(status);
    if (reply)
        *reply = message;
    if (message_words(message) == 0)
        return STATUS_ABORTED;
    return utcb->word[0] < STATUS_COUNT ? (enum status)utcb->word[0] : STATUS_INVALID;
}

const char *status_name(enum status status)
{
    static const char *const names[STATUS_COUNT] = {
        [STATUS_OK] = "ok",
        [STATUS_INVALID] = "invalid argument",
        [STATUS_DENIED] = "denied",
        [STATUS_QUOTA] = "quota used up",
        [STATUS_NOT_FOUND] = "not found",
        [STATUS_OCCUPIED] = "occupied",
        [STATUS_PENDING] = "pending",
        [STATUS_ABORTED] = "aborted",
        [STATUS_TIMEOUT] = "timeout",
        [STATUS_UNSUPPORTED] = "unsupported",
    };

    return status < STATUS_COUNT ? names[status] : "unknown status";
}
