/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's memory accesses: segmentation, translation, RAM or device (SDM volume 3, 3.4,
 * 5.3, 4).
 */
#include "vmm/cpu/exec.h"

#include "vmm/cpu/atomic.h"
#include "vmm/cpu/debug.h"
#include "lib/bytes.h"

#define PAGE_SIZE 4096u

struct cpu_segment *exec_segment(struct interp *c, unsigned segment)
{
    struct cpu_state *s = c->state;

    switch (segment) {
    case SEG_ES: exec_need(c, CPU_DSES); return &s->es;
    case SEG_CS: return &s->cs;
    case SEG_SS: return &s->ss;
    case SEG_DS: exec_need(c, CPU_DSES); return &s->ds;
    case SEG_FS: exec_need(c, CPU_FSGS); return &s->fs;
    default:     exec_need(c, CPU_FSGS); return &s->gs;
    }
}

static bool canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool segment_allows(const struct interp *c, const struct cpu_segment *s, uint64_t offset,
                           unsigned size, uint32_t flags)
{
    uint64_t last = offset + size - 1, top = s->attr & CPU_SEG_DB ? 0xffffffffu : 0xffffu;

    if (exec_protected(c)) {
        if (!(s->attr & CPU_SEG_P))
            return false;
        if (s->attr & 8 ? (flags & ACCESS_WRITE) || !(s->attr & 2)
                        : (flags & ACCESS_WRITE) && !(s->attr & 2))
            return false;
    }
    if ((s->attr & 0xc) == 4) // expand down
        return offset > s->limit && last <= top;
    return last <= s->limit;
}

enum interp_status exec_linear(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                               uint32_t flags, uint64_t *linear)
{
    enum exception vector = segment == SEG_SS ? EXCEPTION_SS : EXCEPTION_GP;

    if (c->mode == 8) {
        uint64_t address = offset;

        if (segment >= SEG_FS)
            address += exec_segment(c, segment)->base;
        if (!canonical(address) || !canonical(address + size - 1))
            return exec_fault_code(c, vector, 0);
        *linear = address;
    } else {
        const struct cpu_segment *s = exec_segment(c, segment);

        if (!segment_allows(c, s, offset, size, flags))
            return exec_fault_code(c, vector, 0);
        *linear = (uint32_t)(s->base + offset);
    }
    if ((flags & ACCESS_ALIGNED) && (*linear & (size - 1)))
        return exec_gp0(c);
    return INTERP_DONE;
}

enum interp_status exec_translate(struct interp *c, uint64_t linear, uint32_t access, uint64_t *gpa)
{
    struct walk_result result;

    switch (walk_cached(&c->walk, &c->walks, linear, access, &result)) {
    case WALK_OK:
        *gpa = result.gpa;
        return INTERP_DONE;
    case WALK_FAULT:
        if (c->tlb)
            tlb_flush(c->tlb); // a fault drops what the TLB has of the address (SDM 4.10.4.1)
        exec_change(c, CPU_CR);
        c->state->cr2 = linear;
        return exec_fault_code(c, EXCEPTION_PF, result.code);
    default:
        return INTERP_UNSUPPORTED;
    }
}

enum interp_status exec_page(struct interp *c, uint64_t linear, uint32_t access, unsigned size,
                             uint64_t *gpa, uint8_t **host)
{
    uint64_t offset = linear & (PAGE_SIZE - 1);
    bool write = access & WALK_WRITE;
    const struct tlb_entry *found;
    uint64_t tag;

    if (!c->tlb) {
        TRY(exec_translate(c, linear, access, gpa));
        *host = c->ops->ram(c->arg, *gpa, size, write);
        return INTERP_DONE;
    }
    tag = (linear - offset) | access | (c->state->rflags & RFLAGS_AC ? TLB_AC : 0);
    found = tlb_find(c->tlb, tag);
    if (!found) {
        TRY(exec_translate(c, linear, access, gpa));
        found = tlb_put(c->tlb, tag, *gpa - offset,
                        c->ops->ram(c->arg, *gpa - offset, PAGE_SIZE, write));
    }
    *gpa = found->gpa + offset;
    *host = found->host ? found->host + offset : NULL;
    return INTERP_DONE;
}

static bool misaligned(const struct interp *c, uint64_t linear, unsigned size, uint32_t flags)
{
    return size > 1 && size <= 8 && (linear & (size - 1)) && c->cpl == 3 &&
           !(flags & ACCESS_IMPLICIT) && (c->state->rflags & RFLAGS_AC) && (c->state->cr0 & CR0_AM);
}

