/* SPDX-License-Identifier: MIT */
/* Values and flags of the integer operations. */
#include "vmm/cpu/alu.h"

#include "vmm/cpu/alu_host.h"

uint64_t alu_flags_of(uint64_t result, unsigned size)
{
    uint64_t flags = 0;

    if ((result & alu_mask(size)) == 0)
        flags |= RFLAGS_ZF;
    if (result & alu_sign(size))
        flags |= RFLAGS_SF;
    if (!__builtin_parity((unsigned)(result & 0xff)))
        flags |= RFLAGS_PF;
    return flags;
}

static void set_status(uint64_t *flags, uint64_t value)
{
    *flags = (*flags & ~RFLAGS_STATUS) | value;
}

/*
 * The carries out of each bit of an addition decide CF and AF, those of a subtraction the borrows.
 */
static uint64_t carry_flags(uint64_t carries, uint64_t overflow, unsigned size)
{
    return (carries & alu_sign(size) ? RFLAGS_CF : 0) |
           (overflow & alu_sign(size) ? RFLAGS_OF : 0) | (carries & 8 ? RFLAGS_AF : 0);
}

static uint64_t add(uint64_t a, uint64_t b, unsigned carry, unsigned size, uint64_t *flags)
{
    uint64_t result = (a + b + carry) & alu_mask(size);

    set_status(flags, alu_flags_of(result, size) |
               carry_flags((a & b) | ((a | b) & ~result), (a ^ result) & (b ^ result), size));
    return result;
}

static uint64_t subtract(uint64_t a, uint64_t b, unsigned borrow, unsigned size, uint64_t *flags)
{
    uint64_t result = (a - b - borrow) & alu_mask(size);

    set_status(flags, alu_flags_of(result, size) |
               carry_flags((~a & b) | ((~a | b) & result), (a ^ b) & (a ^ result), size));
    return result;
}

static uint64_t logic(uint64_t result, unsigned size, uint64_t *flags)
{
    set_status(flags, alu_flags_of(result, size));
    return result;
}

uint64_t alu_add(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return add(a, b, 0, size, flags);
}

uint64_t alu_adc(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return add(a, b, *flags & RFLAGS_CF ? 1 : 0, size, flags);
}

uint64_t alu_sub(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return subtract(a, b, 0, size, flags);
}

uint64_t alu_sbb(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return subtract(a, b, *flags & RFLAGS_CF ? 1 : 0, size, flags);
}

uint64_t alu_and(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return logic(a & b, size, flags);
}

uint64_t alu_or(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return logic(a | b, size, flags);
}

uint64_t alu_xor(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return logic(a ^ b, size, flags);
}

uint64_t alu_inc(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    uint64_t carry = *flags & RFLAGS_CF;

    (void)b;
    a = add(a, 1, 0, size, flags);
    *flags = (*flags & ~RFLAGS_CF) | carry;
    return a;
}

uint64_t alu_dec(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    uint64_t carry = *flags & RFLAGS_CF;

    (void)b;
    a = subtract(a, 1, 0, size, flags);
    *flags = (*flags & ~RFLAGS_CF) | carry;
    return a;
}

uint64_t alu_neg(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    (void)b;
    return subtract(0, a, 0, size, flags);
}

uint64_t alu_not(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    (void)b;
    (void)flags;
    return ~a & alu_mask(size);
}

uint64_t alu_move(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    (void)a;
    (void)size;
    (void)flags;
    return b;
}

static uint64_t add_with(uint64_t a, uint64_t b, unsigned size, uint64_t *flags,
                         uint64_t carry_flag)
{
    uint64_t carry = *flags & carry_flag ? 1 : 0, ignored = 0, result;

    result = add(a, b, (unsigned)carry, size, &ignored);
    *flags = (*flags & ~carry_flag) | (ignored & RFLAGS_CF ? carry_flag : 0);
    return result;
}

uint64_t alu_adcx(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return add_with(a, b, size, flags, RFLAGS_CF);
}

uint64_t alu_adox(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return add_with(a, b, size, flags, RFLAGS_OF);
}

static unsigned shift_count(uint64_t b, unsigned size)
{
    return (unsigned)b & (size == 8 ? 63 : 31);
}

static void set_carry_overflow(uint64_t *flags, bool carry, bool overflow)
{
    *flags =
        (*flags & ~(RFLAGS_CF | RFLAGS_OF)) | (carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0);
}

/* Behind a count above 1, where OF is not defined. */
static void set_overflow(uint64_t *flags, uint64_t overflow)
{
    *flags = (*flags & ~RFLAGS_OF) | overflow;
}

