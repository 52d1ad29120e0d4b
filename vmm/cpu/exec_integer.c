/* SPDX-License-Identifier: MIT */
/* Handlers: moves and integer arithmetic (SDM volume 2). */
#include "vmm/cpu/alu_host.h"
#include "vmm/cpu/exec.h"

#include "vmm/cpu/atomic.h"
#include "lib/string.h"

/* MOV, MOVZX, MOVNTI: operand 1, which comes zero-extended, to operand 0. */
enum interp_status exec_mov(struct interp *c)
{
    uint64_t value;

    TRY(exec_get(c, 1, &value));
    return exec_set(c, 0, value);
}

enum interp_status exec_movsx(struct interp *c)
{
    uint64_t value;

    TRY(exec_get(c, 1, &value));
    return exec_set(c, 0, alu_extend(value, exec_operand_size(c, 1)));
}

/*
 * Without REX.W it moves 32 or 16 bits as they are; the operand is read at the destination's size.
 */
enum interp_status exec_movsxd(struct interp *c)
{
    uint64_t value;

    if (c->insn.opsize == 2 && c->insn.memory) {
        TRY(exec_read(c, c->insn.segment, exec_address(c), 2, &value));
        return exec_set(c, 0, value);
    }
    return exec_movsx(c);
}

enum interp_status exec_movbe(struct interp *c)
{
    unsigned size = c->insn.opsize;
    uint64_t value;

    TRY(exec_get(c, 1, &value));
    return exec_set(c, 0, __builtin_bswap64(value) >> (64 - 8 * size));
}

enum interp_status exec_lea(struct interp *c)
{
    return exec_set(c, 0, exec_address(c));
}

enum interp_status exec_nop(struct interp *c)
{
    (void)c;
    return INTERP_DONE;
}

enum interp_status exec_mfence(struct interp *c)
{
    (void)c;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return INTERP_DONE;
}

/* CLFLUSH, CLFLUSHOPT, CLWB: there is no cache here, but the byte has to be one that can be read. */
enum interp_status exec_clflush(struct interp *c)
{
    struct access a;

    return exec_access(c, c->insn.segment, exec_address(c), 1, 0, &a);
}

/* Operand 0 = fn(operand 0, operand 1). */
static enum interp_status binary(struct interp *c, alu_fn *fn)
{
    uint64_t b;

    TRY(exec_get(c, 1, &b));
    return exec_modify(c, b & alu_mask(exec_operand_size(c, 0)), fn, false, NULL);
}

/* As binary(), but for the flags only. */
static enum interp_status compare(struct interp *c, alu_fn *fn)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t a, b;

    TRY(exec_get(c, 0, &a));
    TRY(exec_get(c, 1, &b));
    fn(a, b & alu_mask(size), size, &c->state->rflags);
    return INTERP_DONE;
}

static enum interp_status unary(struct interp *c, alu_fn *fn)
{
    return exec_modify(c, 0, fn, false, NULL);
}

enum interp_status exec_add(struct interp *c) { return binary(c, alu_add); }
enum interp_status exec_or(struct interp *c)  { return binary(c, alu_or); }
enum interp_status exec_adc(struct interp *c) { return binary(c, alu_adc); }
enum interp_status exec_sbb(struct interp *c) { return binary(c, alu_sbb); }
enum interp_status exec_and(struct interp *c) { return binary(c, alu_and); }
enum interp_status exec_sub(struct interp *c) { return binary(c, alu_sub); }
enum interp_status exec_xor(struct interp *c) { return binary(c, alu_xor); }
enum interp_status exec_cmp(struct interp *c) { return compare(c, alu_sub); }
enum interp_status exec_test(struct interp *c) { return compare(c, alu_and); }
enum interp_status exec_inc(struct interp *c) { return unary(c, alu_inc); }
enum interp_status exec_dec(struct interp *c) { return unary(c, alu_dec); }
enum interp_status exec_neg(struct interp *c) { return unary(c, alu_neg); }
enum interp_status exec_not(struct interp *c) { return unary(c, alu_not); }
enum interp_status exec_rol(struct interp *c) { return binary(c, alu_rol); }
enum interp_status exec_ror(struct interp *c) { return binary(c, alu_ror); }
enum interp_status exec_rcl(struct interp *c) { return binary(c, alu_rcl); }
enum interp_status exec_rcr(struct interp *c) { return binary(c, alu_rcr); }
enum interp_status exec_shl(struct interp *c) { return binary(c, alu_shl); }
enum interp_status exec_shr(struct interp *c) { return binary(c, alu_shr); }
enum interp_status exec_sar(struct interp *c) { return binary(c, alu_sar); }
enum interp_status exec_adcx(struct interp *c) { return binary(c, alu_adcx); }
enum interp_status exec_adox(struct interp *c) { return binary(c, alu_adox); }

