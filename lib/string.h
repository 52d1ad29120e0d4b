/* SPDX-License-Identifier: MIT */
/*
 * The functions of C's <string.h> that are used, with the standard's contracts (C17 7.24). In the
 * kernel and in components lib/string.c defines them; a program on Linux gets its C library's.
 * Text that is bounded rather than terminated, and numbers in text, are in lib/text.h.
 */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
char *strchr(const char *text, int byte);

#endif
