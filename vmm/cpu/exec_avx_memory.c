/* SPDX-License-Identifier: MIT */
/*
 * Handlers: VMASKMOVPS and the like, and gathers (SDM volume 2). An element that the mask leaves
 * out is not looked at in memory.
 */
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/xstate.h"

#include "lib/string.h"

#define ELEMENTS 8u

static enum interp_status enter(struct interp *c)
{
    if (host_feature_needed(&c->insn) & ~c->host)
        return exec_fault(c, EXCEPTION_UD);
    return xstate_enter_vector(c);
}

static unsigned length_of(const struct interp *c)
{
    return c->insn.vl ? 32 : 16;
}

static bool chosen(const uint8_t *mask, unsigned element, unsigned size)
{
    return mask[element * size + size - 1] & 0x80;
}

/* VMASKMOVPS (2C, 2E), VMASKMOVPD (2D, 2F), VPMASKMOVD, VPMASKMOVQ (W). */
static unsigned masked_size(const struct interp *c)
{
    bool wide = c->insn.opcode >= 0x8c ? c->insn.rex & 8 : c->insn.opcode & 1;

    return wide ? 8 : 4;
}

/* Every element is translated before one is touched. */
static enum interp_status prepare_masked(struct interp *c, const uint8_t *mask, uint32_t flags,
                                         struct access *a)
{
    unsigned size = masked_size(c);
    uint64_t address = exec_address(c), limit = alu_mask(c->insn.addrsize);

    for (unsigned i = 0; i < length_of(c) / size; i++)
        if (chosen(mask, i, size))
            TRY(exec_access(c, c->insn.segment, (address + i * size) & limit, size, flags, &a[i]));
    return INTERP_DONE;
}

enum interp_status exec_avx_maskload(struct interp *c)
{
    unsigned size = masked_size(c);
    uint8_t mask[32], value[32] = {0};
    struct access a[ELEMENTS];

    TRY(enter(c));
    xstate_get_vector(c, c->insn.vvvv, 32, mask);
    TRY(prepare_masked(c, mask, 0, a));
    for (unsigned i = 0; i < length_of(c) / size; i++)
        if (chosen(mask, i, size))
            exec_load_bytes(c, &a[i], value + i * size);
    xstate_set_vector(c, c->insn.reg, length_of(c), value);
    return INTERP_DONE;
}

enum interp_status exec_avx_maskstore(struct interp *c)
{
    unsigned size = masked_size(c);
    uint8_t mask[32], value[32];
    struct access a[ELEMENTS];

    TRY(enter(c));
    xstate_get_vector(c, c->insn.vvvv, 32, mask);
    xstate_get_vector(c, c->insn.reg, 32, value);
    TRY(prepare_masked(c, mask, ACCESS_WRITE, a));
    for (unsigned i = 0; i < length_of(c) / size; i++)
        if (chosen(mask, i, size))
            exec_store_bytes(c, &a[i], value + i * size);
    return INTERP_DONE;
}

/* The address of a gather's element; indexes are signed. */
static uint64_t element_address(const struct interp *c, const uint8_t *indexes, unsigned n)
{
    const struct insn *i = &c->insn;
    int64_t index;
    int32_t narrow;
    uint64_t address = (uint64_t)(int64_t)i->disp;

    if (i->opcode & 1) {
        memcpy(&index, indexes + 8 * n, 8);
    } else {
        memcpy(&narrow, indexes + 4 * n, 4);
        index = narrow;
    }
    if (i->base != INSN_NO_REG)
        address += c->state->gpr[i->base];
    return (address + ((uint64_t)index << i->scale)) & alu_mask(i->addrsize);
}

/*
 * One after the other from the lowest: an element that was loaded stays so, with its mask cleared,
 * when a later one faults. Opcode's bit 0: indexes of 64 bits; W: elements of 64.
 */
enum interp_status exec_avx_gather(struct interp *c)
{
    static const uint8_t zero[16];
    const struct insn *i = &c->insn;
    unsigned size = i->rex & 8 ? 8 : 4, wider = (i->opcode & 1) ? 8 : size;
    unsigned count = length_of(c) / wider;
    uint8_t value[32], mask[32], indexes[32];
    enum interp_status status = INTERP_DONE;

    TRY(enter(c));
    xstate_get_vector(c, i->reg, 32, value);
    xstate_get_vector(c, i->vvvv, 32, mask);
    xstate_get_vector(c, i->index, 32, indexes);
    for (unsigned n = 0; n < count && status == INTERP_DONE; n++) {
        uint64_t element;

        if (!chosen(mask, n, size))
            continue;
        status = exec_read(c, i->segment, element_address(c, indexes, n), size, &element);
        if (status == INTERP_DONE) {
            memcpy(value + n * size, &element, size);
            memset(mask + n * size, 0, size);
        }
    }
    if (status == INTERP_DONE) {
        memset(value + count * size, 0, 32 - count * size);
        xstate_set_vector(c, i->vvvv, 16, zero);
    } else {
        xstate_set_vector(c, i->vvvv, 32, mask);
    }
    xstate_set_vector(c, i->reg, 32, value);
    return status;
}
