/* SPDX-License-Identifier: MIT */
/*
 * Formatted text in the manner of printf, into a sink or a buffer. Checked at compile time by the
 * format attribute.
 *
 *   conversions  %d %i %u %x %X %c %s %p %%
 *   length       l ll z (uint64_t is %lu and %lx on x86-64)
 *   flags        0 (zeros), - (left)            width   digits or *
 *   precision    of %s only, digits or *: at most so many bytes are read
 *
 * %p prints 0x and hexadecimal digits. A null %s prints (null). Anything else in a format is
 * printed as it stands, and what follows it no longer reads arguments. Nothing is allocated and
 * nothing fails.
 */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Where text goes: put is called with pieces of it, not terminated, in order. Embed it in what it
 * needs.
 */
struct format_sink {
    void (*put)(struct format_sink *sink, const char *text, size_t size);
};

__attribute__((format(printf, 2, 3)))
void format_to(struct format_sink *sink, const char *format, ...);

__attribute__((format(printf, 2, 0)))
void format_to_va(struct format_sink *sink, const char *format, va_list arguments);

/*
 * Into a buffer of `size` bytes, cut if need be, always terminated unless size is 0. Returns the
 * length that the whole text has without the terminator: it was cut if that is >= size.
 */
__attribute__((format(printf, 3, 4)))
size_t format_string(char *buffer, size_t size, const char *format, ...);

__attribute__((format(printf, 3, 0)))
size_t format_string_va(char *buffer, size_t size, const char *format, va_list arguments);

#endif
