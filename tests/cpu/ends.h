/* SPDX-License-Identifier: MIT */
/*
 * Blocks of memory instructions whose operands are at the ends of pages and of the address space, and
 * machines whose memory has nothing beside it on the host. All randomness is splitmix64's
 * (tests/unit/random.h), so that a scene's seed is all there is to know about it.
 */
#ifndef TESTS_CPU_ENDS_H
#define TESTS_CPU_ENDS_H

#include "vmm/cpu/state.h"
#include "vmm/engine.h"

#include <stdbool.h>
#include <stdint.h>

#define ENDS_INSNS 20u
#define ENDS_BYTES 512u // of a block's code, at the most
#define ENDS_NONE  0xffu

/* --- Blocks (ends_code.c) --- */

enum ends_jump { ENDS_NO_JUMP, ENDS_JCC, ENDS_JMP, ENDS_CALL, ENDS_LOOP };

struct ends_insn {
    uint8_t bytes[24]; // without the distance of a jump
    uint8_t length;
    uint8_t jump;      // enum ends_jump
    uint8_t to;        // instruction that it leads to
    uint8_t base, index, scale; // of the operand in memory, ENDS_NONE: none
    int32_t disp;
};

struct ends_block {
    unsigned mode; // 4, 8
    unsigned count;
    struct ends_insn insn[ENDS_INSNS];
};

/* With the processor's AVX or without. */
void ends_generate(uint64_t *random, unsigned mode, bool avx, struct ends_block *block);
/* Without the instructions whose bits are set in `omit`; HLT at the end. Returns the length. */
unsigned ends_assemble(const struct ends_block *block, uint32_t omit, uint8_t *bytes);

/* --- Machines and what is mapped in them (ends_guest.c) --- */

enum ends_kind { ENDS_LONG, ENDS_COMPAT, ENDS_PAE, ENDS_LEGACY, ENDS_KINDS };

struct ends_page {
    uint64_t linear, gpa;
};

struct ends_scene {
    enum ends_kind kind;
    bool user;
    unsigned mode;       // 4, 8
    uint64_t cr0, cr4;
    uint64_t base[2];    // of FS and GS
    uint64_t rubbish;    // in the upper half of RSP
    bool whole;          // nearly everything is data that can be written to
    unsigned codes;      // places where the two code pages can be seen, next to each other
    uint64_t code[3];
    unsigned count;
    struct ends_page page[80]; // where operands may be, mapped or not
};

struct ends_machine {
    const struct engine_ops *ops;
    struct engine *engine;
    struct vm *vm;
    struct host *host;
    uint8_t *ram;
};

/* False: this engine cannot be had here. */
bool ends_open(struct ends_machine *m, bool recompiler);
void ends_close(struct ends_machine *m, bool recompiler);
/* New tables and data; the same in both machines, and nothing remembered of earlier scenes. */
void ends_draw_scene(uint64_t *random, struct ends_scene *scene, struct ends_machine m[2]);
/* Another page comes in the place of one, in both. */
void ends_remap(uint64_t *random, struct ends_scene *scene, struct ends_machine m[2]);
/* Code into the code pages of both. */
void ends_put(struct ends_machine m[2], unsigned offset, const uint8_t *bytes, unsigned length);
/* Are they still there? */
bool ends_has(const struct ends_machine *m, unsigned offset, const uint8_t *bytes, unsigned length);
/* Registers that do not change from run to run of a scene. */
void ends_set_mode(const struct ends_scene *scene, struct cpu_state *state);
/* Memory of `from` into `to`; the first address at which they differ, ~0: none. */
void ends_copy(struct ends_machine *to, const struct ends_machine *from);
uint64_t ends_differ(const struct ends_machine *a, const struct ends_machine *b);
/*
 * Accessed bits that are set in the second machine alone are set in the first: a processor may set them for what it does not come to
 * do (SDM volume 3, 4.8), as the recompiler does before it knows that an operand is not aligned. Where that is what happened, dirty
 * bits as well (doc/cpu-engines.md, deviations).
 */
void ends_allow_marks(struct ends_machine m[2], enum ends_kind kind, bool refused);
/* The byte at a linear address, as far as it is RAM; else NULL. */
uint8_t *ends_at(const struct ends_machine *m, const struct ends_scene *scene, uint64_t linear);
const char *ends_kind_name(enum ends_kind kind);

#endif