static enum interp_status
double_shift(struct interp *c, uint64_t (*fn)(uint64_t, uint64_t, unsigned, unsigned, uint64_t *))
{
    unsigned size = c->insn.opsize;
    uint64_t a, b, count, flags = c->state->rflags;
    struct access place;

    TRY(exec_get(c, 1, &b));
    TRY(exec_get(c, 2, &count));
    if (!c->insn.memory) {
        a = exec_get_reg(c, c->insn.rm, size);
        exec_set_reg(c, c->insn.rm, size, fn(a, b, (unsigned)count & 63, size, &c->state->rflags));
        return INTERP_DONE;
    }
    TRY(exec_access(c, c->insn.segment, exec_address(c), size, ACCESS_WRITE, &place));
    exec_store(c, &place, fn(exec_load(c, &place), b, (unsigned)count & 63, size, &flags));
    c->state->rflags = flags;
    return INTERP_DONE;
}

enum interp_status exec_shld(struct interp *c) { return double_shift(c, alu_shld); }
enum interp_status exec_shrd(struct interp *c) { return double_shift(c, alu_shrd); }

/*
 * BT and its like: a register as bit number reaches any word of memory around the operand, an
 * immediate or a register operand only within it (SDM volume 1, 4.2.2 and volume 2, BT).
 */
static enum interp_status bit_operation(struct interp *c, alu_fn *fn, bool write)
{
    unsigned size = c->insn.opsize, shift = size == 2 ? 4 : size == 4 ? 5 : 6;
    uint64_t bit, offset;
    struct access a;

    TRY(exec_get(c, 1, &bit));
    if (!c->insn.memory) {
        uint64_t before = exec_get_reg(c, c->insn.rm, size);
        uint64_t after = fn(before, bit & (8 * size - 1), size, &c->state->rflags);

        if (write)
            exec_set_reg(c, c->insn.rm, size, after);
        return INTERP_DONE;
    }
    offset = exec_address(c);
    if (c->insn.opcode != 0xba)
        offset = (offset + size * (uint64_t)((int64_t)alu_extend(bit, size) >> shift)) &
                 alu_mask(c->insn.addrsize);
    TRY(exec_access(c, c->insn.segment, offset, size, write ? ACCESS_WRITE : 0, &a));
    bit &= 8 * size - 1;
    if (write)
        return exec_modify_access(c, &a, bit, fn, c->insn.prefixes & INSN_LOCK, NULL);
    fn(exec_load(c, &a), bit, size, &c->state->rflags);
    return INTERP_DONE;
}

enum interp_status exec_bt(struct interp *c)  { return bit_operation(c, alu_bt, false); }
enum interp_status exec_bts(struct interp *c) { return bit_operation(c, alu_bts, true); }
enum interp_status exec_btr(struct interp *c) { return bit_operation(c, alu_btr, true); }
enum interp_status exec_btc(struct interp *c) { return bit_operation(c, alu_btc, true); }

/*
 * Always locked with memory. Opcode 90h is NOP unless REX.B makes it R8, and with F3 always PAUSE.
 */
enum interp_status exec_xchg(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t b, old;

    if (c->insn.opcode == 0x90 && c->insn.map == MAP_1 &&
        (c->insn.rm == CPU_RAX || (c->insn.prefixes & INSN_REP)))
        return INTERP_DONE;
    TRY(exec_get(c, 1, &b));
    TRY(exec_modify(c, b, alu_move, true, &old));
    exec_set_reg(c, c->insn.opcode >= 0x90 ? CPU_RAX : c->insn.reg, size, old);
    return INTERP_DONE;
}

/* The sum goes to the destination last, so it stays when both are the same register. */
enum interp_status exec_xadd(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t b, old;

    TRY(exec_get(c, 1, &b));
    if (!c->insn.memory) {
        old = exec_get_reg(c, c->insn.rm, size);
        exec_set_reg(c, c->insn.reg, size, old);
        exec_set_reg(c, c->insn.rm, size, alu_add(old, b, size, &c->state->rflags));
        return INTERP_DONE;
    }
    TRY(exec_modify(c, b, alu_add, false, &old));
    exec_set_reg(c, c->insn.reg, size, old);
    return INTERP_DONE;
}

/*
 * CMPXCHG writes its memory operand in any case, a register and the accumulator only where they
 * change.
 */
