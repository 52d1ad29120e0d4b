/* SPDX-License-Identifier: MIT */
/*
 * Values and flags of the integer operations (SDM volume 1, 3.4.3; volume 2 for each).
 *
 * An operation takes and gives values of `size` bytes (1, 2, 4, 8), zero-extended, and changes the
 * status flags in *flags. Flags that the manual leaves undefined are this processor's where processors
 * differ most (alu_host.h), else as those that tests ran on leave them.
 */
#ifndef VMM_CPU_ALU_H
#define VMM_CPU_ALU_H

#include "vmm/cpu/control.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t alu_fn(uint64_t a, uint64_t b, unsigned size, uint64_t *flags);

static inline uint64_t alu_mask(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

static inline uint64_t alu_sign(unsigned size)
{
    return 1ull << (8 * size - 1);
}

static inline uint64_t alu_extend(uint64_t value, unsigned size)
{
    return (uint64_t)((int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size));
}

alu_fn alu_add, alu_adc, alu_sub, alu_sbb, alu_and, alu_or, alu_xor;
alu_fn alu_inc, alu_dec, alu_neg, alu_not, alu_move;
alu_fn alu_rol, alu_ror, alu_rcl, alu_rcr, alu_shl, alu_shr, alu_sar;
alu_fn alu_bt, alu_bts, alu_btr, alu_btc; // b: bit number, below 8 * size
alu_fn alu_adcx, alu_adox;

/* SHLD, SHRD: a shifted by count, filled from b; count not yet masked. */
uint64_t alu_shld(uint64_t a, uint64_t b, unsigned count, unsigned size, uint64_t *flags);
uint64_t alu_shrd(uint64_t a, uint64_t b, unsigned count, unsigned size, uint64_t *flags);

/* a * b: low half, high half in *high. */
uint64_t alu_mul(uint64_t a, uint64_t b, unsigned size, uint64_t *high, uint64_t *flags);
uint64_t alu_imul(uint64_t a, uint64_t b, unsigned size, uint64_t *high, uint64_t *flags);

/* high:low by divisor: quotient in *low, remainder in *high; false for #DE, nothing changed. */
bool alu_div(uint64_t *high, uint64_t *low, uint64_t divisor, unsigned size);
bool alu_idiv(uint64_t *high, uint64_t *low, uint64_t divisor, unsigned size);

/* ZF, SF and PF of a result. */
uint64_t alu_flags_of(uint64_t result, unsigned size);

/* Condition code `cc` (SDM volume 2, appendix B.1.4.7) on flags. */
bool alu_condition(unsigned cc, uint64_t flags);

#endif
