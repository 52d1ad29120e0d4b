/* SPDX-License-Identifier: MIT */
/* Random encodings of a form, and the code around one. */
#include "tests/cpu/forms.h"
#include "tests/cpu/native.h"
#include "tests/unit/random.h"

#include <string.h>

/* A VEX prefix of two bytes or three, with what the row wants in W, L and vvvv. */
static unsigned encode_vex(const struct test *t, const struct opcode_row *r, bool wide, uint64_t x,
                           uint8_t *bytes, unsigned n)
{
    uint32_t wanted = r->select >> 16 & r->select, counts = r->select >> 16;
    unsigned rxb = (unsigned)(x >> 8) & 7;
    unsigned prefix = counts & 0x180 ? r->select >> KEY_PREFIX_SHIFT & 3 : 0;
    unsigned last = (x >> 24 & 0x7c) | prefix;

    if (t->mode == 4) // R and X distinguish VEX from LES there
        rxb &= 1;
    if (!(r->properties & P_VVVV))
        last |= 0x78;
    if (counts & KEY_L)
        last = (last & ~4u) | (wanted & KEY_L ? 4 : 0);
    wide = counts & KEY_W ? wanted & KEY_W : wide;
    if (r->map == MAP_V1 && !wide && (x >> 48 & 1)) {
        bytes[n++] = 0xc5;
        bytes[n++] = (uint8_t)(last | (t->mode == 4 ? 0xc0 : (rxb & 4) << 5));
        return n;
    }
    bytes[n++] = 0xc4;
    bytes[n++] = (uint8_t)((~rxb & 7) << 5 | (r->map - MAP_V1 + 1));
    bytes[n++] = (uint8_t)((wide ? 0x80 : 0) | last);
    return n;
}

bool form_encode(struct test *t, unsigned row, unsigned variant, uint8_t *bytes,
                 struct insn *insn)
{
    static const uint8_t mandatory[4] = {0, 0x66, 0xf3, 0xf2};
    const struct opcode_row *r = &opcode_rows[row];
    unsigned prefix =
        r->select >> (16 + KEY_PREFIX_SHIFT) & 3 ? r->select >> KEY_PREFIX_SHIFT & 3 : 0;
    uint64_t x = random_u64(&t->random);
    unsigned n = 0, rex = (unsigned)(x >> 8) & 7;
    uint8_t modrm = (uint8_t)(x >> 16);

    for (unsigned i = 0; i < CODE_SIZE; i++)
        bytes[i] = (uint8_t)random_u64(&t->random);
    if ((r->properties & P_LOCK) && (x & 3) == 0)
        bytes[n++] = 0xf0;
    if ((x >> 2 & 7) == 0)
        bytes[n++] = 0x67;
    if (r->map < MAP_V1) {
        if (variant == 1 && prefix != 1)
            bytes[n++] = 0x66;
        if (prefix)
            bytes[n++] = mandatory[prefix];
        if (variant == 2)
            rex |= 8;
        if (t->mode == 8 && (variant == 2 || (x >> 5 & 1)))
            bytes[n++] = (uint8_t)(0x40 | rex);
        if (r->map != MAP_1)
            bytes[n++] = 0x0f;
        if (r->map == MAP_38 || r->map == MAP_3A)
            bytes[n++] = r->map == MAP_38 ? 0x38 : 0x3a;
    } else {
        n = encode_vex(t, r, variant == 2, x, bytes, n);
    }
    bytes[n++] = r->byte;
    if (r->select & SELECT(0x7, 0))
        modrm = (uint8_t)((modrm & ~0x38) | (r->select & 7) << 3);
    if (r->select & SELECT(0x38, 0))
        modrm = (uint8_t)((modrm & ~7) | (r->select >> 3 & 7));
    if (r->properties & P_VSIB)
        modrm = (uint8_t)((modrm & 0x38) | 0x84);
    bytes[n] = modrm;
    return decode(bytes, CODE_SIZE, t->mode, insn) == DECODE_OK && insn->op == row;
}

bool form_adjust(struct test *t, unsigned row, const struct rule *rule, uint8_t *bytes,
                 struct insn *insn)
{
    unsigned width = opcode_rows[row].imm == IMM_S8 ? 1 : 4;

    if ((rule->kind == BRANCH || rule->kind == CALL || rule->kind == RETURN) &&
        (insn->prefixes & INSN_OPSIZE))
        return false; // differs between makers
    if (rule->kind == BRANCH) { // to the second exit
        uint64_t relative = (width == 1 ? EXIT_NEAR : EXIT_FAR) - (uint64_t)insn->length;

        memcpy(bytes + insn->length - width, &relative, width);
    }
    if (rule->kind == RETURN && opcode_rows[row].imm == IMM_U16)
        bytes[insn->length - 1] = 0;
    if (opcode_rows[row].imm == IMM_MOFFS) {
        uint64_t where = (uint64_t)(uintptr_t)t->arena.data + random_below(&t->random, 4080);

        memcpy(bytes + insn->length - insn->addrsize, &where, insn->addrsize);
    }
    if (!strcmp(rule->handler, "enter")) {
        bytes[insn->length - 2] = 0;
        bytes[insn->length - 1] &= 0x27;
    }
    if (rule->kind == STRING && random_below(&t->random, 3)) { // REP or REPNE in front
        memmove(bytes + 1, bytes, CODE_SIZE - 1);
        bytes[0] = random_below(&t->random, 2) ? 0xf3 : 0xf2;
    }
    return decode(bytes, CODE_SIZE, t->mode, insn) == DECODE_OK;
}

void form_put(struct test *t, const uint8_t *bytes, unsigned length)
{
    uint8_t *code = t->arena.code;

    t->length = length;
    memcpy(code, bytes, length);
    native_state.target = (uint64_t)(uintptr_t)code;
    if (t->mode == 8) {
        native_put_exit(code + length, 0);
        native_put_exit(code + EXIT_NEAR, 1);
        native_put_exit(code + EXIT_FAR, 1);
        return;
    }
    native_put_exit(code + THUNKS, 0);
    native_put_exit(code + THUNKS + 32, 1);
    native_put_entry32(code + THUNKS + 64, code);
    native_put_exit32(code + length, code + THUNKS);
    native_put_exit32(code + EXIT_NEAR, code + THUNKS + 32);
    native_put_exit32(code + EXIT_FAR, code + THUNKS + 32);
    native_state.target += THUNKS + 64;
}
