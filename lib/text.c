/* SPDX-License-Identifier: MIT */
/* Bounded copies of text, and numbers in it. */
#include "lib/text.h"

#include "lib/align.h"
#include "lib/string.h"

bool text_copy(char *buffer, size_t size, const char *text)
{
    size_t length = strnlen(text, size);
    size_t kept = MIN(length, size - 1);

    memcpy(buffer, text, kept);
    buffer[kept] = 0;
    return kept == length;
}

bool text_equals(const char *text, size_t size, const char *string)
{
    return strlen(string) == size && memcmp(text, string, size) == 0;
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The value of a digit, or 255. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 255;
}

bool text_to_u64(const char *text, size_t size, uint64_t *value)
{
    unsigned base = 10;
    uint64_t result = 0;

    if (size > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
        size -= 2;
    }
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = digit_value(text[i]);

        if (digit >= base || __builtin_mul_overflow(result, base, &result) ||
            __builtin_add_overflow(result, digit, &result))
            return false;
    }
    *value = result;
    return true;
}

bool text_to_size(const char *text, size_t size, uint64_t *value)
{
    static const char units[] = "KMGT";
    unsigned shift = 0;
    uint64_t number;

    for (unsigned i = 0; size > 0 && units[i]; i++) {
        if (text[size - 1] == units[i])
            shift = 10 * (i + 1);
    }
    if (shift)
        size--;
    if (!text_to_u64(text, size, &number) || number > UINT64_MAX >> shift)
        return false;
    *value = number << shift;
    return true;
}
