/* SPDX-License-Identifier: MIT */
/* The instructions that Bochs judges: segments, far transfers, interrupts, system registers. */
#include "judge.h"

/* Bytes of an instruction; what follows them. */
enum rest { NONE, MODRM, REGISTER, MEMORY, FAR, IMM8, IMM16, PORT, ENTER_IMM, VECTOR };

struct kind {
    uint8_t count, bytes[2];
    uint8_t rest;
    int8_t group; // modrm.reg, -1: any
};

static const struct kind kinds[] = {
    {1, {0x8e}, MODRM, -1},       {1, {0x8e}, MODRM, 2},        {1, {0x8c}, MODRM, -1},
    {1, {0x06}, NONE, 0},         {1, {0x07}, NONE, 0},         {1, {0x0e}, NONE, 0},
    {1, {0x16}, NONE, 0},         {1, {0x17}, NONE, 0},         {1, {0x1e}, NONE, 0},
    {1, {0x1f}, NONE, 0},         {2, {0x0f, 0xa0}, NONE, 0},   {2, {0x0f, 0xa1}, NONE, 0},
    {2, {0x0f, 0xa8}, NONE, 0},   {2, {0x0f, 0xa9}, NONE, 0},   {1, {0xc4}, MEMORY, -1},
    {1, {0xc5}, MEMORY, -1},      {2, {0x0f, 0xb2}, MEMORY, -1}, {2, {0x0f, 0xb4}, MEMORY, -1},
    {2, {0x0f, 0xb5}, MEMORY, -1}, {2, {0x0f, 0x02}, MODRM, -1}, {2, {0x0f, 0x03}, MODRM, -1},
    {2, {0x0f, 0x00}, MODRM, 0},  {2, {0x0f, 0x00}, MODRM, 1},  {2, {0x0f, 0x00}, MODRM, 2},
    {2, {0x0f, 0x00}, MODRM, 3},  {2, {0x0f, 0x00}, MODRM, 4},  {2, {0x0f, 0x00}, MODRM, 5},
    {1, {0x63}, REGISTER, -1},    {1, {0xea}, FAR, 0},          {1, {0x9a}, FAR, 0},
    {1, {0xea}, FAR, 0},          {1, {0x9a}, FAR, 0},
    {1, {0xff}, MEMORY, 3},       {1, {0xff}, MEMORY, 5},       {1, {0xcb}, NONE, 0},
    {1, {0xca}, IMM16, 0},        {1, {0xcf}, NONE, 0},         {1, {0xcf}, NONE, 0},
    {1, {0xcd}, VECTOR, 0},       {1, {0xcd}, VECTOR, 0},       {1, {0xcd}, VECTOR, 0},
    {1, {0xcc}, NONE, 0},         {1, {0xce}, NONE, 0},         {1, {0xf1}, NONE, 0},
    {2, {0x0f, 0x01}, MEMORY, 0}, {2, {0x0f, 0x01}, MEMORY, 1}, {2, {0x0f, 0x01}, MODRM, 4},
    {2, {0x0f, 0x06}, NONE, 0},   {1, {0xfa}, NONE, 0},         {1, {0xfb}, NONE, 0},
    {1, {0x9c}, NONE, 0},         {1, {0x9d}, NONE, 0},         {1, {0xc8}, ENTER_IMM, 0},
    {1, {0xc9}, NONE, 0},         {1, {0xe4}, PORT, 0},         {1, {0xe6}, PORT, 0},
    {1, {0xe5}, PORT, 0},         {1, {0xe7}, PORT, 0},         {1, {0x62}, MEMORY, -1},
    {2, {0x0f, 0x08}, NONE, 3},   {2, {0x0f, 0x09}, NONE, 0},   {2, {0x0f, 0x01}, MEMORY, 7},
    {2, {0x0f, 0x32}, NONE, 3},   {2, {0x0f, 0x30}, NONE, 3},   {1, {0xf4}, NONE, 3},
    {2, {0x0f, 0x01}, MEMORY, 2}, {2, {0x0f, 0x01}, MEMORY, 3}, {2, {0x0f, 0x01}, MODRM, 6},
    {2, {0x0f, 0x0b}, NONE, 0},   {1, {0x60}, NONE, 0},         {1, {0x61}, NONE, 0},
    {1, {0xa4}, NONE, 0},         {1, {0x8b}, MEMORY, -1},      {1, {0x89}, MEMORY, -1},
    {1, {0x6e}, NONE, 3},         {1, {0x6c}, NONE, 3},         {2, {0x0f, 0x21}, MODRM, -1},
    {2, {0x0f, 0x20}, MODRM, 0},
};

static unsigned put32(uint8_t *p, uint32_t v, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (uint8_t)(v >> 8 * i);
    return size;
}

