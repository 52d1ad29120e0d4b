/* SPDX-License-Identifier: MIT */
/* The AML writer: names, objects with a package length, integers (ACPI 6.3, section 20.2). */
#include "vmm/acpi/aml.h"

enum {
    OP_NAME      = 0x08,
    OP_BYTE      = 0x0a,
    OP_WORD      = 0x0b,
    OP_DWORD     = 0x0c,
    OP_STRING    = 0x0d,
    OP_QWORD     = 0x0e,
    OP_SCOPE     = 0x10,
    OP_BUFFER    = 0x11,
    OP_PACKAGE   = 0x12,
    OP_METHOD    = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT       = 0x5b,
    OP_IF        = 0xa0,
    EXT_REGION   = 0x80,
    EXT_FIELD    = 0x81,
    EXT_DEVICE   = 0x82,
};

void aml_init(struct aml *a, uint8_t *buf, size_t cap)
{
    *a = (struct aml){ .buf = buf, .cap = cap };
}

bool aml_finish(const struct aml *a)
{
    return !a->failed && a->depth == 0;
}

void aml_op(struct aml *a, uint8_t op)
{
    if (a->failed || a->len == a->cap) {
        a->failed = true;
        return;
    }
    a->buf[a->len++] = op;
}

static void put_le(struct aml *a, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        aml_op(a, (uint8_t)(value >> (8 * i)));
}

static bool name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static const char *put_segment(struct aml *a, const char *s)
{
    unsigned n = 0;
    for (; *s != '\0' && *s != '.'; s++, n++) {
        if (n == 4 || !name_char(*s, n == 0)) {
            a->failed = true;
            return s;
        }
        aml_op(a, (uint8_t)*s);
    }
    if (n == 0)
        a->failed = true;
    for (; n < 4; n++)
        aml_op(a, '_');
    return s;
}

void aml_path(struct aml *a, const char *name)
{
    while (*name == '\\' || *name == '^')
        aml_op(a, (uint8_t)*name++);
    if (*name == '\0') {
        aml_op(a, 0);
        return;
    }
    unsigned segments = 1;
    for (const char *s = name; *s != '\0'; s++)
        segments += *s == '.';
    if (segments == 2) {
        aml_op(a, OP_DUAL_NAME);
    } else if (segments > 2) {
        aml_op(a, OP_MULTI_NAME);
        aml_op(a, (uint8_t)segments);
    }
    while (!a->failed) {
        name = put_segment(a, name);
        if (*name != '.')
            return;
        name++;
    }
}

static void open_package(struct aml *a)
{
    if (a->failed || a->depth == AML_DEPTH) {
        a->failed = true;
        return;
    }
    a->open[a->depth++] = (struct aml_open){ .length_at = a->len };
}

static void insert(struct aml *a, size_t at, const uint8_t *bytes, unsigned n)
{
    if (a->failed || a->cap - a->len < n) {
        a->failed = true;
        return;
    }
    for (size_t i = a->len; i > at; i--)
        a->buf[i - 1 + n] = a->buf[i - 1];
    for (unsigned i = 0; i < n; i++)
        a->buf[at + i] = bytes[i];
    a->len += n;
}

static void resources_end(struct aml *a, size_t size_at)
{
    aml_op(a, 0x79); // end tag; a zero checksum counts as right
    aml_op(a, 0);
    size_t size = a->len - size_at;
    uint8_t word[3] = { OP_WORD, (uint8_t)size, (uint8_t)(size >> 8) };
    insert(a, size_at, word, 3);
}

void aml_close(struct aml *a)
{
    if (a->failed || a->depth == 0) {
        a->failed = true;
        return;
    }
    struct aml_open *o = &a->open[--a->depth];
    if (o->size_at != 0)
        resources_end(a, o->size_at);
    /* The length counts its own bytes: one up to 63, then 12, 20 and 28 bits. */
    size_t body = a->len - o->length_at;
    uint8_t enc[4];
    if (body + 1 <= 0x3f) {
        enc[0] = (uint8_t)(body + 1);
        insert(a, o->length_at, enc, 1);
        return;
    }
    unsigned follow = body + 2 <= 0xfff ? 1 : body + 3 <= 0xfffff ? 2 : 3;
    size_t length = body + 1 + follow;
    enc[0] = (uint8_t)(follow << 6 | (length & 0xf));
    for (unsigned i = 0; i < follow; i++)
        enc[1 + i] = (uint8_t)(length >> (4 + 8 * i));
    insert(a, o->length_at, enc, 1 + follow);
}

void aml_scope(struct aml *a, const char *name)
{
    aml_op(a, OP_SCOPE);
    open_package(a);
    aml_path(a, name);
}

void aml_device(struct aml *a, const char *name)
{
    aml_op(a, OP_EXT);
    aml_op(a, EXT_DEVICE);
    open_package(a);
    aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned args, bool serialized)
{
    aml_op(a, OP_METHOD);
    open_package(a);
    aml_path(a, name);
    aml_op(a, (uint8_t)((args & 7) | (serialized ? 8 : 0)));
}

