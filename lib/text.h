/* SPDX-License-Identifier: MIT */
/*
 * Bounded text: copies that always end, and numbers. `size` is the number of bytes of text, which
 * need not be terminated. A number parser takes all of the text or fails, and a failure leaves
 * the result alone.
 */
#ifndef LIB_TEXT_H
#define LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copy a terminated string into a buffer of `size` bytes (> 0), cut if need be, always
 * terminated. False if it was cut.
 */
bool text_copy(char *buffer, size_t size, const char *text);

/* Is this text the terminated string? */
bool text_equals(const char *text, size_t size, const char *string);

/* Does the terminated text begin with the prefix? */
bool text_starts_with(const char *text, const char *prefix);

/* Decimal digits, or 0x and hexadecimal digits. No sign, no spaces. */
__attribute__((warn_unused_result))
bool text_to_u64(const char *text, size_t size, uint64_t *value);

/* The same with an optional unit at the end: K, M, G or T for the powers of 1024. */
__attribute__((warn_unused_result))
bool text_to_size(const char *text, size_t size, uint64_t *value);

#endif
