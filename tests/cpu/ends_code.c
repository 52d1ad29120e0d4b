/* SPDX-License-Identifier: MIT */
/* Random blocks of instructions with operands in memory and on the stack. */
#include "tests/cpu/ends.h"
#include "tests/unit/random.h"

#include <string.h>

/* How an instruction with a ModRM byte is drawn. */
#define V    0x01u // opcode operand sizes 16, 32, 64
#define W64  0x02u // REX.W as likely as not
#define U    0x04u // leaves status flags undefined
#define M6   0x08u // 64-bit code only
#define M4   0x10u // not in 64-bit code
#define IB   0x20u // imm8
#define IZ   0x40u // imm16, imm32
#define LOCK 0x80u
#define VX   0x100u // VEX; W64: VEX.L as likely as not
#define HIGH 0x200u // VEX.W
#define RARE 0x400u // a tenth as often
#define ANY  0xffu  // modrm.reg is a register

struct form {
    uint8_t prefix, map, opcode, last; // up to `last`, in steps of one
    uint8_t reg;
    uint16_t how;
};

static const struct form forms[] = {
    {0, 0, 0x88, 0x88, ANY, 0}, {0, 0, 0x89, 0x89, ANY, V}, {0, 0, 0x8a, 0x8a, ANY, 0}, {0, 0, 0x8b, 0x8b, ANY, V},
    {0, 0, 0x89, 0x89, ANY, V}, {0, 0, 0x8b, 0x8b, ANY, V}, {0, 0, 0x89, 0x89, ANY, V}, {0, 0, 0x8b, 0x8b, ANY, V},
    {0, 0, 0x00, 0x00, ANY, LOCK}, {0, 0, 0x01, 0x01, ANY, V | LOCK}, {0, 0, 0x03, 0x03, ANY, V},
    {0, 0, 0x2b, 0x2b, ANY, V}, {0, 0, 0x11, 0x11, ANY, V}, {0, 0, 0x1b, 0x1b, ANY, V}, {0, 0, 0x39, 0x39, ANY, V},
    {0, 0, 0x3a, 0x3b, ANY, V}, {0, 0, 0x31, 0x31, ANY, V | U | LOCK}, {0, 0, 0x23, 0x23, ANY, V | U},
    {0, 0, 0x86, 0x86, ANY, 0}, {0, 0, 0x87, 0x87, ANY, V}, {0, 0, 0x85, 0x85, ANY, V | U},
    {0, 0, 0xc6, 0xc6, 0, IB}, {0, 0, 0xc7, 0xc7, 0, V | IZ}, {0, 0, 0x81, 0x81, 0, V | IZ | LOCK},
    {0, 0, 0x83, 0x83, 5, V | IB | LOCK}, {0, 0, 0x80, 0x80, 7, IB}, {0, 0, 0x83, 0x83, 2, V | IB},
    {0, 0, 0xff, 0xff, 0, V | LOCK}, {0, 0, 0xfe, 0xfe, 1, LOCK}, {0, 0, 0xf7, 0xf7, 2, V}, {0, 0, 0xf7, 0xf7, 3, V},
    {0, 0, 0xff, 0xff, 6, V}, {0, 0, 0xff, 0xff, 6, 0}, {0, 0, 0x8f, 0x8f, 0, V}, {0, 0, 0x8f, 0x8f, 0, 0},
    {0, 0, 0xff, 0xff, 2, RARE}, {0, 0, 0xff, 0xff, 4, RARE}, {0, 0, 0xff, 0xff, 3, V | RARE}, {0, 0, 0xff, 0xff, 5, V | RARE},
    {0, 0, 0xd1, 0xd1, 4, V | U}, {0, 0, 0xc0, 0xc1, 0, V | IB | U}, {0, 0, 0xd3, 0xd3, 5, V | U},
    {0, 0, 0x63, 0x63, ANY, V | M6}, {0, 0, 0x6b, 0x6b, ANY, V | IB | U}, {0, 0, 0xf7, 0xf7, 4, V | U}, {0, 0, 0xf7, 0xf7, 6, V | U},
    {0, 0, 0x8c, 0x8c, 3, 0}, {0, 0, 0x8e, 0x8e, 4, RARE}, {0, 0, 0xc4, 0xc5, ANY, V | M4 | RARE},
    {0, 0, 0xd9, 0xd9, 7, 0}, {0, 0, 0xd9, 0xd9, 6, 0}, {0, 0, 0xdd, 0xdd, 6, RARE}, {0, 0, 0xdd, 0xdd, 7, 0},
    {0, 1, 0xb0, 0xb0, ANY, LOCK}, {0, 1, 0xb1, 0xb1, ANY, V | LOCK}, {0, 1, 0xc0, 0xc0, ANY, LOCK}, {0, 1, 0xc1, 0xc1, ANY, V | LOCK},
    {0, 1, 0xc7, 0xc7, 1, LOCK}, {0, 1, 0xc7, 0xc7, 1, W64 | LOCK | M6}, {0, 1, 0xa3, 0xa3, ANY, V | U}, {0, 1, 0xab, 0xab, ANY, V | U | LOCK},
    {0, 1, 0xb3, 0xb3, ANY, V | U}, {0, 1, 0xbb, 0xbb, ANY, V | U}, {0, 1, 0xba, 0xba, 5, V | IB | U}, {0, 1, 0xba, 0xba, 4, V | IB | U},
    {0, 1, 0x40, 0x4f, ANY, V}, {0, 1, 0x90, 0x9f, 0, 0}, {0, 1, 0xb6, 0xb7, ANY, V}, {0, 1, 0xbe, 0xbf, ANY, V}, {0, 1, 0xaf, 0xaf, ANY, V | U},
    {0, 1, 0xa4, 0xa4, ANY, V | IB | U}, {0, 1, 0xad, 0xad, ANY, V | U}, {0, 1, 0xc3, 0xc3, ANY, W64}, {0, 1, 0xae, 0xae, 0, 0},
    {0, 1, 0xae, 0xae, 1, RARE}, {0, 1, 0xae, 0xae, 3, 0}, {0, 1, 0xae, 0xae, 7, 0}, {0, 1, 0x18, 0x18, 1, 0}, {0, 1, 0x1f, 0x1f, 0, 0},
    {0, 1, 0x10, 0x11, ANY, 0}, {0x66, 1, 0x10, 0x11, ANY, 0}, {0xf3, 1, 0x10, 0x11, ANY, 0}, {0xf2, 1, 0x10, 0x11, ANY, 0},
    {0, 1, 0x12, 0x13, ANY, 0}, {0x66, 1, 0x16, 0x17, ANY, 0}, {0, 1, 0x28, 0x29, ANY, 0}, {0x66, 1, 0x28, 0x29, ANY, 0},
    {0, 1, 0x2b, 0x2b, ANY, 0}, {0x66, 1, 0xe7, 0xe7, ANY, 0}, {0x66, 1, 0x6f, 0x6f, ANY, 0}, {0x66, 1, 0x7f, 0x7f, ANY, 0},
    {0xf3, 1, 0x6f, 0x6f, ANY, 0}, {0xf3, 1, 0x7f, 0x7f, ANY, 0}, {0x66, 1, 0xd6, 0xd6, ANY, 0}, {0xf3, 1, 0x7e, 0x7e, ANY, 0},
    {0x66, 1, 0x7e, 0x7e, ANY, W64}, {0x66, 1, 0x6e, 0x6e, ANY, W64}, {0x66, 1, 0xfe, 0xfe, ANY, 0}, {0x66, 1, 0xef, 0xef, ANY, 0},
    {0, 1, 0x57, 0x57, ANY, 0}, {0, 1, 0xc6, 0xc6, ANY, IB}, {0x66, 1, 0xc4, 0xc4, ANY, IB}, {0x66, 1, 0x70, 0x70, ANY, IB},
    {0xf2, 1, 0xf0, 0xf0, ANY, 0}, {0, 1, 0x00, 0x00, 1, RARE}, {0, 1, 0x01, 0x01, 0, RARE}, {0, 1, 0x01, 0x01, 4, RARE},
    {0, 1, 0xb2, 0xb2, ANY, V | RARE}, {0, 1, 0xb4, 0xb5, ANY, V | RARE}, {0x66, 2, 0x00, 0x00, ANY, 0}, {0x66, 2, 0x2a, 0x2a, ANY, 0},
    {0, 2, 0xf0, 0xf1, ANY, V}, {0xf2, 2, 0xf0, 0xf1, ANY, W64}, {0x66, 2, 0x20, 0x25, ANY, 0}, {0x66, 3, 0x63, 0x63, ANY, IB},
    {0x66, 3, 0x0f, 0x0f, ANY, IB}, {0x66, 3, 0x14, 0x16, ANY, IB}, {0x66, 3, 0x20, 0x22, ANY, IB},
    {0, 1, 0x10, 0x11, ANY, VX | W64}, {0, 1, 0x28, 0x29, ANY, VX | W64}, {1, 1, 0x6f, 0x6f, ANY, VX | W64}, {1, 1, 0x7f, 0x7f, ANY, VX | W64},
    {2, 1, 0x6f, 0x6f, ANY, VX | W64}, {2, 1, 0x7f, 0x7f, ANY, VX | W64}, {1, 1, 0xe7, 0xe7, ANY, VX | W64}, {1, 1, 0xef, 0xef, ANY, VX | W64},
    {1, 2, 0x18, 0x18, ANY, VX | W64}, {1, 2, 0x2c, 0x2f, ANY, VX | W64 | RARE}, {1, 2, 0x8c, 0x8c, ANY, VX | W64 | RARE},
    {1, 2, 0x8e, 0x8e, ANY, VX | W64 | HIGH | RARE}, {1, 2, 0x20, 0x25, ANY, VX | W64},
};