enum interp_status exec_cmpxchg(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t want = exec_get_reg(c, CPU_RAX, size), found = want, source;
    struct access a;

    TRY(exec_get(c, 1, &source));
    if (!c->insn.memory) {
        found = exec_get_reg(c, c->insn.rm, size);
        if (found == want)
            exec_set_reg(c, c->insn.rm, size, source);
    } else {
        uint8_t *p;

        TRY(exec_access(c, c->insn.segment, exec_address(c), size, ACCESS_WRITE, &a));
        p = exec_pointer(&a);
        if (p) {
            atomic_cas_guest(p, size, &found, source);
        } else {
            found = exec_load(c, &a);
            exec_store(c, &a, found == want ? source : found);
        }
    }
    alu_sub(want, found, size, &c->state->rflags);
    if (found != want)
        exec_set_reg(c, CPU_RAX, size, found);
    return INTERP_DONE;
}

static enum interp_status cmpxchg16b(struct interp *c)
{
    uint64_t *gpr = c->state->gpr;
    uint64_t found[2] = {gpr[CPU_RAX], gpr[CPU_RDX]};
    struct access a;
    bool equal;

    TRY(exec_access(c, c->insn.segment, exec_address(c), 16, ACCESS_WRITE | ACCESS_ALIGNED, &a));
    if (a.host[0]) {
        equal = atomic_cas16_guest(a.host[0], found, gpr[CPU_RBX], gpr[CPU_RCX]);
    } else {
        exec_load_bytes(c, &a, (uint8_t *)found);
        equal = found[0] == gpr[CPU_RAX] && found[1] == gpr[CPU_RDX];
        exec_store_bytes(
            c, &a, (const uint8_t *)(equal ? (uint64_t[2]){gpr[CPU_RBX], gpr[CPU_RCX]} : found));
    }
    c->state->rflags = (c->state->rflags & ~RFLAGS_ZF) | (equal ? RFLAGS_ZF : 0);
    if (!equal) {
        gpr[CPU_RAX] = found[0];
        gpr[CPU_RDX] = found[1];
    }
    return INTERP_DONE;
}

enum interp_status exec_cmpxchg8b(struct interp *c)
{
    uint64_t *gpr = c->state->gpr;
    uint64_t want = (uint32_t)gpr[CPU_RAX] | gpr[CPU_RDX] << 32, found = want;
    uint64_t value = (uint32_t)gpr[CPU_RBX] | gpr[CPU_RCX] << 32;
    struct access a;
    uint8_t *p;

    if (c->insn.rex & 8)
        return cmpxchg16b(c);
    TRY(exec_access(c, c->insn.segment, exec_address(c), 8, ACCESS_WRITE, &a));
    p = exec_pointer(&a);
    if (p) {
        atomic_cas_guest(p, 8, &found, value);
    } else {
        found = exec_load(c, &a);
        exec_store(c, &a, found == want ? value : found);
    }
    c->state->rflags = (c->state->rflags & ~RFLAGS_ZF) | (found == want ? RFLAGS_ZF : 0);
    if (found != want) {
        gpr[CPU_RAX] = (uint32_t)found;
        gpr[CPU_RDX] = found >> 32;
    }
    return INTERP_DONE;
}

/* The one-operand forms: AH:AL for bytes, else xDX:xAX. */
static void set_product(struct interp *c, unsigned size, uint64_t low, uint64_t high)
{
    if (size == 1) {
        exec_set_reg(c, CPU_RAX, 2, high << 8 | low);
    } else {
        exec_set_reg(c, CPU_RAX, size, low);
        exec_set_reg(c, CPU_RDX, size, high);
    }
}

enum interp_status exec_mul(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t b, low, high;

    TRY(exec_get(c, 0, &b));
    low = alu_mul(exec_get_reg(c, CPU_RAX, size), b, size, &high, &c->state->rflags);
    set_product(c, size, low, high);
    return INTERP_DONE;
}

enum interp_status exec_imul1(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t b, low, high;

    TRY(exec_get(c, 0, &b));
    low = alu_imul(exec_get_reg(c, CPU_RAX, size), b, size, &high, &c->state->rflags);
    set_product(c, size, low, high);
    return INTERP_DONE;
}

static enum interp_status multiply_to_register(struct interp *c, unsigned first, unsigned second)
{
    unsigned size = c->insn.opsize;
    uint64_t a, b, high;

    TRY(exec_get(c, first, &a));
    TRY(exec_get(c, second, &b));
    return exec_set(c, 0, alu_imul(a, b & alu_mask(size), size, &high, &c->state->rflags));
}

enum interp_status exec_imul2(struct interp *c) { return multiply_to_register(c, 0, 1); }
enum interp_status exec_imul3(struct interp *c) { return multiply_to_register(c, 1, 2); }

