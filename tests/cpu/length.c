/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis: whatever Zydis decodes, decode() must decode to the same length and
 * operands; what
 * Zydis refuses may only be accepted where the table does not judge (encodings of the vector maps,
 * x87, and reserved forms that are counted). Random and structured bytes, 16-, 32- and 64-bit code.
 */
#include "tests/guests/generate.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/decode.h"
#include "zydis.h"

#include <stdio.h>
#include <string.h>

#define SIZE 24u

struct counts {
    unsigned long operands, agreed, refused_by_both, accepted_only_here, wrong;
};

static void show(const char *what, const uint8_t *bytes, unsigned mode, unsigned here,
                 unsigned there)
{
    char text[3 * SIZE + 1];

    for (unsigned i = 0; i < 16; i++)
        snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
    tap_note("%s: %u-bit code, %s: %u here, %u in Zydis", what, 8 * mode, text, here, there);
}

/* decode() must say SHORT for every shorter input, and nothing else may change. */
static bool prefixes_are_short(const uint8_t *bytes, unsigned mode, unsigned length)
{
    struct insn insn;

    for (unsigned n = 0; n < length; n++)
        if (decode(bytes, n, mode, &insn) != DECODE_SHORT)
            return false;
    return true;
}

/*
 * Forms whose operands the interpreter checks: control, debug and segment registers that do not
 * exist.
 */
static bool judged_later(const struct insn *insn)
{
    return (insn->map == MAP_0F && insn->opcode >= 0x20 && insn->opcode <= 0x23) ||
           (insn->map == MAP_1 && (insn->opcode == 0x8c || insn->opcode == 0x8e));
}

/* VEX forms that are not executed: of mask registers, of AMX, and prefetches of Knights Corner. */
static bool is_mask(const struct insn *insn)
{
    if (insn->map == MAP_V2)
        return insn->opcode == 0x49;
    if (insn->map == MAP_V3)
        return insn->opcode >= 0x30 && insn->opcode <= 0x33;
    return insn->map == MAP_V1 &&
           (insn->opcode == 0x18 || (insn->opcode >= 0x41 && insn->opcode <= 0x4b) ||
            (insn->opcode >= 0x90 && insn->opcode <= 0x99));
}

static void compare(const ZydisDecoder *zydis, const uint8_t *bytes, unsigned mode,
                    struct counts *c, bool thorough)
{
    ZydisDecodedInstruction theirs;
    ZydisDecoderContext context;
    struct insn ours;
    enum decode_status status = decode(bytes, SIZE, mode, &ours);
    bool known = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(zydis, &context, bytes, SIZE, &theirs));

    if (known &&
        (theirs.mnemonic == ZYDIS_MNEMONIC_JKZD || theirs.mnemonic == ZYDIS_MNEMONIC_JKNZD))
        return; // of Knights Corner only; VEX encodings without a modrm byte
    if (known && (status != DECODE_OK || ours.length != theirs.length)) {
        if (c->wrong++ < 40)
            show(ZydisMnemonicGetString(theirs.mnemonic), bytes, mode,
                 status == DECODE_OK ? ours.length : 0, theirs.length);
    } else if (known && thorough && !prefixes_are_short(bytes, mode, ours.length)) {
        if (c->wrong++ < 40)
            show("not short", bytes, mode, ours.length, theirs.length);
    } else if (known) {
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

        c->agreed++;
        const char *difference = "no operands";
        if (ZYAN_SUCCESS(ZydisDecoderDecodeOperands(zydis, &context, &theirs, operands,
                                                    theirs.operand_count)))
            difference = zydis_difference(&ours, mode, &theirs, operands);
        if (difference && c->operands++ < 40) {
            tap_note("%s: %s", ZydisMnemonicGetString(theirs.mnemonic), difference);
            show("operands", bytes, mode, ours.length, theirs.length);
        }
    } else if (status == DECODE_OK) {
        if (ours.map > MAP_V3 || (ours.map >= MAP_V1 && ours.op <= 3) || is_mask(&ours) || (ours.map == MAP_1 && (ours.opcode & 0xf8) == 0xd8) ||
            (ours.map == MAP_0F && ours.opcode == 0x0f) || judged_later(&ours))
            c->refused_by_both++;
        else if (c->accepted_only_here++ < 40)
            show("accepted", bytes, mode, ours.length, 0);
    } else {
        c->refused_by_both++;
    }
}

