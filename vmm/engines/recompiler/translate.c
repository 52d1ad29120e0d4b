/* SPDX-License-Identifier: MIT */
/* A block: decode, see who needs which flags, emit. */
#include "vmm/engines/recompiler/share.h"

#include "lib/string.h"

#define LOOK_AHEAD 12u

/* Decodes at `offset`; false if the instruction is wrong, or reaches into the next page. */
static bool decode_at(const struct translation *t, unsigned offset, struct insn *insn)
{
    uint8_t bytes[INSN_MAX + 1] = {0};
    unsigned left = PAGE_BYTES - offset, size = left < INSN_MAX && !t->bytes2 ? left : INSN_MAX;

    for (unsigned i = 0; i < size; i++)
        bytes[i] = offset + i < PAGE_BYTES ? t->bytes[offset + i]
                                           : t->bytes2[offset + i - PAGE_BYTES];
    return decode(bytes, size, t->code_size, insn) == DECODE_OK;
}

static unsigned flags_read_by(const struct unit *u)
{
    if (u->class == INSN_PUSHF)
        return FLAG_ALL;
    return u->class == INSN_JCC ? effects_condition(u->insn.opcode & 15)
           : u->class == INSN_COPY ? u->effects.read : 0;
}

/* The block depends on these bytes. */
static void depend(struct translation *t, unsigned offset, unsigned size)
{
    unsigned end = offset + size < PAGE_BYTES ? offset + size : PAGE_BYTES;

    if (offset < t->block->low)
        t->block->low = (uint16_t)offset;
    if (end > t->block->end)
        t->block->end = (uint16_t)end;
}

static bool look_at(struct translation *t, int32_t offset, struct unit *u)
{
    struct seen *seen = &t->seen[(unsigned)offset % SEEN];

    if (offset < 0 || offset >= (int32_t)PAGE_BYTES)
        return false;
    if (seen->translation != t->number || seen->unit.offset != offset) {
        seen->translation = t->number;
        seen->unit.offset = (uint16_t)offset;
        seen->good = decode_at(t, (unsigned)offset, &seen->unit.insn);
        depend(t, (unsigned)offset, seen->good ? seen->unit.insn.length : INSN_MAX);
        if (seen->good) {
            seen->unit.effects = effects_of(&seen->unit.insn);
            seen->unit.class = insn_class_of(t, &seen->unit);
        }
    }
    *u = seen->unit;
    return seen->good;
}

/*
 * Looks ahead from `offset` to see what becomes of the flags: all written before any is read, or
 * passed on whole to an unknown place, or else wanted in the host's.
 */
enum block_flags translate_flags_wanted(struct translation *t, int32_t offset)
{
    unsigned pending = FLAG_ALL;
    struct unit u;

    for (unsigned n = 0; n < LOOK_AHEAD; n++) {
        if (!look_at(t, offset, &u))
            break;
        if (u.class == INSN_POPF)
            return pending == FLAG_ALL ? BLOCK_FLAGS_DEAD : BLOCK_FLAGS_HOST;
        if (flags_read_by(&u) & pending)
            return BLOCK_FLAGS_HOST;
        if (u.class == INSN_COPY || u.class == INSN_BIT) {
            if (u.effects.touched && !(u.effects.touched & ~u.effects.written))
                pending &= ~(unsigned)u.effects.written;
            else if (u.effects.touched)
                return BLOCK_FLAGS_HOST;
        }
        if (pending == 0)
            return BLOCK_FLAGS_DEAD;
        if (u.class == INSN_JCC) // it reads what was written here; where it leads the rest may be
            return BLOCK_FLAGS_HOST;
        if (u.class == INSN_JMP)
            offset += (int32_t)u.insn.imm;
        else if (u.class > INSN_JMP)
            break;
        offset += u.insn.length;
    }
    return pending == FLAG_ALL ? BLOCK_FLAGS_MEMORY : BLOCK_FLAGS_HOST;
}