/* [EBX]: the caller lets it point to data. 16-bit code has no such form, so a prefix asks for it. */
static unsigned put_modrm(const struct kind *k, uint8_t *p, bool memory)
{
    unsigned reg = k->group < 0 ? below(8) : (unsigned)k->group;

    unsigned rm = below(8);

    rm = rm == 4 ? 0 : rm; // the stack pointer stays where it can be pushed to
    *p = (uint8_t)((memory ? 3u : 0xc0u | rm) | reg << 3);
    return 1;
}

static void fill_data(const struct kind *k, const struct start *s, bool short_code)
{
    uint8_t *data = (uint8_t *)ARENA_DATA;

    (void)s;
    if (k->rest == MEMORY && k->count == 2 && k->bytes[1] == 1 && (k->group == 2 || k->group == 3)) {
        put32(data, k->group == 2 ? GDT_COUNT * 8 - 1 : 0x7ff, 2); // tables stay where they are
        put32(data + 2, k->group == 2 ? ARENA_GDT : ARENA_IDT, 4);
    } else {
        unsigned n = put32(data, below(0x1000), short_code ? 2 : 4);
        put32(data + n, judge_selector(), 2);
    }
}

/* What RET, IRET, POP and LEAVE take: an offset, a selector, flags, a stack. */
static void fill_stack(const struct start *s, uint32_t *stack, bool short_code)
{
    uint32_t flags = (judge_random() & 0x3ed5) | 2, frame[9];

    flags |= below(4) == 0 ? below(2) << 14 : 0;
    flags |= below(4) == 0 ? 1u << 17 : 0;
    flags |= below(4) == 0 ? 1u << 16 : 0;
    frame[0] = below(0x1000);
    frame[1] = (uint32_t)(s->virtual8086 || (flags & 1u << 17) ? below(0x2000) : judge_selector());
    frame[2] = flags;
    frame[3] = below(2) ? ARENA_STACK - below(64) * 4 : 0x8000 - below(64) * 4;
    for (unsigned i = 4; i < 9; i++)
        frame[i] = (flags & 1u << 17) ? below(0x2000) : judge_selector();
    if (below(4) == 0 && !(flags & 1u << 17)) { // RETF has no flags
        frame[2] = frame[3];
        frame[3] = frame[4];
    }
    if (below(8) == 0) // POP
        frame[0] = judge_selector();
    for (unsigned i = 0; i < 9; i++)
        put32((uint8_t *)stack + i * (short_code ? 2 : 4), frame[i], short_code ? 2 : 4);
}

static unsigned put_rest(const struct kind *k, uint8_t *p, bool short_code, const struct start *s)
{
    unsigned n = 0;

    switch (k->rest) {
    case MODRM:  n = put_modrm(k, p, below(3) == 0); break;
    case MEMORY: n = put_modrm(k, p, true); break;
    case REGISTER: n = put_modrm(k, p, false); break;
    case FAR:
        n = put32(p, below(0x1000), short_code ? 2 : 4);
        n += put32(p + n, s->virtual8086 ? below(0x2000) : judge_selector(), 2);
        break;
    case IMM8:   n = put32(p, judge_random(), 1); break;
    case IMM16:  n = put32(p, below(4) * 4, 2); break;
    case PORT:   n = put32(p, 0xe0 + below(2), 1); break;
    case VECTOR: n = put32(p, below(8) ? GATES + below(GATE_COUNT) : below(32), 1); break;
    case ENTER_IMM:
        n = put32(p, below(32), 2);
        n += put32(p + n, below(4), 1);
        break;
    default: break;
    }
    return n;
}

unsigned judge_write(struct start *s, uint8_t *code, uint32_t *stack)
{
    static const uint8_t overrides[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    const struct kind *k;
    unsigned n = 0;
    bool prefix = below(4) == 0, short_code = prefix != s->virtual8086;

    do
        k = &kinds[below(sizeof kinds / sizeof kinds[0])];
    while ((k->rest == NONE && k->group == 3 && s->cpl == 0) || // those would do more than fault
           (k->bytes[0] == 0xff && s->virtual8086));             // and these go anywhere
    if (prefix)
        code[n++] = 0x66;
    if (s->virtual8086)
        code[n++] = 0x67;
    if ((k->rest == MEMORY || k->rest == MODRM) && below(2))
        code[n++] = overrides[below(6)];
    for (unsigned i = 0; i < k->count; i++)
        code[n++] = k->bytes[i];
    n += put_rest(k, code + n, short_code, s);
    if (k->count == 2 && k->bytes[1] == 1 && k->rest == MEMORY && k->group < 2)
        s->eflags &= ~0x40000u; // SGDT, SIDT: Bochs stores the limit before a misaligned base faults
    if (k->rest == NONE && k->group == 3)
        s->edx = 0xe0; // a port without a device
    s->ebx = below(4) || k->bytes[1] == 1 ? ARENA_DATA : judge_selector();
    if (s->virtual8086)
        s->ebx &= 0xfff;
    fill_data(k, s, short_code);
    fill_stack(s, stack, short_code);
    return n;
}
