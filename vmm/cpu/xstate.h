/* SPDX-License-Identifier: MIT */
/*
 * The extended state of a vCPU: registers in the state's XSAVE image (SDM volume 1, 10.5.1 and
 * 13.4), x87 and SSE at 0, AVX's upper halves at 576. A component whose bit in XSTATE_BV is clear
 * is in its initial state, whatever the image holds. MXCSR is always there.
 *
 * The x87 registers are in stack order, so whoever changes the status word's TOP by itself turns
 * them: x87_set_top(). MMX register n is the mantissa of x87 register n.
 */
#ifndef VMM_CPU_XSTATE_H
#define VMM_CPU_XSTATE_H

#include "vmm/cpu/exec.h"

#define XSAVE_FCW    0u
#define XSAVE_FSW    2u
#define XSAVE_FTW    4u  // a bit for each register that is not empty
#define XSAVE_FOP    6u
#define XSAVE_FIP    8u
#define XSAVE_FDP    16u
#define XSAVE_MXCSR  24u
#define XSAVE_MASK   28u
#define XSAVE_ST     32u
#define XSAVE_XMM    160u
#define XSAVE_BV     512u
#define XSAVE_COMP   520u // XCOMP_BV
#define XSAVE_YMMH   576u
#define XSAVE_SIZE   832u

#define XSTATE_X87   1ull
#define XSTATE_SSE   2ull
#define XSTATE_AVX   4ull

#define FCW_INIT     0x037fu
#define MXCSR_INIT   0x1f80u
#define MXCSR_VALID  0xffffu
#define MXCSR_FLAGS  0x003fu
#define MXCSR_MASKS  0x1f80u

#define FSW_FLAGS    0x003fu // exceptions
#define FSW_ES       0x0080u
#define FSW_BUSY     0x8000u
#define FSW_TOP      0x3800u

/* Components in the image that are not in their initial state. */
uint64_t xstate_present(const struct interp *c);
/*
 * Of these, those that a guest is shown as in use (XINUSE, SDM volume 1, 13.6): SSE's and AVX's only while not all
 * zero, x87's while not as FNINIT leaves it, whatever this process's own code has done to the registers meanwhile.
 */
uint64_t xstate_used(const uint8_t *image);
/* The image, with the component in it, set up if it was in its initial state; it will change. */
uint8_t *xstate_component(struct interp *c, uint64_t bit);
void xstate_initialize(uint8_t *image, uint64_t bit);
/* The components go back to their initial state; MXCSR stays. */
void xstate_not_used(struct interp *c, uint64_t bits);

/*
 * What an instruction of the group needs before all else (SDM volume 3, 2.5, 13.1, and the
 * instructions' lists of exceptions). SSE and AVX; MMX, with a look at pending x87 exceptions; x87
 * (`waits`: it looks at them too).
 */
enum interp_status xstate_enter_vector(struct interp *c) INTERP_MUST_CHECK;
enum interp_status xstate_enter_mmx(struct interp *c) INTERP_MUST_CHECK;
enum interp_status xstate_enter_x87(struct interp *c, bool waits) INTERP_MUST_CHECK;

void xstate_get_vector(const struct interp *c, unsigned reg, unsigned size, uint8_t *to);
/* Writes the low `size` bytes; a VEX instruction clears the rest of the register. */
void xstate_set_vector(struct interp *c, unsigned reg, unsigned size, const uint8_t *from);
uint32_t xstate_mxcsr(const struct interp *c);
void xstate_set_mxcsr(struct interp *c, uint32_t value);

uint64_t xstate_get_mmx(const struct interp *c, unsigned reg);
/* Marks all registers as valid and the top as 0 (SDM volume 3, 12.2), then writes one. */
void xstate_use_mmx(struct interp *c);
void xstate_set_mmx(struct interp *c, unsigned reg, uint64_t value);

uint16_t x87_word(const uint8_t *image, unsigned at);
void x87_set_word(uint8_t *image, unsigned at, uint16_t value);
/* Makes TOP the value, with every register where it was. */
void x87_set_top(uint8_t *image, unsigned top);
/* ES and B of the status word as flags and masks demand. */
void x87_update_summary(uint8_t *image);

/* Size bytes of the instruction's memory operand. */
enum interp_status xstate_load(struct interp *c, unsigned size, bool aligned,
                               uint8_t *to) INTERP_MUST_CHECK;
enum interp_status xstate_store(struct interp *c, unsigned size, bool aligned,
                                const uint8_t *from) INTERP_MUST_CHECK;

#endif
