/* SPDX-License-Identifier: MIT */
/* Random instructions for tests, by tables of what follows an opcode. */
#include "generate.h"

/*
 * For each opcode: '.' nothing follows; 'm' ModRM; 'b' 'z' ModRM and an immediate of a byte, of the
 * operand's size; '8' 'Z' 'V' immediates of a byte, of up to 4 bytes, of the operand's size; 'j'
 * 'J' displacements of a byte, of the operand's size; 'O' an address; 'e' ENTER's two; 'g' group 3;
 * 'r' not in 64-bit code, 'x' never (prefixes, or left to random bytes). Not for supervisors: 'k'
 * nothing follows, 'q' ModRM, 'i' a byte, 'f' group 5.
 */
static const char one_byte[257] = "mmmm8Z..mmmm8Z.xmmmm8Z..mmmm8Z.."
                                  "mmmm8Zx.mmmm8Zx.mmmm8Zx.mmmm8Zx."
                                  "rrrrrrrrrrrrrrrr................"
                                  "..xmxxxxZz8bkkkkjjjjjjjjjjjjjjjj"
                                  "bzbbmmmmmmmmmmmm..........x....."
                                  "OOOO....8Z......88888888VVVVVVVV"
                                  "bbxkxxbzexkk.8.kmmmm88..mmmmmmmm"
                                  "jjjjiiiiJJxjkkkkx.xxk.gg......mf";
static const char two_byte[257] = "qqmmxkkkkkx.xmxxmmmmmmmmmmmmmmmm"
                                  "qqqqxxxxmmmmmmmmk.kkkkxxxxxxxxxx"
                                  "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
                                  "mmmmmmmmmmmmmmmmbbbbmmm.xxxxmmmm"
                                  "JJJJJJJJJJJJJJJJmmmmmmmmmmmmmmmm"
                                  "...mbmxx..kmbmmmmmmmmmmmmmbmmmmm"
                                  "mmbmbbbm........mmmmmmmmmmmmmmmm"
                                  "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm";
static const uint8_t map_0f38[] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x14, 0x15, 0x17,
    0x1c, 0x1d, 0x1e, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32,
    0x33, 0x34, 0x35, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0xc8, 0xc9,
    0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xf0, 0xf1, 0xf6,
};
static const uint8_t map_0f3a[] = {
    0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x14, 0x15, 0x16, 0x17, 0x20, 0x21,
    0x22, 0x40, 0x41, 0x42, 0x44, 0x60, 0x61, 0x62, 0x63, 0xcc, 0xce, 0xcf, 0xdf,
};
/* What LOCK may stand before: (map << 8) | opcode. */
static const uint16_t lockable[] = {
    0x000, 0x001, 0x008, 0x009, 0x010, 0x011, 0x018, 0x019, 0x020, 0x021, 0x028,
    0x029, 0x030, 0x031, 0x080, 0x081, 0x083, 0x086, 0x087, 0x0f6, 0x0f7, 0x0fe,
    0x0ff, 0x1ab, 0x1b0, 0x1b1, 0x1b3, 0x1ba, 0x1bb, 0x1c0, 0x1c1, 0x1c7,
};
static const uint8_t strings[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
static const uint8_t prefixes[] = {0x66, 0x66, 0x67, 0xf2, 0xf3, 0x26,
                                   0x2e, 0x36, 0x3e, 0x64, 0x65};

const char *const generated_names[GENERATED_KINDS] = {
    "one_byte", "two_byte", "map_0f38", "map_0f3a", "vex",
    "x87",      "string",   "locked",   "branch",   "bytes",
};

uint32_t generator_any(struct generator *g)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return (uint32_t)(g->seed >> 16);
}

struct writer {
    struct generator *g;
    uint8_t *to;
    unsigned length, operand, address; // operand and address size in bits
    bool wide;                         // REX.W
};

static uint32_t any(struct writer *w)
{
    return generator_any(w->g);
}

static void put(struct writer *w, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && w->length < 15; i++)
        w->to[w->length++] = (uint8_t)(value >> (8 * i));
}

static void put_immediate(struct writer *w, unsigned bytes)
{
    static const uint8_t some[] = {0, 1, 0x7f, 0x80, 0xff, 31, 32, 63};
    uint32_t value = any(w);

    if (value & 0x100)
        put(w, (uint64_t)(int64_t)(int8_t)some[value & 7], bytes);
    else
        put(w, (uint64_t)any(w) << 32 | any(w), bytes);
}