void aml_package(struct aml *a, uint8_t elements)
{
    aml_op(a, OP_PACKAGE);
    open_package(a);
    aml_op(a, elements);
}

void aml_if(struct aml *a)
{
    aml_op(a, OP_IF);
    open_package(a);
}

void aml_name(struct aml *a, const char *name)
{
    aml_op(a, OP_NAME);
    aml_path(a, name);
}

void aml_integer(struct aml *a, uint64_t value)
{
    if (value <= 1) {
        aml_op(a, (uint8_t)value);
    } else if (value <= 0xff) {
        aml_op(a, OP_BYTE);
        put_le(a, value, 1);
    } else if (value <= 0xffff) {
        aml_op(a, OP_WORD);
        put_le(a, value, 2);
    } else if (value <= 0xffffffff) {
        aml_op(a, OP_DWORD);
        put_le(a, value, 4);
    } else {
        aml_op(a, OP_QWORD);
        put_le(a, value, 8);
    }
}

void aml_string(struct aml *a, const char *text)
{
    aml_op(a, OP_STRING);
    for (; *text != '\0'; text++)
        aml_op(a, (uint8_t)*text);
    aml_op(a, 0);
}

static uint32_t hex_digit(char c)
{
    return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

void aml_eisaid(struct aml *a, const char *id)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 3; i++)
        v = v << 5 | (uint32_t)((id[i] - '@') & 0x1f);
    for (unsigned i = 3; i < 7; i++)
        v = v << 4 | hex_digit(id[i]);
    aml_integer(a, __builtin_bswap32(v));
}

void aml_name_integer(struct aml *a, const char *name, uint64_t value)
{
    aml_name(a, name);
    aml_integer(a, value);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisaid(a, id);
}

void aml_region(struct aml *a, const char *name, uint8_t space, uint64_t offset, uint64_t length)
{
    aml_op(a, OP_EXT);
    aml_op(a, EXT_REGION);
    aml_path(a, name);
    aml_op(a, space);
    aml_integer(a, offset);
    aml_integer(a, length);
}

void aml_field_byte(struct aml *a, const char *region)
{
    aml_op(a, OP_EXT);
    aml_op(a, EXT_FIELD);
    open_package(a);
    aml_path(a, region);
    aml_op(a, 1);
}

void aml_field_unit(struct aml *a, const char *name, unsigned bits)
{
    if (bits > 0x3f)
        a->failed = true;
    aml_path(a, name);
    aml_op(a, (uint8_t)bits);
}

void aml_resources(struct aml *a)
{
    aml_op(a, OP_BUFFER);
    open_package(a);
    if (!a->failed)
        a->open[a->depth - 1].size_at = a->len;
}

void aml_res_io(struct aml *a, uint16_t first, uint16_t last, uint8_t align, uint8_t length)
{
    aml_op(a, 0x47);
    aml_op(a, 1); // decodes 16 bits
    put_le(a, first, 2);
    put_le(a, last, 2);
    aml_op(a, align);
    aml_op(a, length);
}

void aml_res_irq(struct aml *a, uint16_t mask)
{
    aml_op(a, 0x22);
    put_le(a, mask, 2);
}

void aml_res_irq_shared_level(struct aml *a, uint16_t mask)
{
    aml_op(a, 0x23);
    put_le(a, mask, 2);
    aml_op(a, 0x18);
}

void aml_res_dma(struct aml *a, uint8_t mask)
{
    aml_op(a, 0x2a);
    aml_op(a, mask);
    aml_op(a, 0x05); // bus master, 8 and 16 bits
}

void aml_res_memory32(struct aml *a, bool writable, uint32_t base, uint32_t length)
{
    aml_op(a, 0x86);
    put_le(a, 9, 2);
    aml_op(a, writable);
    put_le(a, base, 4);
    put_le(a, length, 4);
}

/* Word, double word and quad word address space descriptors: one layout, three widths. */
static void address_space(struct aml *a, uint8_t tag, unsigned width, uint8_t type,
                          uint8_t specific, uint64_t first, uint64_t last)
{
    aml_op(a, tag);
    put_le(a, 3 + 5 * width, 2);
    aml_op(a, type);
    aml_op(a, 0x0c); // minimum and maximum fixed, produced, positive decode
    aml_op(a, specific);
    put_le(a, 0, width);
    put_le(a, first, width);
    put_le(a, last, width);
    put_le(a, 0, width);
    put_le(a, last - first + 1, width);
}

void aml_res_bus(struct aml *a, uint16_t first, uint16_t last)
{
    address_space(a, 0x88, 2, 2, 0, first, last);
}

void aml_res_io_window(struct aml *a, uint16_t first, uint16_t last)
{
    address_space(a, 0x88, 2, 1, 3, first, last); // the entire range
}

void aml_res_memory_window(struct aml *a, uint32_t first, uint32_t last)
{
    address_space(a, 0x87, 4, 0, 1, first, last); // read and write, not cacheable
}

void aml_res_memory64_window(struct aml *a, uint64_t first, uint64_t last)
{
    address_space(a, 0x8a, 8, 0, 1, first, last);
}
