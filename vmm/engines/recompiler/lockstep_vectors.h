/* SPDX-License-Identifier: MIT */
/* Do two XSAVE images hold the same x87, SSE and AVX registers? For lockstep. */
#ifndef VMM_ENGINES_RECOMPILER_LOCKSTEP_VECTORS_H
#define VMM_ENGINES_RECOMPILER_LOCKSTEP_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

#define LOCKSTEP_IMAGE 832u // bytes of an image

/*
 * Control, status, tags, MXCSR and registers; not where the last x87 instruction was. A component
 * in its initial state is the same whether it says so or holds zeros.
 */
bool lockstep_vectors_agree(const uint8_t *a, const uint8_t *b);

#endif