unsigned translate_poll_at(struct translation *t, int32_t offset)
{
    struct unit u;

    for (unsigned n = 0; n < LOOK_AHEAD; n++) {
        if (!look_at(t, offset, &u) || (u.class != INSN_COPY && u.class != INSN_NOP))
            break;
        if (n && u.effects.written == FLAG_ALL && !u.effects.read)
            return (unsigned)offset;
        offset += u.insn.length;
    }
    return 0;
}

/*
 * STI holds interrupts off for one more instruction. Translated code looks for them at the next
 * block at the earliest, which is late enough unless the interpreter has that instruction (HLT).
 */
static bool shadow_is_ours(struct translation *t, int32_t next)
{
    struct unit u;

    return t->count + 1 < BLOCK_INSNS && look_at(t, next, &u) && u.class != INSN_INTERPRET &&
           u.class != INSN_STI;
}

/* Fills t->unit. Returns where the block ends: after an ending instruction, or where another begins. */
static unsigned take_units(struct translation *t)
{
    unsigned offset = t->block->first;

    while (t->count < (t->bytes2 ? 1 : BLOCK_INSNS)) {
        struct unit *u = &t->unit[t->count];

        if (!look_at(t, (int32_t)offset, u))
            break;
        if (u->class == INSN_STI && !shadow_is_ours(t, (int32_t)offset + u->insn.length))
            u->class = INSN_INTERPRET;
        t->count++;
        offset += u->insn.length;
        if (u->class >= INSN_JMP)
            break;
    }
    return offset;
}

static unsigned live_at(struct translation *t, int32_t offset)
{
    return offset >= 0 && offset < (int32_t)PAGE_BYTES &&
                   translate_flags_wanted(t, offset) == BLOCK_FLAGS_DEAD
               ? 0 : FLAG_ALL;
}

static unsigned live_out(struct translation *t, const struct unit *last, unsigned end)
{
    if (!last || last->class < INSN_JMP)
        return live_at(t, (int32_t)end);
    if (last->class == INSN_JMP || last->class == INSN_CALL)
        return live_at(t, (int32_t)end + (int32_t)last->insn.imm);
    return FLAG_ALL;
}

static void find_live(struct translation *t, unsigned end)
{
    unsigned live = live_out(t, t->count ? &t->unit[t->count - 1] : NULL, end);

    for (unsigned n = t->count; n-- > 0;) {
        struct unit *u = &t->unit[n];

        u->live_after = (uint16_t)live;
        if (u->class == INSN_COPY || u->class == INSN_BIT)
            live &= ~(unsigned)u->effects.written;
        if (u->class == INSN_POPF)
            live = 0;
        if (u->class == INSN_JCC)
            live |= live_at(t, u->offset + u->insn.length + (int32_t)u->insn.imm);
        live |= flags_read_by(u);
        u->live_before = (uint16_t)live;
    }
}

/* Leave here if somebody wants it. Destroys the flags. */
static void poll(struct translation *t, unsigned offset)
{
    struct cold *cold = &t->cold[t->cold_count++];

    emit_op_imm(t->e, OP64(0x83), 7, rm_mem(RSP, AT(poll)), 0, 1); // cmp
    *cold = (struct cold){.what = COLD_POLL, .offset = (int32_t)offset,
                          .jump = emit_jcc_later(t->e, CC_NE)};
}

/* What comes before the first instruction. See struct block. */
static void prologue(struct translation *t)
{
    struct emit *e = t->e;
    struct block *b = t->block;

    emit_align(e, 16);
    b->code = blocks_offset(t->blocks, e->out);
    emit_op(e, OP64(0x3b), R14,
            rm_gs(rm_mem_index(NO_REG, R15, 3, (int32_t)offsetof(struct view, jump_tag)))); // cmp
    emit_jcc(e, CC_NE, t->blocks->stubs.lookup);
    b->checked = blocks_offset(t->blocks, e->out);
    emit_lea(e, R14, rm_mem(R14, -(int32_t)b->first));
    emit_store(e, rm_mem(RSP, AT(page)), R14);
    b->entry = blocks_offset(t->blocks, e->out);
    if (!t->poll_at)
        poll(t, b->first);
    if (b->flags == BLOCK_FLAGS_HOST)
        flags_restore_raw(e);
    b->direct = blocks_offset(t->blocks, e->out);
    t->flags = b->flags == BLOCK_FLAGS_HOST ? FLAGS_HOST : FLAGS_SAVED;
}

