/* SPDX-License-Identifier: MIT */
/* The x87 environment in memory, FSTENV's and FSAVE's (SDM volume 1, 8.1.10). */
#include "vmm/cpu/x87.h"

#include "lib/string.h"

#define TAG_VALID   0u
#define TAG_ZERO    1u
#define TAG_SPECIAL 2u
#define TAG_EMPTY   3u

static unsigned tag_of(const uint8_t *st)
{
    uint64_t mantissa;
    unsigned exponent = (st[8] | st[9] << 8) & 0x7fff;

    memcpy(&mantissa, st, sizeof mantissa);
    if (exponent == 0 && mantissa == 0)
        return TAG_ZERO;
    if (exponent == 0 || exponent == 0x7fff || !(mantissa >> 63))
        return TAG_SPECIAL;
    return TAG_VALID;
}

static uint16_t full_tags(const uint8_t *image)
{
    unsigned top = x87_word(image, XSAVE_FSW) >> 11 & 7, tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        bool used = image[XSAVE_FTW] >> i & 1;

        tags |= (used ? tag_of(image + XSAVE_ST + 16 * ((i - top) & 7)) : TAG_EMPTY) << 2 * i;
    }
    return (uint16_t)tags;
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

static void put32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

/* FIP and FDP hold offset and selector, or in 64-bit code an address of 64 bits. */
unsigned x87_put_environment(const uint8_t *image, unsigned opsize, bool is_protected, uint8_t *to)
{
    uint32_t fip = get32(image + XSAVE_FIP), fdp = get32(image + XSAVE_FDP);
    uint16_t fcs = x87_word(image, XSAVE_FIP + 4), fds = x87_word(image, XSAVE_FDP + 4);
    uint16_t fop = x87_word(image, XSAVE_FOP) & 0x7ff;
    uint16_t words[3] = {x87_word(image, XSAVE_FCW), x87_word(image, XSAVE_FSW), full_tags(image)};

    if (opsize == 2) {
        for (unsigned i = 0; i < 3; i++)
            x87_set_word(to, 2 * i, words[i]);
        if (!is_protected) {
            fip += (uint32_t)fcs << 4;
            fdp += (uint32_t)fds << 4;
            fcs = (uint16_t)((fip >> 4 & 0xf000) | fop);
            fds = fdp >> 4 & 0xf000;
        }
        x87_set_word(to, 6, (uint16_t)fip);
        x87_set_word(to, 8, fcs);
        x87_set_word(to, 10, (uint16_t)fdp);
        x87_set_word(to, 12, fds);
        return 14;
    }
    for (unsigned i = 0; i < 3; i++)
        put32(to + 4 * i, 0xffff0000 | words[i]);
    if (is_protected) {
        put32(to + 12, fip);
        put32(to + 16, (uint32_t)fop << 16 | fcs);
        put32(to + 20, fdp);
        put32(to + 24, 0xffff0000 | fds);
    } else {
        fip += (uint32_t)fcs << 4;
        fdp += (uint32_t)fds << 4;
        put32(to + 12, 0xffff0000 | (fip & 0xffff));
        put32(to + 16, (fip >> 4 & 0x0ffff000) | fop);
        put32(to + 20, 0xffff0000 | (fdp & 0xffff));
        put32(to + 24, fdp >> 4 & 0x0ffff000);
    }
    return 28;
}

static void get_pointers(uint8_t *image, unsigned opsize, bool is_protected, const uint8_t *from)
{
    uint32_t fip, fdp;
    uint16_t fcs = 0, fds = 0, fop = 0;

    if (opsize == 2) {
        fip = x87_word(from, 6);
        fdp = x87_word(from, 10);
        if (is_protected) {
            fcs = x87_word(from, 8);
            fds = x87_word(from, 12);
        } else {
            fip |= (x87_word(from, 8) & 0xf000u) << 4;
            fdp |= (x87_word(from, 12) & 0xf000u) << 4;
            fop = x87_word(from, 8) & 0x7ff;
        }
    } else if (is_protected) {
        fip = get32(from + 12);
        fdp = get32(from + 20);
        fcs = x87_word(from, 16);
        fds = x87_word(from, 24);
        fop = x87_word(from, 18) & 0x7ff;
    } else {
        fip = (get32(from + 12) & 0xffff) | (get32(from + 16) & 0x0ffff000) << 4;
        fdp = (get32(from + 20) & 0xffff) | (get32(from + 24) & 0x0ffff000) << 4;
        fop = x87_word(from, 16) & 0x7ff;
    }
    memset(image + XSAVE_FIP, 0, 16);
    put32(image + XSAVE_FIP, fip);
    put32(image + XSAVE_FDP, fdp);
    x87_set_word(image, XSAVE_FIP + 4, fcs);
    x87_set_word(image, XSAVE_FDP + 4, fds);
    x87_set_word(image, XSAVE_FOP, fop);
}

void x87_get_environment(uint8_t *image, unsigned opsize, bool is_protected, const uint8_t *from)
{
    unsigned step = opsize == 2 ? 2 : 4;
    uint16_t fsw = x87_word(from, step), tags = x87_word(from, 2 * step);

    /* Bit 6 of the control word is always set, bits 15:13 and 7 are never (as FNINIT leaves it). */
    x87_set_word(image, XSAVE_FCW, (uint16_t)((x87_word(from, 0) & FCW_VALID) | FCW_ONE));
    x87_set_top(image, fsw >> 11 & 7);
    x87_set_word(image, XSAVE_FSW, fsw);
    image[XSAVE_FTW] = 0;
    for (unsigned i = 0; i < 8; i++)
        if ((tags >> 2 * i & 3) != TAG_EMPTY)
            image[XSAVE_FTW] |= (uint8_t)(1u << i);
    get_pointers(image, opsize, is_protected, from);
    x87_update_summary(image);
}
