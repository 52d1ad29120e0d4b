/* SPDX-License-Identifier: MIT */
/*
 * Inside the interpreter: what its handlers stand on. Each returns INTERP_DONE or a status to hand
 * on with TRY().
 *
 * While a step runs, RSP is in gpr[4]; interp_step() puts it back if the instruction completes. A
 * handler changes registers and flags only after the last access that can fault.
 */
#ifndef VMM_CPU_EXEC_H
#define VMM_CPU_EXEC_H

#include "vmm/cpu/alu.h"
#include "vmm/cpu/control.h"
#include "vmm/cpu/interp.h"

#define TRY(expression)                                \
    do {                                               \
        enum interp_status try_status_ = (expression); \
        if (try_status_ != INTERP_DONE)                \
            return try_status_;                        \
    } while (0)

typedef enum interp_status exec_fn(struct interp *c);

/* The handlers that opcodes.def names. */
#define OP(map, byte, select, name, handler, ...) exec_fn exec_##handler;
#define OR(map, byte, select, name, handler, ...) exec_fn exec_##handler;
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR

/* The beginning of a step: mode, CPL, paging, and RSP into gpr[4]. */
void interp_begin(struct interp *c);

/* State. */
static inline void exec_need(struct interp *c, uint32_t groups)
{
    if (groups & ~c->state->valid)
        c->ops->need(c->arg, groups & ~c->state->valid);
}

static inline void exec_change(struct interp *c, uint32_t groups)
{
    exec_need(c, groups);
    c->state->dirty |= groups;
}

static inline bool exec_protected(const struct interp *c)
{
    return (c->state->cr0 & CR0_PE) && !(c->state->rflags & RFLAGS_VM);
}

static inline bool exec_virtual8086(const struct interp *c)
{
    return (c->state->cr0 & CR0_PE) && (c->state->rflags & RFLAGS_VM);
}

/* Faults. */
enum interp_status exec_fault(struct interp *c, enum exception vector);
enum interp_status exec_fault_code(struct interp *c, enum exception vector, uint32_t code);

static inline enum interp_status exec_gp0(struct interp *c)
{
    return exec_fault_code(c, EXCEPTION_GP, 0);
}

/* To the vCPU: see INTERP_EXIT. */
enum interp_status exec_exit(struct interp *c, uint32_t reason, uint64_t q0, uint64_t q1);

/* Memory (exec_memory.c). */
#define ACCESS_WRITE    WALK_WRITE
#define ACCESS_IMPLICIT WALK_IMPLICIT // supervisor, whatever the CPL
#define ACCESS_ALIGNED  0x1000u       // #GP if not aligned to its size

struct access {
    uint64_t gpa[2];
    uint8_t *host[2];  // NULL: a device
    unsigned size;     // 1 to 64
    unsigned first;    // bytes in the first page
};

struct cpu_segment *exec_segment(struct interp *c, unsigned segment);
/* The linear address of an operand, after the segment's checks. */
enum interp_status exec_linear(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                               uint32_t flags, uint64_t *linear) INTERP_MUST_CHECK;
/* Guest-linear to guest-physical; access is of walk.h. */
enum interp_status exec_translate(struct interp *c, uint64_t linear, uint32_t access,
                                  uint64_t *gpa) INTERP_MUST_CHECK;
/*
 * The same for `size` bytes in one page, with the host's address of them; NULL if they are not RAM.
 */
enum interp_status exec_page(struct interp *c, uint64_t linear, uint32_t access, unsigned size,
                             uint64_t *gpa, uint8_t **host) INTERP_MUST_CHECK;
/* Translates all of the operand: after this, an access cannot fault. */
enum interp_status exec_prepare(struct interp *c, uint64_t linear, unsigned size, uint32_t flags,
                                struct access *a) INTERP_MUST_CHECK;
enum interp_status exec_access(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                               uint32_t flags, struct access *a) INTERP_MUST_CHECK;
uint64_t exec_load(struct interp *c, const struct access *a);               // size 1, 2, 4, 8
void exec_store(struct interp *c, const struct access *a, uint64_t value);
void exec_load_bytes(struct interp *c, const struct access *a, uint8_t *to);
void exec_store_bytes(struct interp *c, const struct access *a, const uint8_t *from);
/* The host's address if the operand is RAM in one piece, else NULL. */
uint8_t *exec_pointer(const struct access *a);

enum interp_status exec_read(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                             uint64_t *value) INTERP_MUST_CHECK;
enum interp_status exec_write(struct interp *c, unsigned segment, uint64_t offset, unsigned size,
                              uint64_t value) INTERP_MUST_CHECK;

/* Stack. They move the stack pointer in gpr[4]. */
enum interp_status exec_stack_push(struct interp *c, unsigned size,
                                   uint64_t value) INTERP_MUST_CHECK;
enum interp_status exec_stack_pop(struct interp *c, unsigned size,
                                  uint64_t *value) INTERP_MUST_CHECK;
uint64_t exec_stack_mask(const struct interp *c);
void exec_set_sp(struct interp *c, uint64_t value);

/* Operands (exec_operand.c). */
uint64_t exec_get_reg(const struct interp *c, unsigned reg, unsigned size);
void exec_set_reg(struct interp *c, unsigned reg, unsigned size, uint64_t value);
uint64_t exec_address(const struct interp *c); // effective address of the memory operand
unsigned exec_operand_size(const struct interp *c, unsigned n);
enum interp_status exec_get(struct interp *c, unsigned n, uint64_t *value) INTERP_MUST_CHECK;
enum interp_status exec_set(struct interp *c, unsigned n, uint64_t value) INTERP_MUST_CHECK;
/*
 * Operand 0 = fn(operand 0, b), atomically if LOCK says so or `locked` is set; flags change with
 * it. *old, if not NULL, becomes what was there.
 */
enum interp_status exec_modify(struct interp *c, uint64_t b, alu_fn *fn, bool locked,
                               uint64_t *old) INTERP_MUST_CHECK;
enum interp_status exec_modify_access(struct interp *c, const struct access *a, uint64_t b,
                                      alu_fn *fn, bool locked, uint64_t *old) INTERP_MUST_CHECK;

/* Control flow: checks the target against CS and makes it the next instruction. */
enum interp_status exec_branch(struct interp *c, uint64_t target) INTERP_MUST_CHECK;

/* Segments (exec_segment.c). */
enum interp_status exec_load_segment(struct interp *c, unsigned segment,
                                     uint16_t selector) INTERP_MUST_CHECK;

#endif
