/* SPDX-License-Identifier: MIT */
/* The functions of lib/string.h on terminated text, in the kernel and in components. */
#include "lib/string.h"

#include <stdint.h>

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;

    /* The barrier keeps the compiler from recognizing the loop as strlen. */
    while (length < limit && text[length]) {
        length++;
        __asm__ volatile("");
    }
    return length;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t limit)
{
    for (; limit; a++, b++, limit--) {
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    }
    return 0;
}

char *strchr(const char *text, int byte)
{
    for (;; text++) {
        if (*text == (char)byte)
            return (char *)(uintptr_t)text;
        if (!*text)
            return NULL;
    }
}