static enum interp_status divide(struct interp *c,
                                 bool (*fn)(uint64_t *, uint64_t *, uint64_t, unsigned))
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t divisor, low = exec_get_reg(c, CPU_RAX, size), high;

    TRY(exec_get(c, 0, &divisor));
    high = size == 1 ? exec_get_reg(c, CPU_RAX, 2) >> 8 : exec_get_reg(c, CPU_RDX, size);
    if (!fn(&high, &low, divisor, size))
        return exec_fault(c, EXCEPTION_DE);
    set_product(c, size, low, high);
    return INTERP_DONE;
}

enum interp_status exec_div(struct interp *c)  { return divide(c, alu_div); }
enum interp_status exec_idiv(struct interp *c) { return divide(c, alu_idiv); }

enum interp_status exec_cbw(struct interp *c)
{
    unsigned size = c->insn.opsize;

    exec_set_reg(c, CPU_RAX, size, alu_extend(exec_get_reg(c, CPU_RAX, size / 2), size / 2));
    return INTERP_DONE;
}

enum interp_status exec_cwd(struct interp *c)
{
    unsigned size = c->insn.opsize;

    exec_set_reg(c, CPU_RDX, size, exec_get_reg(c, CPU_RAX, size) & alu_sign(size) ? ~0ull : 0);
    return INTERP_DONE;
}

enum interp_status exec_bswap(struct interp *c)
{
    unsigned size = c->insn.opsize;
    uint64_t value = exec_get_reg(c, c->insn.rm, size);

    /* Undefined for 16 bits: zero, as processors do. */
    value = size == 2 ? 0 : __builtin_bswap64(value) >> (64 - 8 * size);
    exec_set_reg(c, c->insn.rm, size, value);
    return INTERP_DONE;
}

enum interp_status exec_setcc(struct interp *c)
{
    return exec_set(c, 0, alu_condition(c->insn.opcode & 15, c->state->rflags));
}

/* The source is read, and a 32-bit destination's upper half cleared, whatever the condition. */
enum interp_status exec_cmovcc(struct interp *c)
{
    uint64_t value, old;

    TRY(exec_get(c, 1, &value));
    TRY(exec_get(c, 0, &old));
    return exec_set(c, 0, alu_condition(c->insn.opcode & 15, c->state->rflags) ? value : old);
}

static unsigned parity_count(uint64_t value)
{
    unsigned count = 0;

    for (; value; value &= value - 1)
        count++;
    return count;
}

enum interp_status exec_popcnt(struct interp *c)
{
    uint64_t value;

    TRY(exec_get(c, 1, &value));
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | (value ? 0 : RFLAGS_ZF);
    return exec_set(c, 0, parity_count(value));
}

/* TZCNT and LZCNT: CF if the source is zero, ZF if the result is. */
static enum interp_status count_zeros(struct interp *c, bool leading)
{
    unsigned bits = 8u * c->insn.opsize;
    uint64_t value, result = bits, flags = c->state->rflags;

    TRY(exec_get(c, 1, &value));
    if (value)
        result = leading ? (unsigned)__builtin_clzll(value) - (64 - bits)
                         : (unsigned)__builtin_ctzll(value);
    flags = leading ? alu_host_lzcnt(value, c->insn.opsize, flags)
                    : alu_host_tzcnt(value, c->insn.opsize, flags);
    flags = (flags & ~(RFLAGS_CF | RFLAGS_ZF)) | (value ? 0 : RFLAGS_CF) | (result ? 0 : RFLAGS_ZF);
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | flags;
    return exec_set(c, 0, result);
}

enum interp_status exec_tzcnt(struct interp *c) { return count_zeros(c, false); }
enum interp_status exec_lzcnt(struct interp *c) { return count_zeros(c, true); }

/* BSF and BSR leave the destination, all of it, as it is when the source is zero. */
static enum interp_status bit_scan(struct interp *c, bool reverse)
{
    uint64_t value, flags = c->state->rflags;

    TRY(exec_get(c, 1, &value));
    flags = reverse ? alu_host_bsr(value, c->insn.opsize, flags)
                    : alu_host_bsf(value, c->insn.opsize, flags);
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | flags;
    if (!value)
        return INTERP_DONE;
    return exec_set(
        c, 0, reverse ? 63u - (unsigned)__builtin_clzll(value) : (unsigned)__builtin_ctzll(value));
}

enum interp_status exec_bsf(struct interp *c) { return bit_scan(c, false); }
enum interp_status exec_bsr(struct interp *c) { return bit_scan(c, true); }
