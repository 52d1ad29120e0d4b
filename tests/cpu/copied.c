/* SPDX-License-Identifier: MIT */
/*
 * What the recompiler makes of random instructions, read by Zydis: the host's code of a block is followed instruction by instruction,
 * and each operand in memory has to be the vCPU's state, a view, or guest memory that a check in front of it covers, for writing where
 * it writes. What is copied must be harmless, and known to the table of traps where the processor may refuse it; flags and registers
 * that Zydis says are read and written are compared with effects.c and share.c. Nothing is run.
 */
#include "hosts/linux/code_memory.h"
#include "tests/cpu/follow.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "tests/vmm/fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE (16u << 20)
#define RAM   (1u << 20)
#define SHOWN 20u

struct counts {
    unsigned long blocks, copied, accesses, wrong;
    unsigned long bytes, cold, traps; // the most of a block
};

#define MOST_BYTES 16384u // blocks_translate() wants so much room

static uint64_t seed = 20261123;
static uint8_t page[2][4096];
static struct blocks *blocks;
static struct follow *follow;

static unsigned any(unsigned below)
{
    return (unsigned)random_below(&seed, below);
}

/* Prefixes in any order and number, an opcode of any map, and noise; most with an operand in memory. */
static unsigned one(uint8_t *to, unsigned mode, bool plain)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65};
    unsigned n = 0, kind = any(8), count = plain ? 0 : any(4) ? any(2) : any(5);
    uint8_t bytes[32];
    struct insn insn;

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_u64(&seed);
    while (n < count) {
        bytes[n] = prefixes[any(sizeof(prefixes))];
        if (mode == 8 && any(6) == 0)
            bytes[n] = (uint8_t)(0x40 + any(16));
        n++;
    }
    if (kind < 2) {
        bytes[n] = kind ? 0xc5 : 0xc4;
        if (!kind)
            bytes[n + 1] = (uint8_t)((bytes[n + 1] & 0xe0) | (1 + any(3)));
        if (mode != 8)
            bytes[n + 1] |= 0xc0;
        n += kind ? 2 : 3;
    } else {
        if (mode == 8 && any(2))
            bytes[n++] = (uint8_t)(0x40 + any(16));
        if (kind >= 5)
            bytes[n++] = 0x0f;
        if (kind == 7)
            bytes[n++] = any(2) ? 0x38 : 0x3a;
    }
    n++;
    if (any(3))
        bytes[n] = (uint8_t)((bytes[n] & 0x3f) | (any(2) ? 0x40 : any(3) << 6)); // in memory, often near
    if (plain)
        bytes[n] = (uint8_t)((bytes[n] & 0xf8) | 3 * any(2)); // RAX or RBX
    if (decode(bytes, sizeof(bytes), mode, &insn) != DECODE_OK || insn.length > 15)
        return 0;
    memcpy(to, bytes, insn.length);
    return insn.length;
}

/* Instructions that move the stack pointer or use it, and ordinary ones between them. */
static unsigned some(uint8_t *to, unsigned mode)
{
    static const uint8_t stack[][6] = {
        {1, 0x50}, {1, 0x58}, {1, 0x59}, {1, 0x52}, {4, 0x48, 0x83, 0xc4, 0x10}, {4, 0x48, 0x83, 0xec, 0x18},
        {5, 0x48, 0x8d, 0x64, 0x24, 0x08}, {4, 0x8b, 0x44, 0x24, 0x10}, {4, 0x89, 0x4c, 0x24, 0xf8}, {1, 0x5c},
        {3, 0x66, 0x01, 0xc4}, {2, 0x00, 0xc4}, {1, 0x9c}, {2, 0xff, 0x33},
        {3, 0x0f, 0x20, 0xd4}, {2, 0x8c, 0xdc}, {1, 0xc9}, {4, 0xff, 0x74, 0x24, 0x08}, {1, 0x9d},
    };
    unsigned n = any(sizeof(stack) / sizeof(stack[0])), skip = mode == 4 && stack[n][1] == 0x48;

    if (any(2))
        return one(to, mode, any(4));
    if (any(8) == 0) { // MOV by the stack pointer with any displacement
        uint32_t displacement = (uint32_t)random_u64(&seed);
        const uint8_t mov[] = {any(2) ? 0x8b : 0x89, 0x9c, 0x24};

        memcpy(to, mov, 3);
        memcpy(to + 3, &displacement, 4);
        return 7;
    }
    memcpy(to, stack[n] + 1 + skip, stack[n][0] - skip);
    return stack[n][0] - skip;
}