static void emit_unit(struct translation *t, const struct unit *u)
{
    switch (u->class) {
    case INSN_NOP:
        if (u->insn.map == MAP_1 && (u->insn.prefixes & INSN_REP) && !t->blocks->alone)
            system_call(t, u, rec_pause, 0);
        break;
    case INSN_STRING: case INSN_CLI: case INSN_STI: case INSN_PUSHF: case INSN_POPF:
    case INSN_STAC: case INSN_CLAC: case INSN_SWAPGS: case INSN_DF: case INSN_RDTSC:
    case INSN_FENCE: case INSN_READ_SEGMENT: case INSN_READ_CR: case INSN_BASE: case INSN_XSAVE:
    case INSN_XRSTOR: case INSN_WRITE_MSR: case INSN_MWAIT:
        system_emit(t, u);
        break;
    case INSN_BIT:   copy_bit(t, u); break;
    case INSN_COPY:  copy_emit(t, u); break;
    case INSN_PUSH:  stack_push(t, u); break;
    case INSN_POP:   stack_pop(t, u); break;
    case INSN_LEAVE: stack_leave(t, u); break;
    case INSN_JCC:   flow_jcc(t, u); break;
    default:         flow_end(t, u); break;
    }
}

static void emit_traps(struct translation *t)
{
    struct block *b = t->block;

    emit_align(t->e, 4);
    b->traps = blocks_offset(t->blocks, t->e->out);
    b->trap_count = (uint16_t)t->trap_count;
    for (unsigned i = 0; i < t->trap_count; i++) {
        emit_value(t->e, t->trap[i].host, 2);
        emit_value(t->e, t->trap[i].guest, 2);
    }
}

/* What comes is no instruction, or one that reaches into the next page: a block of its own. */
static void end_of_page(struct translation *t, unsigned end)
{
    if (t->count && blocks_crosses(t->bytes, end, t->mode))
        flow_table(t, (int32_t)end);
    else
        flow_interpret(t, end);
}

static void begin(struct translation *t, struct blocks *blocks, struct block *block,
                  const struct origin *place)
{
    t->e = &blocks->emit;
    t->blocks = blocks;
    t->block = block;
    t->bytes = place->bytes;
    t->bytes2 = place->page2 == BLOCK_ONE_PAGE ? NULL : place->bytes2;
    t->mode = block->mode;
    t->code_size = block->mode & REC_MODE_64 ? 8 : 4;
    t->count = t->cold_count = t->trap_count = 0;
    t->held = NULL;
    t->unsure = false;
    t->number++;
    block->low = block->first;
    block->end = block->first;
}

bool translate(struct blocks *blocks, struct block *block, const struct origin *place)
{
    struct translation *t = blocks->translation;
    unsigned end;
    bool ended;

    begin(t, blocks, block, place);
    end = take_units(t);
    ended = t->count && t->unit[t->count - 1].class >= INSN_JMP;
    block->flags = (uint8_t)translate_flags_wanted(t, block->first);
    t->poll_at = block->flags == BLOCK_FLAGS_HOST && !t->bytes2 ? translate_poll_at(t, block->first) : 0;
    find_live(t, end);
    share_find(t);
    prologue(t);
    for (unsigned n = 0; n < t->count; n++) {
        if (t->poll_at && t->unit[n].offset == t->poll_at)
            poll(t, t->poll_at);
        emit_unit(t, &t->unit[n]);
    }
    if (!ended && t->count < BLOCK_INSNS && end < PAGE_BYTES)
        end_of_page(t, end);
    else if (!ended)
        flow_jump(t, (int32_t)end, (int32_t)end - 1);
    flow_cold(t);
    emit_traps(t);
    blocks->insns += t->count;
    return !t->e->full;
}