struct writer {
    uint64_t *random;
    unsigned mode;
    struct ends_insn *insn;
    uint8_t favourite[3]; // bases
    bool avx, x87, stacks;
};

static unsigned below(struct writer *w, unsigned limit)
{
    return (unsigned)random_below(w->random, limit);
}

static void byte(struct writer *w, unsigned value)
{
    w->insn->bytes[w->insn->length++] = (uint8_t)value;
}

static void bytes(struct writer *w, uint64_t value, unsigned count)
{
    for (; count; count--, value >>= 8)
        byte(w, (unsigned)value & 0xff);
}

struct mem {
    uint8_t segment, base, index, scale; // prefix or 0; ENDS_NONE; base 16: RIP
    bool address32;
    int32_t disp;
};

/* From one border to the next, about. */
static int32_t draw_far(struct writer *w)
{
    static const uint32_t far[] = {0x10000000, 0x40000000, 0x70000000, 0x7fffffc0, 0x80000000, 0x90000000, 0xf0000000};

    return (int32_t)(far[below(w, sizeof(far) / sizeof(far[0]))] + below(w, 64));
}

static int32_t draw_disp(struct writer *w)
{
    if (below(w, 64) == 0)
        return draw_far(w);
    switch (below(w, 16)) {
    case 0: case 1: case 2: return 0;
    case 3:  return (int32_t)(below(w, 512)) - 256;
    case 4:  return (int32_t)(below(w, 64)) * 4 + (below(w, 2) ? 4096 : -4096);
    case 5:  return below(w, 8) ? 16 : (int32_t)(0x7fffffc0 + below(w, 64));
    case 6:  return below(w, 8) ? -16 : (int32_t)(INT32_MIN + (int32_t)below(w, 64));
    case 7:  return (int32_t)below(w, 64) - 32;
    default: return (int32_t)(below(w, 32)) * 4 - 64;
    }
}