static void show(const uint8_t *bytes, unsigned length, unsigned mode)
{
    char text[3 * 48 + 1];
    unsigned n = length < 48 ? length : 48;

    for (unsigned i = 0; i < n; i++)
        snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
    tap_note("mode %x, %s: %s", mode, text, follow->what);
    for (unsigned i = 0; i < follow->lines; i++)
        tap_note("    %s", follow->line[i]);
}

static unsigned long most(unsigned long a, unsigned long b)
{
    return a > b ? a : b;
}

static void try(unsigned offset, unsigned length, unsigned mode, struct counts *c)
{
    struct origin place = {.page = 0x1000, .page2 = BLOCK_ONE_PAGE, .bytes = page[0], .bytes2 = page[1], .offset = offset, .mode = mode};
    struct block *block;

    if (blocks_crosses(page[0], offset, mode))
        place.page2 = 0x2000;
    block = blocks_translate(blocks, &place);
    if (!block) {
        blocks_flush(blocks);
        block = blocks_translate(blocks, &place);
    }
    c->blocks++;
    if (!block || !follow_block(follow, blocks, block, page[0], page[1])) {
        if (c->wrong++ < SHOWN)
            show(page[0] + offset, length, mode);
    }
    if (block) {
        const struct translation *t = blocks->translation;

        c->bytes = most(c->bytes, blocks_offset(blocks, blocks->emit.out) - block->code);
        c->cold = most(c->cold, t->cold_count);
        c->traps = most(c->traps, t->trap_count);
    }
    c->copied += follow->copied;
    c->accesses += follow->accesses;
}

/* Every opcode of every map, with each mandatory prefix, each W and L, each modrm.reg, a register and two kinds of memory. */
static unsigned structured(uint8_t *to, unsigned mode, unsigned long n)
{
    static const uint8_t mandatory[4] = {0, 0x66, 0xf3, 0xf2};
    unsigned op = n & 255, map = n >> 8 & 7, pp = n >> 11 & 3, w = n >> 13 & 1, l = n >> 14 & 1, reg = n >> 15 & 7, where = (unsigned)(n >> 18);
    unsigned at = 0, rex = any(8);
    uint8_t bytes[32];
    struct insn insn;

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_u64(&seed);
    if (map < 4) {
        if (l)
            bytes[at++] = any(2) ? 0xf0 : 0x66;
        if (pp)
            bytes[at++] = mandatory[pp];
        if (mode == 8 && (w || any(2)))
            bytes[at++] = (uint8_t)(0x40 | w << 3 | rex);
        if (map)
            bytes[at++] = 0x0f;
        if (map > 1)
            bytes[at++] = map == 2 ? 0x38 : 0x3a;
    } else if (map < 7) {
        bytes[at++] = 0xc4;
        bytes[at++] = (uint8_t)((mode == 8 ? rex << 5 : 0xe0) | (map - 3));
        bytes[at++] = (uint8_t)(w << 7 | (any(2) ? 15 : any(16)) << 3 | l << 2 | pp);
    } else {
        return 0;
    }
    bytes[at++] = (uint8_t)op;
    bytes[at] = (uint8_t)((where == 0 ? 0xc0 : where == 1 ? 0x40 : 0x80) | reg << 3 | any(8));
    if (decode(bytes, sizeof(bytes), mode, &insn) != DECODE_OK)
        return 0;
    memcpy(to, bytes, insn.length);
    return insn.length;
}

static unsigned just_one(uint8_t *to, unsigned mode)
{
    return one(to, mode, false);
}

/* More than a block takes. */
static unsigned repeat(uint8_t *code, unsigned length)
{
    for (unsigned i = length; i < 60 * length; i++)
        code[i] = code[i - length];
    return 60 * length;
}

