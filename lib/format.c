/* SPDX-License-Identifier: MIT */
/* The formatting engine: parse one conversion, fetch its argument, put it out padded. */
#include "lib/format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/align.h"
#include "lib/string.h"

struct conversion {
    bool left;
    bool zeros;
    bool longer;       // an argument of 64 bits (l, ll and z are the same on x86-64)
    size_t width;
    size_t precision;  // SIZE_MAX if not given
    char kind;
};

static void put_repeated(struct format_sink *sink, char c, size_t count)
{
    char piece[16];

    memset(piece, c, sizeof(piece));
    for (; count; count -= MIN(count, sizeof(piece)))
        sink->put(sink, piece, MIN(count, sizeof(piece)));
}

/* Put a prefix (sign or 0x) and a body, padded to the width. */
static void put_padded(struct format_sink *sink, const struct conversion *conversion,
                       const char *prefix, const char *body, size_t size)
{
    size_t prefix_size = strlen(prefix);
    size_t used = prefix_size + size;
    size_t padding = conversion->width > used ? conversion->width - used : 0;
    bool zeros = conversion->zeros && !conversion->left;

    if (!zeros && !conversion->left)
        put_repeated(sink, ' ', padding);
    if (prefix_size)
        sink->put(sink, prefix, prefix_size);
    if (zeros)
        put_repeated(sink, '0', padding);
    if (size)
        sink->put(sink, body, size);
    if (conversion->left)
        put_repeated(sink, ' ', padding);
}

static void put_number(struct format_sink *sink, const struct conversion *conversion,
                       const char *prefix, uint64_t value, unsigned base)
{
    const char *digits = conversion->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[20]; // as many digits as 2^64 - 1 has in decimal
    size_t first = sizeof(text);

    do {
        text[--first] = digits[value % base];
        value /= base;
    } while (value);
    put_padded(sink, conversion, prefix, text + first, sizeof(text) - first);
}

static void put_signed(struct format_sink *sink, const struct conversion *conversion, int64_t value)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    put_number(sink, conversion, value < 0 ? "-" : "", magnitude, 10);
}

static void put_string(struct format_sink *sink, struct conversion *conversion, const char *text)
{
    if (!text)
        text = "(null)";
    conversion->zeros = false;
    put_padded(sink, conversion, "", text, strnlen(text, conversion->precision));
}

/* Decimal digits, saturating well below overflow. */
static size_t parse_digits(const char **format)
{
    size_t value = 0;

    for (; **format >= '0' && **format <= '9'; ++*format)
        value = MIN(value * 10 + (size_t)(**format - '0'), (size_t)INT_MAX);
    return value;
}

/*
 * Some compilers pass va_list as an array and some do not; a structure around it can be handed on
 * by pointer either way.
 */
struct arguments {
    va_list list;
};

/* Parse what stands after the %; leaves *format after the conversion's letter. */
static struct conversion parse(const char **format, struct arguments *arguments)
{
    struct conversion result = { .precision = SIZE_MAX };

    for (;; ++*format) {
        if (**format == '-')
            result.left = true;
        else if (**format == '0')
            result.zeros = true;
        else
            break;
    }
    if (**format == '*') {
        int width = va_arg(arguments->list, int);

        result.left |= width < 0;
        result.width = width < 0 ? 0 - (size_t)width : (size_t)width;
        ++*format;
    } else {
        result.width = parse_digits(format);
    }
    if (**format == '.') {
        ++*format;
        if (**format == '*') {
            int precision = va_arg(arguments->list, int);

            result.precision = precision < 0 ? SIZE_MAX : (size_t)precision;
            ++*format;
        } else {
            result.precision = parse_digits(format);
        }
    }
    for (; **format == 'l' || **format == 'z'; ++*format)
        result.longer = true;
    result.kind = **format;
    if (result.kind)
        ++*format;
    return result;
}

/* Put one conversion out; false if it is not one of ours. */
static bool convert(struct format_sink *sink, struct conversion *conversion,
                    struct arguments *arguments)
{
    bool longer = conversion->longer;
    char c;

    switch (conversion->kind) {
    case 'd':
    case 'i':
        put_signed(sink, conversion,
                   longer ? va_arg(arguments->list, long) : va_arg(arguments->list, int));
        return true;
    case 'u':
    case 'x':
    case 'X':
        put_number(sink, conversion, "",
                   longer ? va_arg(arguments->list, unsigned long)
                          : va_arg(arguments->list, unsigned),
                   conversion->kind == 'u' ? 10 : 16);
        return true;
    case 'p':
        put_number(sink, conversion, "0x", (uintptr_t)va_arg(arguments->list, void *), 16);
        return true;
    case 's':
        put_string(sink, conversion, va_arg(arguments->list, const char *));
        return true;
    case 'c':
        c = (char)va_arg(arguments->list, int);
        conversion->zeros = false;
        put_padded(sink, conversion, "", &c, 1);
        return true;
    case '%':
        sink->put(sink, "%", 1);
        return true;
    default:
        return false;
    }
}

_Static_assert(sizeof(long) == 8 && sizeof(long long) == 8 && sizeof(size_t) == 8,
               "l, ll and z are alike");

void format_to_va(struct format_sink *sink, const char *format, va_list list)
{
    struct arguments arguments;

    va_copy(arguments.list, list);
    while (*format) {
        const char *start = format;
        struct conversion conversion;

        while (*format && *format != '%')
            format++;
        if (format != start)
            sink->put(sink, start, (size_t)(format - start));
        if (!*format)
            break;
        start = format++;
        conversion = parse(&format, &arguments);
        if (!convert(sink, &conversion, &arguments)) {
            sink->put(sink, start, strlen(start));
            break;
        }
    }
    va_end(arguments.list);
}

void format_to(struct format_sink *sink, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_to_va(sink, format, arguments);
    va_end(arguments);
}

struct buffer_sink {
    struct format_sink sink;
    char *buffer;
    size_t size;
    size_t length; // of the whole text so far, kept or not
};

static void buffer_put(struct format_sink *sink, const char *text, size_t size)
{
    struct buffer_sink *buffer = container_of(sink, struct buffer_sink, sink);

    if (buffer->length < buffer->size)
        memcpy(buffer->buffer + buffer->length, text, MIN(size, buffer->size - buffer->length));
    buffer->length += size;
}

size_t format_string_va(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct buffer_sink sink = { .sink = { .put = buffer_put }, .buffer = buffer, .size = size };

    format_to_va(&sink.sink, format, arguments);
    if (size)
        buffer[MIN(sink.length, size - 1)] = 0;
    return sink.length;
}

size_t format_string(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = format_string_va(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
