/* SPDX-License-Identifier: MIT */
/* lib/text.h and lib/checksum.h: examples and limits. */
#include "lib/text.h"

#include <string.h>

#include "lib/checksum.h"
#include "tests/unit/tap.h"

struct number {
    const char *text;
    bool valid;
    uint64_t value;
};

static void check_numbers(const char *what, bool (*parse)(const char *, size_t, uint64_t *),
                          const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0xdead;
        bool valid = parse(numbers[i].text, strlen(numbers[i].text), &value);

        ok(valid == numbers[i].valid && value == (valid ? numbers[i].value : 0xdead),
           "%s of \"%s\"", what, numbers[i].text);
    }
}

static void check_copies(void)
{
    char buffer[8];

    ok(text_copy(buffer, sizeof(buffer), "1234567"), "what fits is copied whole");
    is_str(buffer, "1234567", "the copy");
    ok(!text_copy(buffer, sizeof(buffer), "12345678"), "one byte more is cut");
    is_str(buffer, "1234567", "what is left is terminated");
    ok(!text_copy(buffer, 1, "x") && buffer[0] == 0, "a buffer of one byte");
    ok(text_copy(buffer, 1, ""), "nothing fits into one byte");
    ok(text_equals("abcd", 3, "abc") && !text_equals("abcd", 4, "abc") &&
       !text_equals("ab", 2, "abc"), "text_equals");
    ok(text_starts_with("console=ttyS0", "console=") && !text_starts_with("cons", "console"),
       "text_starts_with");
}

int main(void)
{
    static const struct number numbers[] = {
        { "0", true, 0 }, { "42", true, 42 }, { "0x2A", true, 42 }, { "0Xff", true, 255 },
        { "18446744073709551615", true, UINT64_MAX }, { "18446744073709551616", false, 0 },
        { "0xffffffffffffffff", true, UINT64_MAX }, { "0x10000000000000000", false, 0 },
        { "", false, 0 }, { "0x", false, 0 }, { "-1", false, 0 }, { " 1", false, 0 },
        { "1 ", false, 0 },
        { "12a", false, 0 }, { "0xg", false, 0 }, { "007", true, 7 },
    };
    static const struct number sizes[] = {
        { "64M", true, 64 << 20 }, { "4K", true, 4096 }, { "0x10K", true, 16384 },
        { "3G", true, 3ull << 30 },
        { "2T", true, 2ull << 40 }, { "7", true, 7 }, { "M", false, 0 }, { "", false, 0 },
        { "1KM", false, 0 },
        { "1k", false, 0 }, { "16777215T", true, 16777215ull << 40 }, { "16777216T", false, 0 },
    };

    check_copies();
    check_numbers("text_to_u64", text_to_u64, numbers, sizeof(numbers) / sizeof(numbers[0]));
    check_numbers("text_to_size", text_to_size, sizes, sizeof(sizes) / sizeof(sizes[0]));
    is_u64(checksum_crc32(0, "123456789", 9), 0xcbf43926, "CRC-32's check value");
    is_u64(checksum_crc32(checksum_crc32(0, "1234", 4), "56789", 5), 0xcbf43926,
           "the same in two pieces");
    is_u64(checksum_bytes("\x80\x81\xff", 3), 0, "a byte sum of 0");
    return tap_done();
}
