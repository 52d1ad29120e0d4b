/* SPDX-License-Identifier: MIT */
/* lib/format.h: every conversion against the C library's snprintf, and what the buffer promises. */
#include "lib/format.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/tap.h"

/* Both get the same arguments. */
#define AGREE(...) \
    do { \
        char ours[512], theirs[512]; \
        size_t length = format_string(ours, sizeof(ours), __VA_ARGS__); \
        size_t expected = (size_t)snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
        is_u64(length, expected, "length of " #__VA_ARGS__); \
        is_str(ours, theirs, #__VA_ARGS__); \
    } while (0)

static void check_conversions(void)
{
    AGREE("plain");
    AGREE("%d %d %i", 0, INT_MIN, INT_MAX);
    AGREE("%ld %lld %zd", LONG_MIN, LLONG_MAX, (ssize_t)-5);
    AGREE("%u %lu %llu %zu", UINT_MAX, ULONG_MAX, 0ull, (size_t)77);
    AGREE("%x %X %lx %llx", 0xbeefu, 0xbeefu, 0x123456789abcdef0ul, ULLONG_MAX);
    AGREE("[%5d] [%-5d] [%05d] [%05d] [%1d]", 42, 42, 42, -42, 12345);
    AGREE("[%16lx] [%016lx] [%-16lx]", 0xfee00000ul, 0xfee00000ul, 0xfee00000ul);
    AGREE("[%*d] [%*d]", 6, 1, -6, 1);
    AGREE("%s %s|", "text", "");
    AGREE("[%6s] [%-6s] [%2s] [%.2s] [%6.2s] [%.*s] [%.*s]", "abc", "abc", "abc", "abc", "abc", 1,
          "abc", -1, "abc");
    AGREE("%c [%3c] [%-3c] %%", 'x', 'y', 'z');
    AGREE("%p", (void *)0x1234abcd);
    AGREE("%40d%40s", 7, "wide");
}

static void check_limits(void)
{
    char buffer[8] = "xxxxxxx";
    const char unterminated[3] = { 'a', 'b', 'c' };

    is_u64(format_string(buffer, 0, "%d", 12), 2, "size 0 gives the length");
    is_str(buffer, "xxxxxxx", "and writes nothing");
    is_u64(format_string(buffer, 4, "%d", 123456), 6, "a text that is cut gives its whole length");
    is_str(buffer, "123", "and is terminated");
    is_u64(format_string(buffer, 4, "abc%s", "def"), 6, "cut between two pieces");
    is_str(buffer, "abc", "terminated there");
    format_string(buffer, sizeof(buffer), "%.3s", unterminated);
    is_str(buffer, "abc", "the precision bounds what is read");
    is_u64(format_string(buffer, sizeof(buffer), "%2000000000d", 1), 2000000000,
           "a huge width is only counted");
}

/* What the compiler would warn of, were it to see the formats. */
static void check_unknown(void)
{
    char buffer[64];
    char format[] = "%d %q %s"; // the last conversion stands at 6
    char left_zeros[] = "%-05d|";
    size_t (*unchecked)(char *, size_t, const char *, ...) = format_string;

    unchecked(buffer, sizeof(buffer), format, 1);
    is_str(buffer, "1 %q %s", "an unknown conversion ends the conversions");
    unchecked(buffer, sizeof(buffer), format + 6, NULL);
    is_str(buffer, "(null)", "a null string");
    unchecked(buffer, sizeof(buffer), left_zeros, -7);
    is_str(buffer, "-7   |", "zeros do not pad on the right");
    format[1] = 0;
    unchecked(buffer, sizeof(buffer), format);
    is_str(buffer, "%", "a lonely percent sign at the end");
}

static void check_random(void)
{
    uint64_t seed = 2;
    unsigned agreed = 0;

    for (unsigned i = 0; i < 20000; i++) {
        char ours[128], theirs[128];
        int width = (int)random_below(&seed, 40) - 20;
        uint64_t value = random_u64(&seed) >> random_below(&seed, 64);

        format_string(ours, sizeof(ours), "%*d|%*lu|%0*lx", width, (int)value, width, value,
                      width & 31, value);
        snprintf(theirs, sizeof(theirs), "%*d|%*lu|%0*lx", width, (int)value, width, value,
                 width & 31, value);
        agreed += strcmp(ours, theirs) == 0;
    }
    is_u64(agreed, 20000, "random numbers and widths");
}

int main(void)
{
    check_conversions();
    check_limits();
    check_unknown();
    check_random();
    return tap_done();
}