static struct mem draw_mem(struct writer *w)
{
    static const uint8_t segments[6] = {0x64, 0x65, 0x64, 0x65, 0x3e, 0x36};
    struct mem m = {0, ENDS_NONE, ENDS_NONE, 0, false, draw_disp(w)};

    m.base = w->favourite[below(w, 3)];
    if (below(w, 8) == 0)
        m.base = (uint8_t)below(w, w->mode == 8 ? 17 : 9);
    if (w->mode == 4 && m.base == 8)
        m.base = ENDS_NONE;
    if (m.base == CPU_RSP && below(w, 16) == 0)
        m.disp = draw_far(w);
    if (m.base == 16) // code is about the middle of its page, or at the end of it
        m.disp = below(w, 4) ? ((int32_t)below(w, 7) - 3) * 4096 + (below(w, 2) ? 0x980 : 0) - (int32_t)below(w, 256) : draw_far(w);
    if (m.base != 16 && below(w, 6) == 0) {
        m.index = (uint8_t)below(w, w->mode == 8 ? 16 : 8);
        m.index = m.index == CPU_RSP ? ENDS_NONE : m.index;
        m.scale = (uint8_t)below(w, 4);
    }
    if (below(w, 10) == 0)
        m.segment = segments[below(w, 6)];
    m.address32 = w->mode == 8 && below(w, 10) == 0;
    return m;
}

