/* SPDX-License-Identifier: MIT */
/* Operands and register images for tests. */
#include "tests/cpu/values.h"

#include "tests/unit/random.h"

#include <string.h>

uint64_t values_pick(uint64_t *random)
{
    static const uint64_t edges[] = {
        0,
        1,
        2,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xffffffffffffffff,
        0x5555555555555555,
        0x101,
        0x10001,
    };
    uint64_t value = random_u64(random);

    switch (random_below(random, 6)) {
    case 0: return edges[random_below(random, sizeof edges / sizeof edges[0])];
    case 1: return value & 0x3f;
    case 2: return 1ull << (value & 63);
    case 3: return value >> (value & 63);
    default: return value;
    }
}

void values_put16(uint8_t *to, uint64_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

/* A number of 4, 8 or 10 bytes: each kind of them often enough. */
static void pick_number(uint64_t *random, unsigned size, uint8_t *to)
{
    unsigned exponent_bits = size == 4 ? 8 : size == 8 ? 11 : 15, top = (1u << exponent_bits) - 1;
    unsigned mantissa_bits = size == 4 ? 23 : size == 8 ? 52 : 63, bias = top / 2;
    uint64_t sign = random_u64(random) & 1, exponent, one = 1ull << mantissa_bits;
    uint64_t mantissa = values_pick(random) & (one - 1), bits;

    switch (random_below(random, 8)) {
    case 0:  exponent = 0; break;             // zero and denormal
    case 1:  exponent = top; break;           // infinity and NaN
    case 2:  exponent = random_u64(random) & top; break;
    case 3:  exponent = 1 + random_below(random, 60); break;
    case 4:  exponent = top - 1 - random_below(random, 60); break;
    default: exponent = bias - 8 + random_below(random, 64); break;
    }
    if (random_below(random, 3) == 0) // short mantissas: exact results
        mantissa &= ~(one / 16 - 1);
    if (size == 10) {
        if (exponent ? random_below(random, 16) != 0 : random_below(random, 16) == 0)
            mantissa |= one;
        memcpy(to, &mantissa, 8);
        to[8] = (uint8_t)exponent;
        to[9] = (uint8_t)(exponent >> 8 | sign << 7);
        return;
    }
    bits = mantissa | exponent << mantissa_bits | sign << (8 * size - 1);
    memcpy(to, &bits, size);
}

void values_put_numbers(uint64_t *random, uint8_t *where)
{
    static const unsigned sizes[] = {4, 8, 10};
    unsigned kind = (unsigned)random_below(random, 4);

    for (unsigned i = 0; kind < 3 && i < 3; i++)
        pick_number(random, sizes[kind], where + i * sizes[kind]);
    if (kind == 3 && random_below(random, 2)) // packed decimal
        for (unsigned i = 0; i < 10; i++)
            where[i] = (uint8_t)(random_below(random, 10) << 4 | random_below(random, 10));
}

/* Control and status words: exceptions unmasked, and pending ones, now and then. */
static void fill_control(uint64_t *random, enum values_kind kind, bool masked, uint8_t *image)
{
    uint64_t x = random_u64(random);
    uint16_t fcw = 0x37f, fsw = 0, mxcsr = 0x1f80;

    if (kind == VALUES_X87) {
        fcw = (uint16_t)(0x40 | (x & 0x0f00));
        fcw |= x >> 16 & 3 ? 0x3f : x >> 20 & 0x3f;
        fsw = (uint16_t)(x >> 26 & 0x7f00);
        fsw |= x >> 42 & 1 ? 0 : x >> 43 & 0x7f;
        if ((fsw & ~fcw & 0x3f) && (x >> 50 & 7))
            fsw &= (uint16_t)~0x3f;
        if (fsw & ~fcw & 0x3f)
            fsw |= 0x8080;
    } else {
        fsw = (uint16_t)(x >> 26 & 0x7f00);
    }
    if (kind == VALUES_FLOAT) {
        mxcsr = (uint16_t)(x & 0xe07f);
        mxcsr |= masked || (x >> 16 & 3) ? 0x1f80 : x >> 20 & 0x1f80;
        if (x >> 36 & 1)
            mxcsr &= 0x7fbf; // neither flush to zero nor denormals as zeros
    }
    if (kind == VALUES_XSTATE && (x & 1))
        mxcsr ^= (uint16_t)(x >> 16 & 0x20bf);
    values_put16(image, fcw);
    values_put16(image + 2, fsw);
    values_put16(image + 24, mxcsr);
    image[4] = (uint8_t)(x >> 56 & 1 ? 0xff : values_pick(random));
}

void values_fill_image(uint64_t *random, enum values_kind kind, bool masked, uint8_t *image)
{
    uint64_t components = 7, x;
    unsigned size = random_below(random, 2) ? 4 : 8;

    memset(image, 0, 1024);
    fill_control(random, kind, masked, image);
    for (unsigned i = 160; i < 416; i += 8) {
        x = values_pick(random);
        memcpy(image + i, &x, 8);
    }
    for (unsigned i = 160; kind == VALUES_FLOAT && i < 416; i += size)
        pick_number(random, size, image + i);
    for (unsigned i = 576; i < 832; i += 8) {
        x = values_pick(random);
        memcpy(image + i, &x, 8);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint8_t *st = image + 32 + 16 * i;

        x = values_pick(random);
        memcpy(st, &x, 8);
        st[8] = st[9] = 0xff;
        if (kind == VALUES_X87)
            pick_number(random, 10, st);
        else if (kind == VALUES_FLOAT)
            pick_number(random, 4, st);
    }
    if (kind == VALUES_XSTATE) // some in their initial state
        components = random_u64(random) & 7;
    /* With another MXCSR than the initial one a switch of tasks makes SSE one in use. */
    if (image[24] != 0x80 || image[25] != 0x1f)
        components |= 2;
    memcpy(image + 512, &components, 8);
}
