/* SPDX-License-Identifier: MIT */
/*
 * Making requests: word 0 is the operation, in the reply the status (framework/status.h). A request is written into the thread's UTCB and must
 * not be interleaved with another. Text travels as a byte count and bytes in whole words.
 */
#ifndef FRAMEWORK_MESSAGE_H
#define FRAMEWORK_MESSAGE_H

#include "abi/utcb.h"
#include "framework/hypercall.h"
#include "framework/status.h"

#include <stdbool.h>
#include <stddef.h>

static inline uint64_t message_descriptor(uint64_t words, uint64_t caps)
{
    return words | (caps ? ABI_MSG_CAPS | caps << ABI_MSG_CAP_SHIFT : 0);
}

static inline unsigned message_words(uint64_t descriptor)
{
    return descriptor & ABI_MSG_WORDS;
}

static inline unsigned message_caps(uint64_t descriptor)
{
    return descriptor & ABI_MSG_CAPS ? descriptor >> ABI_MSG_CAP_SHIFT & 0xf : 0;
}

static inline uint64_t message_cap(uint64_t selector, unsigned perms)
{
    return selector << 8 | perms;
}

/* The parts of a recv[] entry. */
static inline uint32_t received_selector(uint64_t entry)
{
    return (uint32_t)((entry & ~ABI_CAP_TRANSLATED) >> 8);
}

static inline unsigned received_perms(uint64_t entry)
{
    return entry & ABI_PERM_OBJ_ALL;
}

/* Number of words that text of so many bytes takes, its length word included. */
static inline unsigned text_words(size_t size)
{
    return 1 + (unsigned)((size + 7) / 8);
}

/* Write text at word[at]; returns the index after it. The caller knows that it fits. */
unsigned message_put_text(struct abi_utcb *utcb, unsigned at, const char *text, size_t size);

/*
 * Read text at word[*at] of a message of `words` words into buffer, terminated, and advance *at. False: it reaches
 * beyond the message or does not fit the buffer.
 */
bool message_get_text(const struct abi_utcb *utcb, unsigned words, unsigned *at, char *buffer, size_t size);

/*
 * Call with what is in the UTCB. words and caps of the request; window: where up to window_count capabilities of the reply land.
 * *reply (may be NULL): descriptor of the reply. Returns the reply's status; ABORTED when there is none.
 */
enum status request_with_window(uint64_t portal, unsigned words, unsigned caps, uint32_t window, unsigned window_count,
                                uint64_t *reply) MUST_CHECK;

static inline MUST_CHECK enum status request(uint64_t portal, unsigned words, unsigned caps)
{
    return request_with_window(portal, words, caps, 0, 0, NULL);
}

#endif