static void put_modrm(struct writer *w, unsigned reg, const struct mem *m)
{
    unsigned field = (reg & 7) << 3, rm, base = m->base == ENDS_NONE ? 5 : m->base & 7;
    bool sib = m->index != ENDS_NONE || base == 4 || (m->base == ENDS_NONE && w->mode == 8);
    bool near = m->disp >= -128 && m->disp < 128;

    w->insn->base = m->base < 16 ? m->base : ENDS_NONE;
    w->insn->index = m->index;
    w->insn->scale = m->scale;
    w->insn->disp = m->disp;
    if (m->base == 16) {
        byte(w, field | 5);
        bytes(w, (uint32_t)m->disp, 4);
        return;
    }
    rm = sib ? 4 : base;
    if (m->base == ENDS_NONE)
        byte(w, field | rm);
    else
        byte(w, (m->disp == 0 && base != 5 ? 0 : near ? 0x40u : 0x80u) | field | rm);
    if (sib)
        byte(w, (unsigned)m->scale << 6 | (m->index == ENDS_NONE ? 4u : m->index & 7u) << 3 | base);
    if (m->base == ENDS_NONE || !(m->disp == 0 && base != 5))
        bytes(w, (uint32_t)m->disp, m->base != ENDS_NONE && near ? 1 : 4);
}

/* CMP EAX, EDX: defines what an instruction has left undefined. */
static void define_flags(struct writer *w)
{
    bytes(w, 0xd039, 2);
}

static void draw_form(struct writer *w)
{
    const struct form *f;
    struct mem m = draw_mem(w);
    unsigned rex, reg, size = 4, opcode;

    do
        f = &forms[below(w, sizeof(forms) / sizeof(forms[0]))];
    while (((f->how & M6) && w->mode == 4) || ((f->how & M4) && w->mode == 8) || ((f->how & VX) && !w->avx) ||
           ((f->how & RARE) && below(w, 10)));
    reg = f->reg == ANY ? below(w, w->mode == 8 ? 16 : 8) : f->reg;
    opcode = f->opcode + below(w, f->last - f->opcode + 1u);
    rex = (reg & 8 ? 4 : 0) | (m.index != ENDS_NONE && (m.index & 8) ? 2 : 0) | (m.base < 16 && (m.base & 8) ? 1 : 0);
    if (m.segment)
        byte(w, m.segment);
    if (m.address32)
        byte(w, 0x67);
    if (f->how & VX) {
        static const uint8_t pp[3] = {0, 1, 2};
        bool no_second = f->map == 1 ? opcode != 0xef : (opcode < 0x2c || opcode > 0x2f) && opcode != 0x8c && opcode != 0x8e;

        byte(w, 0xc4);
        byte(w, (~rex & 7u) << 5 | f->map);
        byte(w, (f->how & HIGH ? 0x80u : 0) | (no_second ? 15 : below(w, 8) | 8) << 3 | below(w, 2) << 2 | pp[f->prefix]);
    } else {
        if (f->how & LOCK && below(w, 3) == 0)
            byte(w, 0xf0);
        if (f->how & V) {
            unsigned draw = below(w, 5);

            size = draw == 0 ? 2 : draw < 3 && w->mode == 8 ? 8 : 4;
        }
        if ((f->how & W64) && w->mode == 8 && below(w, 2))
            size = 8;
        if (size == 2)
            byte(w, 0x66);
        if (f->prefix)
            byte(w, f->prefix);
        if (size == 8)
            rex |= 8;
        if (rex || (w->mode == 8 && below(w, 16) == 0))
            byte(w, 0x40 | rex);
        if (f->map)
            byte(w, 0x0f);
        if (f->map > 1)
            byte(w, f->map == 2 ? 0x38 : 0x3a);
    }
    byte(w, opcode);
    put_modrm(w, reg, &m);
    if (f->how & IB)
        byte(w, below(w, 256));
    if (f->how & IZ)
        bytes(w, random_u64(w->random), size == 2 ? 2 : 4);
    if (f->how & U)
        define_flags(w);
}