/* Displacements reach the pages around, and often cross a border. */
static void put_displacement(struct writer *w, unsigned bytes)
{
    uint32_t value = any(w);

    put(w, value & 1 ? value >> 1 & 0x3f : (value >> 2 & 0x3fff) - 0x2000, bytes);
}

static void put_modrm(struct writer *w, uint32_t reg)
{
    uint32_t value = any(w), mod = value & 3, rm = value >> 2 & 7;

    put(w, mod << 6 | (reg & 7) << 3 | rm, 1);
    if (mod == 3)
        return;
    if (w->address == 16) {
        if (mod == 1)
            put_displacement(w, 1);
        else if (mod == 2 || rm == 6)
            put_displacement(w, 2);
        return;
    }
    uint32_t sib = any(w) & 0xff;
    if (rm == 4)
        put(w, sib, 1);
    if (mod == 1)
        put_displacement(w, 1);
    else if (mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5))
        put_displacement(w, 4);
}

static void put_prefixes(struct writer *w)
{
    uint32_t value = any(w);

    w->operand = w->g->bits == 16 ? 16 : 32;
    w->address = w->g->bits;
    for (unsigned n = value % 8 < 5 ? 0 : value % 8 - 4; n; n--) {
        uint8_t prefix = prefixes[any(w) % sizeof prefixes];
        put(w, prefix, 1);
        if (prefix == 0x66)
            w->operand = w->g->bits == 16 ? 32 : 16;
        if (prefix == 0x67)
            w->address = w->g->bits == 32 ? 16 : 32;
    }
}

static void put_rex(struct writer *w)
{
    uint32_t value = any(w);

    if (w->g->bits != 64 || value & 0x10)
        return;
    put(w, 0x40 | (value & 15), 1);
    w->wide = value & 8;
}

/* What follows an opcode of kind `follows`. */
static void put_rest(struct writer *w, char follows, uint8_t opcode)
{
    unsigned z = w->operand == 16 && !w->wide ? 2 : 4;
    uint32_t reg = any(w) & 7;

    if (follows == 'f' && w->g->supervisor)
        reg = reg & 1 ? 6 : reg >> 1 & 1;
    if (follows == 'm' || follows == 'q' || follows == 'f')
        put_modrm(w, reg);
    else if (follows == 'b' || follows == 'z')
        put_modrm(w, reg), put_immediate(w, follows == 'b' ? 1 : z);
    else if (follows == 'g')
        put_modrm(w, reg), put_immediate(w, reg > 1 ? 0 : opcode & 1 ? z : 1);
    else if (follows == '8' || follows == 'i')
        put_immediate(w, 1);
    else if (follows == 'Z' || follows == 'V')
        put_immediate(w, follows == 'V' && w->wide ? 8 : z);
    else if (follows == 'O')
        put_immediate(w, w->address / 8);
    else if (follows == 'e')
        put_immediate(w, 2), put_immediate(w, 1);
    else if (follows == 'j' || follows == 'J')
        put(w, w->g->supervisor || reg ? 0 : (any(w) & 0x3f) - 0x20,
            follows == 'j'     ? 1
            : w->g->bits == 64 ? 4
                               : z);
}

static bool allowed(const struct generator *g, char follows)
{
    if (follows == 'x' || (follows == 'r' && g->bits == 64))
        return false;
    return !g->supervisor || (follows != 'k' && follows != 'q' && follows != 'i');
}

static uint8_t pick(struct writer *w, const char *map)
{
    uint8_t opcode;

    do
        opcode = (uint8_t)any(w);
    while (!allowed(w->g, map[opcode]));
    return opcode;
}

static void put_locked(struct writer *w)
{
    uint16_t which = lockable[any(w) % (sizeof lockable / sizeof lockable[0])];

    put(w, 0xf0, 1);
    put_rex(w);
    if (which >> 8)
        put(w, 0x0f, 1);
    put(w, which & 0xff, 1);
    put_rest(w, (which >> 8 ? two_byte : one_byte)[which & 0xff], which & 0xff);
}

/*
 * Opcodes of the VEX maps, as first and last of ranges: nearly all with prefix 66. Of gathers most
 * are refused for a register that comes twice.
 */