enum interp_status exec_prepare(struct interp *c, uint64_t linear, unsigned size, uint32_t flags,
                                struct access *a)
{
    uint32_t access = flags & (WALK_WRITE | WALK_IMPLICIT | WALK_FETCH);
    unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1));

    if (c->cpl == 3 && !(flags & ACCESS_IMPLICIT))
        access |= WALK_USER;
    a->size = size;
    a->first = size < room ? size : room;
    TRY(exec_page(c, linear, access, a->first, &a->gpa[0], &a->host[0]));
    if (a->first < size) {
        uint64_t next = linear + a->first;

        TRY(exec_page(c, c->mode == 8 ? next : (uint32_t)next, access, size - a->first, &a->gpa[1],
                      &a->host[1]));
    }
    if (misaligned(c, linear, size, flags))
        return exec_fault_code(c, EXCEPTION_AC, 0);
    if (c->watch && !(flags & (ACCESS_IMPLICIT | WALK_FETCH)))
        c->hits |= debug_match(c->state, DEBUG_ACCESS | (flags & ACCESS_WRITE ? DEBUG_WRITE : 0),
                               linear, size);
    return INTERP_DONE;
}

enum interp_status exec_access(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                               uint32_t flags, struct access *a)
{
    uint64_t linear = 0;

    TRY(exec_linear(c, segment, offset, size, flags, &linear));
    return exec_prepare(c, linear, size, flags, a);
}

uint8_t *exec_pointer(const struct access *a)
{
    if (a->first < a->size && a->host[1] != a->host[0] + a->first)
        return NULL;
    return a->host[0];
}

/* The next piece of a device access: the largest power of two that fits. */
static unsigned piece(unsigned left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

static void load_part(struct interp *c, const uint8_t *host, uint64_t gpa, uint8_t *to,
                      unsigned size)
{
    if (host) {
        bytes_copy(to, host, size);
        return;
    }
    while (size) {
        unsigned n = piece(size);
        uint64_t value = c->ops->mmio_read(c->arg, gpa, n);

        bytes_copy(to, &value, n);
        to += n;
        gpa += n;
        size -= n;
    }
}

static void store_part(struct interp *c, uint8_t *host, uint64_t gpa, const uint8_t *from,
                       unsigned size)
{
    if (host) {
        bytes_copy(host, from, size);
        return;
    }
    while (size) {
        unsigned n = piece(size);
        uint64_t value = 0;

        bytes_copy(&value, from, n);
        c->ops->mmio_write(c->arg, gpa, n, value);
        from += n;
        gpa += n;
        size -= n;
    }
}

void exec_load_bytes(struct interp *c, const struct access *a, uint8_t *to)
{
    load_part(c, a->host[0], a->gpa[0], to, a->first);
    if (a->first < a->size)
        load_part(c, a->host[1], a->gpa[1], to + a->first, a->size - a->first);
}

void exec_store_bytes(struct interp *c, const struct access *a, const uint8_t *from)
{
    store_part(c, a->host[0], a->gpa[0], from, a->first);
    if (a->first < a->size)
        store_part(c, a->host[1], a->gpa[1], from + a->first, a->size - a->first);
}

uint64_t exec_load(struct interp *c, const struct access *a)
{
    uint64_t value = 0;

    if (a->first == a->size) {
        if (a->host[0])
            return atomic_load_guest(a->host[0], a->size);
        return c->ops->mmio_read(c->arg, a->gpa[0], a->size) & alu_mask(a->size);
    }
    exec_load_bytes(c, a, (uint8_t *)&value);
    return value;
}

void exec_store(struct interp *c, const struct access *a, uint64_t value)
{
    if (a->first < a->size)
        exec_store_bytes(c, a, (const uint8_t *)&value);
    else if (a->host[0])
        atomic_store_guest(a->host[0], a->size, value);
    else
        c->ops->mmio_write(c->arg, a->gpa[0], a->size, value & alu_mask(a->size));
}

enum interp_status exec_read(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                             uint64_t *value)
{
    struct access a;

    TRY(exec_access(c, segment, offset, size, 0, &a));
    *value = exec_load(c, &a);
    return INTERP_DONE;
}

enum interp_status exec_write(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                              uint64_t value)
{
    struct access a;

    TRY(exec_access(c, segment, offset, size, ACCESS_WRITE, &a));
    exec_store(c, &a, value);
    return INTERP_DONE;
}

uint64_t exec_stack_mask(const struct interp *c)
{
    if (c->mode == 8)
        return ~0ull;
    return c->state->ss.attr & CPU_SEG_DB ? 0xffffffffull : 0xffffull;
}

void exec_set_sp(struct interp *c, uint64_t value)
{
    uint64_t mask = exec_stack_mask(c), *sp = &c->state->gpr[CPU_RSP];

    *sp = mask == 0xffff ? (*sp & ~mask) | (value & mask) : value & mask;
}

enum interp_status exec_stack_push(struct interp *c, unsigned size, uint64_t value)
{
    uint64_t sp = (c->state->gpr[CPU_RSP] - size) & exec_stack_mask(c);

    TRY(exec_write(c, SEG_SS, sp, size, value));
    exec_set_sp(c, sp);
    return INTERP_DONE;
}

enum interp_status exec_stack_pop(struct interp *c, unsigned size, uint64_t *value)
{
    uint64_t sp = c->state->gpr[CPU_RSP] & exec_stack_mask(c);

    TRY(exec_read(c, SEG_SS, sp, size, value));
    exec_set_sp(c, sp + size);
    return INTERP_DONE;
}