/* With REX as wanted, in 64-bit code. */
static void op64(struct writer *w, unsigned rex)
{
    if (w->mode == 8)
        byte(w, 0x40 | rex);
}

static void draw_stack(struct writer *w)
{
    unsigned reg = below(w, w->mode == 8 ? 16 : 8), what = below(w, 20);

    if (what < 13 && below(w, 8) == 0)
        byte(w, 0x66);
    if (what < 10) {
        if (reg & 8)
            byte(w, 0x41);
        byte(w, (what < 5 ? 0x50 : 0x58) | (reg & 7));
        return;
    }
    switch (what) {
    case 10: byte(w, 0x6a); byte(w, below(w, 256)); break;
    case 11: byte(w, 0x9c); break;
    case 12: byte(w, w->insn->length ? 0x9c : 0xc9); break;
    case 13: bytes(w, below(w, 2) ? 0x9d9c : 0x9c9d, 2); break; // PUSHF, POPF
    case 14: byte(w, below(w, 8) ? 0xc9 : 0x9d); break;
    case 15: byte(w, 0xc8); bytes(w, below(w, 100), 2); byte(w, below(w, 4) ? 0 : below(w, 5)); break;
    case 16:
        if (w->mode == 4)
            byte(w, 0x60 | below(w, 2));
        else
            byte(w, 0xc3);
        break;
    case 17: byte(w, 0xc2); bytes(w, below(w, 40), 2); break;
    case 18: byte(w, 0x68); bytes(w, random_u64(w->random), 4); break;
    default: byte(w, 0xc3); break;
    }
}

/* What becomes of RSP and of bases. */
static void draw_move(struct writer *w)
{
    unsigned reg = below(w, 2) ? CPU_RSP : w->favourite[below(w, 3)], other = w->favourite[below(w, 3)];
    unsigned high = reg >> 3 & 1, by = below(w, 4) ? below(w, 16) * 4 : below(w, 256);
    struct mem m = {0, (uint8_t)reg, ENDS_NONE, 0, false, draw_disp(w)};

    switch (below(w, 12)) {
    case 0: case 1: case 2:
        op64(w, 8 | high);
        byte(w, 0x83);
        byte(w, 0xc0 | (below(w, 2) ? 0x28 : 0) | (reg & 7));
        byte(w, by & 0x7f);
        break;
    case 3: case 4:
        op64(w, 8 | high << 2 | high);
        byte(w, 0x8d);
        put_modrm(w, reg, &m);
        break;
    case 5: op64(w, 8 | high | (other >> 3 & 1) << 2); byte(w, 0x89); byte(w, 0xc0 | (other & 7) << 3 | (reg & 7)); break;
    case 6: op64(w, 8 | high | (other >> 3 & 1) << 2); byte(w, 0x87); byte(w, 0xc0 | (other & 7) << 3 | (reg & 7)); break;
    case 7:
        op64(w, 8 | high);
        byte(w, 0x83);
        byte(w, 0xe0 | (reg & 7));
        byte(w, 0xf0);
        define_flags(w);
        break;
    case 8: byte(w, 0x66); op64(w, high); byte(w, 0xb8 | (reg & 7)); bytes(w, 0xff0 + below(w, 32), 2); break;
    case 9: op64(w, high); byte(w, 0xb0 | (reg & 7)); byte(w, below(w, 256)); break;
    case 10: op64(w, high); byte(w, 0x83); byte(w, 0xc0 | (reg & 7)); byte(w, below(w, 256)); break; // 32 bits
    default: op64(w, 8 | high); byte(w, 0x81); byte(w, 0xc0 | (reg & 7)); bytes(w, (below(w, 3) - 1) * 4096 + by, 4); break;
    }
}