uint64_t alu_rol(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size, count = shift_count(b, size), by = count % bits;
    uint64_t overflow = count > 1 ? alu_host_rol(a, count, size, *flags) : 0;

    if (count == 0)
        return a;
    if (by)
        a = ((a << by) | (a >> (bits - by))) & alu_mask(size);
    set_carry_overflow(flags, a & 1, (a & 1) != (a >> (bits - 1)));
    if (count > 1)
        set_overflow(flags, overflow);
    return a;
}

uint64_t alu_ror(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size, count = shift_count(b, size), by = count % bits;
    uint64_t overflow = count > 1 ? alu_host_ror(a, count, size, *flags) : 0;

    if (count == 0)
        return a;
    if (by)
        a = ((a >> by) | (a << (bits - by))) & alu_mask(size);
    set_carry_overflow(flags, a >> (bits - 1), (a >> (bits - 1) ^ a >> (bits - 2)) & 1);
    if (count > 1)
        set_overflow(flags, overflow);
    return a;
}

uint64_t alu_rcl(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size, whole = shift_count(b, size), count = whole % (bits + 1);
    uint64_t carry = *flags & RFLAGS_CF ? 1 : 0;
    uint64_t overflow = whole > 1 ? alu_host_rcl(a, whole, size, *flags) : 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t out = a >> (bits - 1);

        a = (a << 1 | carry) & alu_mask(size);
        carry = out;
    }
    if (count)
        set_carry_overflow(flags, carry, carry != (a >> (bits - 1)));
    if (count && whole > 1)
        set_overflow(flags, overflow);
    return a;
}

uint64_t alu_rcr(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size, whole = shift_count(b, size), count = whole % (bits + 1);
    uint64_t carry = *flags & RFLAGS_CF ? 1 : 0;
    uint64_t overflow = whole > 1 ? alu_host_rcr(a, whole, size, *flags) : 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t out = a & 1;

        a = a >> 1 | carry << (bits - 1);
        carry = out;
    }
    if (count)
        set_carry_overflow(flags, carry, (a >> (bits - 1) ^ a >> (bits - 2)) & 1);
    if (count && whole > 1)
        set_overflow(flags, overflow);
    return a;
}

uint64_t alu_shl(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size, count = shift_count(b, size);
    uint64_t result;
    bool carry;

    if (count == 0)
        return a;
    result = (a << count) & alu_mask(size);
    carry = count <= bits && (a >> (bits - count) & 1);
    set_status(flags, alu_flags_of(result, size) | (carry ? RFLAGS_CF : 0) |
               (carry != (result >> (bits - 1)) ? RFLAGS_OF : 0));
    if (count > 1)
        set_overflow(flags, alu_host_shl(a, count, size, 0));
    return result;
}

uint64_t alu_shr(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned count = shift_count(b, size);
    uint64_t result;

    if (count == 0)
        return a;
    result = a >> count;
    set_status(flags, alu_flags_of(result, size) | (a >> (count - 1) & 1 ? RFLAGS_CF : 0) |
               (a & alu_sign(size) ? RFLAGS_OF : 0));
    return result;
}

uint64_t alu_sar(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    unsigned count = shift_count(b, size);
    int64_t wide = (int64_t)alu_extend(a, size);
    uint64_t result;

    if (count == 0)
        return a;
    result = (uint64_t)(wide >> count) & alu_mask(size);
    set_status(flags, alu_flags_of(result, size) | (wide >> (count - 1) & 1 ? RFLAGS_CF : 0));
    return result;
}

uint64_t alu_shld(uint64_t a, uint64_t b, unsigned count, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size;
    uint64_t result = a;
    bool carry = false;
    uint64_t overflow;
    unsigned whole;

    count = shift_count(count, size);
    if (count == 0)
        return a;
    whole = count;
    overflow = count > 1 ? alu_host_shld(a, b, count, size) : 0;
    if (count > bits) { // undefined: 16 bits and a count above 16; the operands repeat, as Intel's
                        // processors do it
        a = b;
        b = result;
        count -= bits;
    }
    carry = a >> (bits - count) & 1;
    result = (count == bits ? b : a << count | b >> (bits - count)) & alu_mask(size);
    set_status(flags, alu_flags_of(result, size) | (carry ? RFLAGS_CF : 0) |
               ((a ^ result) & alu_sign(size) ? RFLAGS_OF : 0));
    if (whole > 1)
        set_overflow(flags, overflow);
    return result;
}

