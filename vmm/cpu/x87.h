/* SPDX-License-Identifier: MIT */
/*
 * The x87 environment: conversions between the FXSAVE image and the forms that FSTENV, FLDENV,
 * FSAVE and FRSTOR have in memory, by operand size (2: 14 bytes, else 28) and mode (SDM volume 1,
 * figures 8-9 to 8-12). Pure functions; any bytes are valid.
 */
#ifndef VMM_CPU_X87_H
#define VMM_CPU_X87_H

#include "vmm/cpu/xstate.h"

#define FCW_VALID 0x1f3fu
#define FCW_ONE   0x0040u

/* Writes the environment and returns its size. */
unsigned x87_put_environment(const uint8_t *image, unsigned opsize, bool is_protected, uint8_t *to);
void x87_get_environment(uint8_t *image, unsigned opsize, bool is_protected, const uint8_t *from);

#endif