/* Modes in which much is copied, and others. */
static unsigned some_mode(unsigned code)
{
    unsigned all = REC_MODE_X87 | REC_MODE_SSE | REC_MODE_AVX | REC_MODE_FS | REC_MODE_GS | REC_MODE_SMAP | REC_MODE_BASES | REC_MODE_CLOCK;
    unsigned mode = any(4) ? all : (unsigned)random_u64(&seed) & all;

    return mode | (code == 8 ? REC_MODE_64 : 0) | (any(2) ? REC_MODE_USER : 0) | (any(4) ? 0 : REC_MODE_PLAIN);
}

enum how { RANDOM, STRUCTURED, SEVERAL, SAME };

static void tries(unsigned code, enum how how, unsigned long count, struct counts *c)
{
    for (unsigned long i = 0; i < count; i++) {
        unsigned offset = any(8) ? any(3500) : 4096 - 1 - any(60), n = 0, wanted = how == SEVERAL ? 2 + any(14) : 1;
        uint8_t code_bytes[1024];

        while (wanted--)
            n += how == SEVERAL  ? some(code_bytes + n, code)
                 : how == SAME   ? (any(2) ? some : just_one)(code_bytes + n, code)
                 : how == RANDOM ? one(code_bytes + n, code, false)
                                 : structured(code_bytes + n, code, i);
        if (!n)
            continue;
        if (how == SAME)
            n = repeat(code_bytes, n);
        code_bytes[n++] = 0xf4; // HLT is never translated
        memset(page, 0xf4, sizeof(page));
        for (unsigned k = 0; k < n; k++)
            page[(offset + k) / 4096][(offset + k) % 4096] = code_bytes[k];
        try(offset, n, some_mode(code), c);
    }
}

int main(int argc, char **argv)
{
    unsigned long factor = argc > 1 && !strcmp(argv[1], "full") ? 10 : 1;
    struct host *host = fake_host_new(0);
    struct recompiler_code code;

    if (argc > 2)
        seed = strtoull(argv[2], NULL, 0);
    if (!code_memory_create(&code, CACHE))
        return 1;
    blocks = calloc(1, sizeof(*blocks));
    follow = calloc(1, sizeof(*follow));
    for (unsigned n = 0; n < 4; n++) {
        struct counts single = {0}, several = {0}, same = {0};
        unsigned bits = n & 1 ? 8 : 4;

        memset(blocks, 0, sizeof(*blocks));
        blocks->bmi2 = n < 2;
        blocks->alone = n < 2;
        if (!blocks_init(blocks, host, &code, RAM))
            return 1;
        tries(bits, STRUCTURED, 3ul << 18, &single);
        tries(bits, RANDOM, 200000 * factor, &single);
        tries(bits, SEVERAL, 50000 * factor, &several);
        tries(bits, SAME, 5000 * factor, &same);
        blocks_free(blocks, host);
        tap_note("%u-bit code, %s PEXT: %lu and %lu copied, %lu and %lu accesses", 8 * bits, blocks->bmi2 ? "with" : "without",
                 single.copied, several.copied, single.accesses, several.accesses);
        ok(single.wrong == 0 && single.copied > 30000 * factor && single.accesses > 10000 * factor,
           "%u-bit code: single instructions (%lu wrong of %lu)", 8 * bits, single.wrong, single.blocks);
        ok(several.wrong == 0 && several.copied > 100000 * factor && several.accesses > 50000 * factor,
           "%u-bit code: several that share checks (%lu wrong of %lu)", 8 * bits, several.wrong, several.blocks);
        tap_note("of a block at most %lu bytes, %lu pieces behind it, %lu traps", same.bytes, same.cold, same.traps);
        ok(same.wrong == 0 && same.bytes > 4096 && same.bytes < MOST_BYTES && same.cold > BLOCK_INSNS && same.cold <= BLOCK_COLD &&
               same.traps <= 2 * BLOCK_INSNS,
           "%u-bit code: as many of one kind as a block takes (%lu wrong of %lu)", 8 * bits, same.wrong, same.blocks);
    }
    free(follow);
    free(blocks);
    fake_host_free(host);
    return tap_done();
}
