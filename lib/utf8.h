/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629), strict: overlong forms, surrogates and what lies above U+10FFFF are invalid. */
#ifndef LIB_UTF8_H
#define LIB_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX 4 // bytes of one character

/*
 * Decode the character at the start of `size` bytes. Returns its length, 0 if it is invalid or
 * cut off.
 */
size_t utf8_decode(const char *text, size_t size, uint32_t *character);

/* Encode a valid character. Returns its length. */
size_t utf8_encode(char text[UTF8_MAX], uint32_t character);

#endif