static void draw_string(struct writer *w)
{
    static const uint8_t opcodes[7] = {0xa4, 0xa6, 0xaa, 0xac, 0xae, 0xa4, 0xaa};
    unsigned repeat = below(w, 3);

    if (below(w, 4) == 0)
        byte(w, 0xfc | below(w, 2)); // CLD, STD
    if (repeat) {
        byte(w, 0xb9); // MOV ECX
        bytes(w, below(w, 40), 4);
        byte(w, 0xf1 | repeat);
    }
    if (below(w, 8) == 0)
        byte(w, 0x67);
    if (below(w, 8) == 0)
        byte(w, 0x64);
    if (below(w, 5) == 0)
        byte(w, 0x66);
    else if (w->mode == 8 && below(w, 2))
        byte(w, 0x48);
    byte(w, opcodes[below(w, 7)] | below(w, 2));
}

static void draw_other(struct writer *w, unsigned *jump)
{
    switch (below(w, 10)) {
    case 0: case 1: case 2:
        *jump = ENDS_JCC;
        bytes(w, 0x0f | (0x80 | below(w, 16)) << 8, 2);
        break;
    case 3: *jump = ENDS_JMP; byte(w, 0xe9); break;
    case 4: case 5: *jump = ENDS_CALL; byte(w, 0xe8); break;
    case 6: *jump = ENDS_LOOP; byte(w, 0xe2); break;
    case 7: byte(w, 0xd7); break; // XLAT
    case 8:
        if (below(w, 4) == 0)
            byte(w, 0x64);
        byte(w, 0xa0 | below(w, 4)); // MOV moffs
        bytes(w, 0x10000000ull - 16 + below(w, 32) + (w->mode == 8 && below(w, 2) ? 1ull << 32 : 0), w->mode);
        break;
    default: bytes(w, 0xc9f70f66, 4); break; // MASKMOVDQU
    }
}

/* What changes which memory, or how much of it, the next instructions see. */
static void draw_system(struct writer *w)
{
    unsigned reg = w->favourite[below(w, 3)];
    struct mem m = draw_mem(w);

    switch (below(w, 8)) {
    case 0: bytes(w, 0xcb010f, 3); break; // STAC
    case 1: bytes(w, 0xca010f, 3); break; // CLAC
    case 2: byte(w, 0xfa | below(w, 2)); break;
    case 3: byte(w, 0x9e | below(w, 2)); break; // SAHF, LAHF
    case 4:
        if (w->mode == 8)
            bytes(w, 0xf8010f, 3); // SWAPGS
        break;
    case 5:
    case 6: // RDFSBASE to WRGSBASE
        if (w->mode == 8) {
            bytes(w, 0xf3 | (0x40 | below(w, 2) << 3 | (reg >> 3)) << 8, 2);
            bytes(w, 0xae0f | (0xc0 | below(w, 4) << 3 | (reg & 7)) << 16, 3);
        }
        break;
    default: // INVLPG
        if (m.base != ENDS_NONE && m.base < 8 && m.index == ENDS_NONE) {
            bytes(w, 0x010f, 2);
            put_modrm(w, 7, &m);
        } else {
            bytes(w, 0xd8220fd8200f, 6); // MOV EAX, CR3; MOV CR3, EAX
        }
        break;
    }
}