/* Every opcode of every map with every modrm, SIB forms, prefix and REX. */
static void structured(const ZydisDecoder *zydis, unsigned mode, uint64_t *r, struct counts *c)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf2, 0xf3, 0x67};
    uint8_t bytes[SIZE];

    for (unsigned map = 0; map < 4; map++)
        for (unsigned op = 0; op < 256; op++)
            for (unsigned modrm = 0; modrm < 256; modrm++)
                for (unsigned p = 0; p < sizeof prefixes * 2; p++) {
                    unsigned n = 0;

                    for (unsigned i = 0; i < SIZE; i++)
                        bytes[i] = (uint8_t)random_u64(r);
                    if (prefixes[p / 2])
                        bytes[n++] = prefixes[p / 2];
                    if ((p & 1) && mode == 8)
                        bytes[n++] = (uint8_t)(0x40 | random_u64(r) % 16);
                    if (map)
                        bytes[n++] = 0x0f;
                    if (map > 1)
                        bytes[n++] = map == 2 ? 0x38 : 0x3a;
                    bytes[n++] = (uint8_t)op;
                    bytes[n] = (uint8_t)modrm;
                    compare(zydis, bytes, mode, c, modrm == 0x84 && p < 2);
                }
}

static void vector(const ZydisDecoder *zydis, unsigned mode, uint64_t *r, struct counts *c,
                   unsigned long count)
{
    static const uint8_t first[] = {0xc4, 0xc5, 0x62, 0x8f};
    uint8_t bytes[SIZE];

    for (unsigned long i = 0; i < count; i++) {
        for (unsigned k = 0; k < SIZE; k++)
            bytes[k] = (uint8_t)random_u64(r);
        bytes[0] = first[i & 3];
        if (bytes[0] == 0xc4)
            bytes[1] = (uint8_t)((bytes[1] & 0xe0) | (1 + random_u64(r) % 3));
        if (bytes[0] == 0x62)
            bytes[1] = (uint8_t)((bytes[1] & 0xf0) | (1 + random_u64(r) % 6));
        if (bytes[0] == 0x62)
            bytes[2] |= 4;
        if (mode != 8)
            bytes[1] |= 0xc0;
        compare(zydis, bytes, mode, c, (i & 15) == 0);
    }
}

static void noise(const ZydisDecoder *zydis, unsigned mode, uint64_t *r, struct counts *c,
                  unsigned long count)
{
    uint8_t bytes[SIZE];

    for (unsigned long i = 0; i < count; i++) {
        for (unsigned k = 0; k < SIZE; k++)
            bytes[k] = (uint8_t)random_u64(r);
        compare(zydis, bytes, mode, c, (i & 15) == 0);
    }
}

static void test_mode(unsigned mode, uint64_t *r)
{
    ZydisDecoder zydis;
    struct counts c = {0};

    ZydisDecoderInit(&zydis,
                     mode == 8   ? ZYDIS_MACHINE_MODE_LONG_64
                     : mode == 4 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     mode == 8   ? ZYDIS_STACK_WIDTH_64
                     : mode == 4 ? ZYDIS_STACK_WIDTH_32
                                 : ZYDIS_STACK_WIDTH_16);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    structured(&zydis, mode, r, &c);
    vector(&zydis, mode, r, &c, 1000000);
    noise(&zydis, mode, r, &c, 1000000);
    tap_note("%u-bit code: %lu agreed, %lu not judged or refused by both, %lu accepted only here",
             8 * mode, c.agreed, c.refused_by_both, c.accepted_only_here);
    ok(c.wrong == 0, "%u-bit code: what Zydis decodes has the same length here (%lu)", 8 * mode,
       c.agreed);
    ok(c.operands == 0, "%u-bit code: operands are the same (%lu differ)", 8 * mode, c.operands);
    ok(c.accepted_only_here == 0, "%u-bit code: nothing is accepted that Zydis refuses", 8 * mode);
}

/*
 * What the random guest's supervisor runs must be as long as its generator believes: behind a
 * shorter one, operands would be executed, such as HLT. XOP is refused before it has a length.
 */
static void test_generated(void)
{
    struct generator g = {.seed = 20261123, .bits = 64, .supervisor = true};
    unsigned long decoded = 0, wrong = 0;

    for (unsigned i = 0; i < 1000000; i++) {
        uint8_t bytes[16];
        enum generated kind;
        unsigned length;
        struct insn insn;

        memset(bytes, 0x90, sizeof bytes);
        length = generate(&g, bytes, &kind);
        if (decode(bytes, INSN_MAX, 8, &insn) != DECODE_OK || insn.map > MAP_V3)
            continue;
        decoded++;
        if (insn.length != length && wrong++ < 5)
            show("generated for a supervisor", bytes, 8, insn.length, length);
    }
    ok(wrong == 0 && decoded > 500000, "generated code: %lu of the length that was meant", decoded);
}

int main(void)
{
    uint64_t r = 20261122;

    test_mode(8, &r);
    test_mode(4, &r);
    test_mode(2, &r);
    test_generated();
    return tap_done();
}