static const uint8_t vex_ranges[3][24] = {
    {0x10, 0x17, 0x28, 0x2f, 0x50, 0x7f, 0xc2, 0xc2, 0xc4, 0xc6, 0xd0, 0xff},
    {0x00, 0x0f, 0x13, 0x13, 0x16, 0x47, 0x58, 0x5a, 0x78, 0x79, 0x8c, 0x9f, 0xa6, 0xaf, 0xb6, 0xbf,
     0xcf, 0xcf, 0xdb, 0xdf, 0xf2, 0xf7},
    {0x00, 0x0f, 0x14, 0x22, 0x38, 0x4c, 0x60, 0x63, 0xce, 0xcf, 0xdf, 0xdf, 0xf0, 0xf0},
};

static uint8_t pick_vex(struct writer *w, uint32_t map)
{
    const uint8_t *range = vex_ranges[map - 1] + 2 * (any(w) % 12);

    if (range[1] == 0) // a large one of the map's
        range = vex_ranges[map - 1] + (map == 3 ? 0 : 4);
    return (uint8_t)(range[0] + any(w) % (range[1] - range[0] + 1u));
}

/* R, X, B; W and vvvv mostly as forms without them want it; L; the prefix mostly 66. */
static void put_vex(struct writer *w)
{
    uint32_t value = any(w), map = value % 3 + 1, inverted = 0xe0;
    uint32_t last = value >> 16 & 0x7f, opcode = pick_vex(w, map);

    if (w->g->bits == 64)
        inverted = value >> 8 & 0xe0;
    if (value >> 24 & 1)
        last |= 0x78;
    if (value >> 25 & 7)
        last = (last & ~3u) | 1;
    if (map == 1 && value >> 28 & 1) {
        put(w, 0xc5, 1);
        put(w, last | (inverted & 0x80) | (w->g->bits == 64 ? 0 : 0xc0), 1);
    } else {
        put(w, 0xc4, 1);
        put(w, inverted | map, 1);
        put(w, last | (value >> 29 ? 0 : 0x80), 1);
    }
    put(w, opcode, 1);
    if (map == 1 && opcode == 0x77) // VZEROUPPER
        return;
    put_modrm(w, any(w));
    if (map == 3 || (map == 1 && two_byte[opcode] == 'b'))
        put_immediate(w, 1);
}

static enum generated put_mapped(struct writer *w, uint32_t choice)
{
    put_rex(w);
    uint8_t opcode;
    if (choice < 8) {
        opcode = pick(w, one_byte);
        put(w, opcode, 1);
        put_rest(w, one_byte[opcode], opcode);
        return one_byte[opcode] == 'j' || one_byte[opcode] == 'J' ? GENERATED_BRANCH
               : opcode >= 0xd8 && opcode <= 0xdf                 ? GENERATED_X87
                                                                  : GENERATED_ONE_BYTE;
    }
    put(w, 0x0f, 1);
    if (choice < 12) {
        opcode = pick(w, two_byte);
        put(w, opcode, 1);
        put_rest(w, two_byte[opcode], opcode);
        return two_byte[opcode] == 'J' ? GENERATED_BRANCH : GENERATED_TWO_BYTE;
    }
    bool immediate = choice == 13;
    put(w, immediate ? 0x3a : 0x38, 1);
    put(w, immediate ? map_0f3a[any(w) % sizeof map_0f3a] : map_0f38[any(w) % sizeof map_0f38], 1);
    put_rest(w, immediate ? 'b' : 'm', 0);
    return immediate ? GENERATED_0F3A : GENERATED_0F38;
}

unsigned generate(struct generator *g, uint8_t to[16], enum generated *kind)
{
    struct writer w = {.g = g, .to = to};
    uint32_t choice = generator_any(g) % 18;

    if (choice == 17 && !g->supervisor) {
        put(&w, (uint64_t)any(&w) << 32 | any(&w), 1 + any(&w) % 8);
        *kind = GENERATED_BYTES;
        return w.length;
    }
    put_prefixes(&w);
    if (choice < 14) {
        *kind = put_mapped(&w, choice);
    } else if (choice == 14) {
        put_locked(&w);
        *kind = GENERATED_LOCKED;
    } else if (choice == 15) {
        put_vex(&w);
        *kind = GENERATED_VEX;
    } else {
        if (any(&w) & 1)
            put(&w, any(&w) & 1 ? 0xf2 : 0xf3, 1);
        put_rex(&w);
        put(&w, strings[any(&w) % sizeof strings], 1);
        *kind = GENERATED_STRING;
    }
    return w.length;
}