/* x87 registers; not together with what stores where the last operand was. */
static void draw_x87(struct writer *w)
{
    static const uint8_t codes[8][2] = {{0xd9, 0}, {0xdd, 0}, {0xdb, 5}, {0xdb, 7}, {0xdd, 3}, {0xdf, 5}, {0xdf, 7}, {0xdf, 6}};
    const uint8_t *code = codes[below(w, 8)];
    struct mem m = draw_mem(w);

    if (m.segment)
        byte(w, m.segment);
    if ((m.base != ENDS_NONE && (m.base & 24) == 8) || (m.index != ENDS_NONE && (m.index & 8)))
        byte(w, 0x40 | (m.index != ENDS_NONE && (m.index & 8) ? 2 : 0) | (m.base < 16 && (m.base & 8) ? 1 : 0));
    byte(w, code[0]);
    put_modrm(w, code[1], &m);
}

static bool stores_pointers(const struct ends_insn *insn)
{
    for (unsigned i = 0; i + 1 < insn->length; i++) {
        unsigned next = insn->bytes[i + 1], reg = next >> 3 & 7;

        if (((insn->bytes[i] == 0xd9 || insn->bytes[i] == 0xdd) && reg == 6) || (insn->bytes[i] == 0x0f && next == 0xae))
            return true;
    }
    return false;
}

static void draw_insn(struct writer *w, unsigned number, unsigned count)
{
    unsigned what = below(w, 100), jump = ENDS_NO_JUMP;

    *w->insn = (struct ends_insn){.base = ENDS_NONE, .index = ENDS_NONE};
    if (w->stacks && what < 60)
        what = 30 + what; // more of the stack and of what moves it, less of all else
    if (w->x87 && what < 20)
        draw_x87(w);
    else if (what < 50)
        draw_form(w);
    else if (what < 72)
        draw_stack(w);
    else if (what < 87)
        draw_move(w);
    else if (what < 90)
        draw_string(w);
    else if (what < 93)
        draw_system(w);
    else
        draw_other(w, &jump);
    w->insn->jump = (uint8_t)jump;
    if (jump == ENDS_LOOP)
        w->insn->to = (uint8_t)below(w, number + 1);
    else if (jump)
        w->insn->to = (uint8_t)(number + 1 + below(w, below(w, 2) ? 1 : count - number));
}

void ends_generate(uint64_t *random, unsigned mode, bool avx, struct ends_block *block)
{
    struct writer w = {.random = random, .mode = mode, .avx = avx};

    w.x87 = below(&w, 8) == 0;
    w.stacks = below(&w, 2);
    for (unsigned i = 0; i < 3; i++)
        w.favourite[i] = (uint8_t)(below(&w, 3) == 0 ? CPU_RSP : below(&w, mode == 8 ? 16 : 8));
    if (w.stacks)
        w.favourite[0] = CPU_RSP;
    block->mode = mode;
    block->count = 1 + below(&w, ENDS_INSNS);
    for (unsigned i = 0; i < block->count; i++) {
        w.insn = &block->insn[i];
        do
            draw_insn(&w, i, block->count);
        while (w.x87 && stores_pointers(w.insn));
    }
}

unsigned ends_assemble(const struct ends_block *block, uint32_t omit, uint8_t *to)
{
    unsigned at[ENDS_INSNS + 1], length = 0;

    for (unsigned i = 0; i < block->count; i++) {
        const struct ends_insn *insn = &block->insn[i];

        at[i] = length;
        if (!(omit >> i & 1))
            length += insn->length + (insn->jump == ENDS_LOOP ? 1 : insn->jump ? 4 : 0);
    }
    at[block->count] = length;
    for (unsigned i = 0; i < block->count; i++) {
        const struct ends_insn *insn = &block->insn[i];
        uint32_t distance;

        if (omit >> i & 1)
            continue;
        memcpy(to + at[i], insn->bytes, insn->length);
        if (insn->jump == ENDS_NO_JUMP)
            continue;
        distance = at[insn->to] - at[i] - insn->length - (insn->jump == ENDS_LOOP ? 1 : 4);
        if (insn->jump == ENDS_LOOP && (int32_t)distance < -128)
            distance = 0;
        memcpy(to + at[i] + insn->length, &distance, insn->jump == ENDS_LOOP ? 1 : 4);
    }
    to[length] = 0xf4; // HLT
    return length + 1;
}