uint64_t alu_shrd(uint64_t a, uint64_t b, unsigned count, unsigned size, uint64_t *flags)
{
    unsigned bits = 8 * size;
    uint64_t result = a;
    bool carry;
    uint64_t overflow;
    unsigned whole;

    count = shift_count(count, size);
    if (count == 0)
        return a;
    whole = count;
    overflow = count > 1 ? alu_host_shrd(a, b, count, size) : 0;
    if (count > bits) {
        a = b;
        b = result;
        count -= bits;
    }
    carry = a >> (count - 1) & 1;
    result = (count == bits ? b : a >> count | b << (bits - count)) & alu_mask(size);
    set_status(flags, alu_flags_of(result, size) | (carry ? RFLAGS_CF : 0) |
               ((a ^ result) & alu_sign(size) ? RFLAGS_OF : 0));
    if (whole > 1)
        set_overflow(flags, overflow);
    return result;
}

static void set_bit_carry(uint64_t a, uint64_t b, uint64_t *flags)
{
    *flags = (*flags & ~RFLAGS_CF) | (a >> b & 1 ? RFLAGS_CF : 0);
}

uint64_t alu_bt(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    (void)size;
    set_bit_carry(a, b, flags);
    return a;
}

uint64_t alu_bts(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return alu_bt(a, b, size, flags) | 1ull << b;
}

uint64_t alu_btr(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return alu_bt(a, b, size, flags) & ~(1ull << b);
}

uint64_t alu_btc(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
    return alu_bt(a, b, size, flags) ^ 1ull << b;
}

static void set_product_flags(uint64_t low, bool wide, unsigned size, uint64_t *flags)
{
    set_status(flags, (alu_flags_of(low, size) & (RFLAGS_SF | RFLAGS_PF)) |
                          (wide ? RFLAGS_CF | RFLAGS_OF : 0));
}

uint64_t alu_mul(uint64_t a, uint64_t b, unsigned size, uint64_t *high, uint64_t *flags)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    uint64_t low = (uint64_t)product & alu_mask(size);

    *high = (uint64_t)(product >> 8 * size) & alu_mask(size);
    set_product_flags(low, *high != 0, size, flags);
    return low;
}

uint64_t alu_imul(uint64_t a, uint64_t b, unsigned size, uint64_t *high, uint64_t *flags)
{
    __int128 product = (__int128)(int64_t)alu_extend(a, size) * (int64_t)alu_extend(b, size);
    uint64_t low = (uint64_t)product & alu_mask(size);

    *high = (uint64_t)(product >> 8 * size) & alu_mask(size);
    set_product_flags(low, product != (int64_t)alu_extend(low, size), size, flags);
    return low;
}

bool alu_div(uint64_t *high, uint64_t *low, uint64_t divisor, unsigned size)
{
    uint64_t quotient, remainder;

    if (*high >= divisor)
        return false;
    if (size == 8) {
        __asm__("divq %4"
                : "=a"(quotient), "=d"(remainder)
                : "a"(*low), "d"(*high), "r"(divisor)
                : "cc");
    } else {
        uint64_t dividend = *high << 8 * size | *low;

        quotient = dividend / divisor;
        remainder = dividend % divisor;
    }
    *low = quotient;
    *high = remainder;
    return true;
}

/* By magnitudes: the quotient truncates towards zero and the remainder has the dividend's sign. */
bool alu_idiv(uint64_t *high, uint64_t *low, uint64_t divisor, unsigned size)
{
    bool negative = *high & alu_sign(size), divisor_negative = divisor & alu_sign(size);
    uint64_t mask = alu_mask(size), h = *high, l = *low;
    uint64_t limit = alu_sign(size) - (negative == divisor_negative);

    if (negative) {
        l = -l & mask;
        h = (~h + (l == 0)) & mask;
    }
    if (divisor_negative)
        divisor = -divisor & mask;
    if (!alu_div(&h, &l, divisor, size) || l > limit)
        return false;
    *low = (negative != divisor_negative ? -l : l) & mask;
    *high = (negative ? -h : h) & mask;
    return true;
}

bool alu_condition(unsigned cc, uint64_t flags)
{
    bool less = !(flags & RFLAGS_SF) != !(flags & RFLAGS_OF);
    bool holds;

    switch (cc >> 1 & 7) {
    case 0:  holds = flags & RFLAGS_OF; break;
    case 1:  holds = flags & RFLAGS_CF; break;
    case 2:  holds = flags & RFLAGS_ZF; break;
    case 3:  holds = flags & (RFLAGS_CF | RFLAGS_ZF); break;
    case 4:  holds = flags & RFLAGS_SF; break;
    case 5:  holds = flags & RFLAGS_PF; break;
    case 6:  holds = less; break;
    default: holds = less || (flags & RFLAGS_ZF); break;
    }
    return holds != (cc & 1);
}
