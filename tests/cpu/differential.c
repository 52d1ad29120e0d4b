/* SPDX-License-Identifier: MIT */
/*
 * The interpreter against the processor of this machine: every form of the opcode table that can
 * run in 64-bit user mode and whose handler is listed below, in each operand size, with random
 * operands, registers, flags and addressing, is executed by both on the same memory, and all
 * registers, flags (but those that the manual leaves undefined for it), memory, the next address
 * and the exception are compared.
 */
#include "tests/cpu/native.h"
#include "tests/cpu/values.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/control.h"
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/interp.h"
#include "vmm/cpu/xstate.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATES     1000u // for each form and operand size
#define X87_STATES 100u  // for each form without the option "full"
#define X87_FORMS  72u   // of one row: register forms, and modrm.reg of memory forms
#define DATA_SIZE  4096u
#define CODE_SIZE  24u   // bytes given to the decoder
#define EXIT_NEAR  100u  // in the code page: where short branches go
#define EXIT_FAR   512u  // and others
#define THUNKS     1024u // ways between 64- and 32-bit code
#define ALL_FLAGS  RFLAGS_STATUS

/* What is special about a handler. */
enum kind {
    PLAIN, SHIFT, DOUBLE_SHIFT, BIT, STRING, BRANCH, CALL, RETURN, STACK, POPF,
    VECTOR, FLOAT, X87, XSTATE
};

struct rule {
    const char *handler;
    enum kind kind;
    uint64_t undefined; // flags
    unsigned skip16;    // the 16-bit form is undefined
};

#define UNDEF_SHIFT (RFLAGS_AF)
#define UNDEF_BIT   (RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF)
#define UNDEF_BMI   (RFLAGS_AF | RFLAGS_PF)

static const struct rule rules[] = {
    {"add", PLAIN, 0, 0},
    {"or", PLAIN, RFLAGS_AF, 0},
    {"adc", PLAIN, 0, 0},
    {"sbb", PLAIN, 0, 0},
    {"and", PLAIN, RFLAGS_AF, 0},
    {"sub", PLAIN, 0, 0},
    {"xor", PLAIN, RFLAGS_AF, 0},
    {"cmp", PLAIN, 0, 0},
    {"test", PLAIN, RFLAGS_AF, 0},
    {"inc", PLAIN, 0, 0},
    {"dec", PLAIN, 0, 0},
    {"neg", PLAIN, 0, 0},
    {"not", PLAIN, 0, 0},
    {"mov", PLAIN, 0, 0},
    {"movsx", PLAIN, 0, 0},
    {"movsxd", PLAIN, 0, 0},
    {"movbe", PLAIN, 0, 0},
    {"lea", PLAIN, 0, 0},
    {"nop", PLAIN, 0, 0},
    {"mfence", PLAIN, 0, 0},
    {"xchg", PLAIN, 0, 0},
    {"xadd", PLAIN, 0, 0},
    {"cmpxchg", PLAIN, 0, 0},
    {"cmpxchg8b", PLAIN, 0, 0},
    {"bswap", PLAIN, 0, 1},
    {"cbw", PLAIN, 0, 0},
    {"cwd", PLAIN, 0, 0},
    {"rol", SHIFT, 0, 0},
    {"ror", SHIFT, 0, 0},
    {"rcl", SHIFT, 0, 0},
    {"rcr", SHIFT, 0, 0},
    {"shl", SHIFT, UNDEF_SHIFT, 0},
    {"shr", SHIFT, UNDEF_SHIFT, 0},
    {"sar", SHIFT, UNDEF_SHIFT, 0},
    {"shld", DOUBLE_SHIFT, UNDEF_SHIFT, 0},
    {"shrd", DOUBLE_SHIFT, UNDEF_SHIFT, 0},
    {"bt", BIT, UNDEF_BIT, 0},
    {"bts", BIT, UNDEF_BIT, 0},
    {"btr", BIT, UNDEF_BIT, 0},
    {"btc", BIT, UNDEF_BIT, 0},
    {"bsf", PLAIN, UNDEF_BIT | RFLAGS_CF, 0},
    {"bsr", PLAIN, UNDEF_BIT | RFLAGS_CF, 0},
    {"tzcnt", PLAIN, UNDEF_BIT, 0},
    {"lzcnt", PLAIN, UNDEF_BIT, 0},
    {"popcnt", PLAIN, 0, 0},
    {"mul", PLAIN, RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF, 0},
    {"imul1", PLAIN, RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF, 0},
    {"imul2", PLAIN, RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF, 0},
    {"imul3", PLAIN, RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF, 0},
    {"div", PLAIN, ALL_FLAGS, 0},
    {"idiv", PLAIN, ALL_FLAGS, 0},
    {"setcc", PLAIN, 0, 0},
    {"cmovcc", PLAIN, 0, 0},
    {"lahf", PLAIN, 0, 0},
    {"sahf", PLAIN, 0, 0},
    {"clc", PLAIN, 0, 0},
    {"stc", PLAIN, 0, 0},
    {"cmc", PLAIN, 0, 0},
    {"cld", PLAIN, 0, 0},
    {"std", PLAIN, 0, 0},
    {"xlat", PLAIN, 0, 0},
    {"adcx", PLAIN, 0, 0},
    {"adox", PLAIN, 0, 0},
    {"crc32", PLAIN, 0, 0},
    {"andn", PLAIN, UNDEF_BMI, 0},
    {"blsr", PLAIN, UNDEF_BMI, 0},
    {"blsmsk", PLAIN, UNDEF_BMI, 0},
    {"blsi", PLAIN, UNDEF_BMI, 0},
    {"bzhi", PLAIN, UNDEF_BMI, 0},
    {"bextr", PLAIN, UNDEF_BMI | RFLAGS_SF, 0},
    {"pext", PLAIN, 0, 0},
    {"pdep", PLAIN, 0, 0},
    {"mulx", PLAIN, 0, 0},
    {"rorx", PLAIN, 0, 0},
    {"sarx", PLAIN, 0, 0},
    {"shlx", PLAIN, 0, 0},
    {"shrx", PLAIN, 0, 0},
    {"aaa", PLAIN, RFLAGS_OF | RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF, 0},
    {"aas", PLAIN, RFLAGS_OF | RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF, 0},
    {"aam", PLAIN, RFLAGS_OF | RFLAGS_AF | RFLAGS_CF, 0},
    {"aad", PLAIN, RFLAGS_OF | RFLAGS_AF | RFLAGS_CF, 0},
    {"daa", PLAIN, RFLAGS_OF, 0},
    {"das", PLAIN, RFLAGS_OF, 0},
    {"salc", PLAIN, 0, 0},
    {"bound", PLAIN, 0, 0},
    {"arpl", PLAIN, 0, 0},
    {"pusha", STACK, 0, 0},
    {"popa", STACK, 0, 0},
    {"movs", STRING, 0, 0},
    {"cmps", STRING, 0, 0},
    {"stos", STRING, 0, 0},
    {"lods", STRING, 0, 0},
    {"scas", STRING, 0, 0},
    {"jmp", BRANCH, 0, 0},
    {"jcc", BRANCH, 0, 0},
    {"jcxz", BRANCH, 0, 0},
    {"loop", BRANCH, 0, 0},
    {"call", BRANCH, 0, 0},
    {"jmp_near", CALL, 0, 0},
    {"call_near", CALL, 0, 0},
    {"ret", RETURN, 0, 0},
    {"push", STACK, 0, 0},
    {"pop", STACK, 0, 0},
    {"pushf", STACK, 0, 0},
    {"popf", POPF, 0, 0},
    {"leave", STACK, 0, 0},
    {"enter", STACK, 0, 0},
    {"vload", VECTOR, 0, 0},
    {"vload_aligned", VECTOR, 0, 0},
    {"vstore", VECTOR, 0, 0},
    {"vstore_aligned", VECTOR, 0, 0},
    {"movss_load", VECTOR, 0, 0},
    {"movsd_load", VECTOR, 0, 0},
    {"movss_store", VECTOR, 0, 0},
    {"movsd_store", VECTOR, 0, 0},
    {"movq_load", VECTOR, 0, 0},
    {"movq_store", VECTOR, 0, 0},
    {"movl_load", VECTOR, 0, 0},
    {"movh_load", VECTOR, 0, 0},
    {"movl_store", VECTOR, 0, 0},
    {"movh_store", VECTOR, 0, 0},
    {"movd_load", VECTOR, 0, 0},
    {"movd_store", VECTOR, 0, 0},
    {"movd_mmx_load", VECTOR, 0, 0},
    {"movd_mmx_store", VECTOR, 0, 0},
    {"movq_mmx_load", VECTOR, 0, 0},
    {"movq_mmx_store", VECTOR, 0, 0},
    {"stmxcsr", VECTOR, 0, 0},
    {"emms", VECTOR, 0, 0},
    {"maskmovq", VECTOR, 0, 0},
    {"maskmovdqu", VECTOR, 0, 0},
    {"sse", VECTOR, 0, 0},
    {"sse_shift", VECTOR, 0, 0},
    {"sse_shift_bytes", VECTOR, 0, 0},
    {"sse_extract", VECTOR, 0, 0},
    {"sse_string", VECTOR, 0, 0},
    {"sse_ptest", VECTOR, 0, 0},
    {"sse_float", FLOAT, 0, 0},
    {"sse_comis", FLOAT, 0, 0},
    {"avx", VECTOR, 0, 0},
    {"avx_test", VECTOR, 0, 0},
    {"avx_shift", VECTOR, 0, 0},
    {"avx_shift_bytes", VECTOR, 0, 0},
    {"avx_extract", VECTOR, 0, 0},
    {"avx_string", VECTOR, 0, 0},
    {"avx_zero", VECTOR, 0, 0},
    {"avx_broadcast", VECTOR, 0, 0},
    {"avx_maskload", VECTOR, 0, 0},
    {"avx_maskstore", VECTOR, 0, 0},
    {"avx_gather", VECTOR, 0, 0},
    {"avx_float", FLOAT, 0, 0},
    {"avx_comis", FLOAT, 0, 0},
    {"x87", X87, 0, 0},
    {"fwait", X87, 0, 0},
    {"fxsave", XSTATE, 0, 0},
    {"fxrstor", XSTATE, 0, 0},
    {"xsave", XSTATE, 0, 0},
    {"xsaveopt", XSTATE, 0, 0},
    {"xsavec", XSTATE, 0, 0},
    {"xrstor", XSTATE, 0, 0},
};

static const char *const handler_names[ROW_COUNT] = {
#define OP(map, byte, select, name, handler, ...) #handler,
#define OR(map, byte, select, name, handler, ...) #handler,
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
};

/* Guest memory is the host's own, at the host's addresses, below 2 GiB. */
struct arena {
    uint8_t *base;   // code page, data page, stack page; a page is left out after each
    uint8_t *code, *data, *stack;
    uint8_t fill[2][DATA_SIZE], before[2][DATA_SIZE], after[2][DATA_SIZE]; 
};

struct test {
    struct arena arena;
    struct cpu_state *state;
    struct interp interp;
    uint64_t random;
    unsigned wrong, shown;
    unsigned mode; // code size: 4 or 8
    bool intel;    // the processor
    uint8_t *area; // of XSAVE and the like
    bool full;     // as many states for vector and x87 forms as for others
};

static uint8_t *test_ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    const struct arena *a = &((struct test *)arg)->arena;
    const uint8_t *pages[3] = {a->code, a->data, a->stack};

    (void)write;
    for (unsigned i = 0; i < 3; i++)
        if (gpa - (uint64_t)(uintptr_t)pages[i] < DATA_SIZE &&
            gpa + size - (uint64_t)(uintptr_t)pages[i] <= DATA_SIZE)
            return (uint8_t *)(uintptr_t)gpa;
    return NULL;
}

static uint64_t test_mmio_read(void *arg, uint64_t gpa, unsigned size)
{
    const struct test *t = arg;

    tap_note("%s: access of %u outside of the arena at %lx", opcode_name(t->interp.insn.op), size,
             gpa);
    exit(1);
}

static void test_mmio_write(void *arg, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)value;
    test_mmio_read(arg, gpa, size);
}

static void test_need(void *arg, uint32_t groups)
{
    (void)arg;
    (void)groups;
}

static const struct interp_ops test_ops = {
    .ram = test_ram, .mmio_read = test_mmio_read, .mmio_write = test_mmio_write, .need = test_need,
};

/* A VEX prefix of two bytes or three, with what the row wants in W, L and vvvv. */
static unsigned encode_vex(const struct test *t, const struct opcode_row *r, bool wide, uint64_t x,
                           uint8_t *bytes, unsigned n)
{
    uint32_t wanted = r->select >> 16 & r->select, counts = r->select >> 16;
    unsigned rxb = (unsigned)(x >> 8) & 7, prefix = counts & 0x180 ? r->select >> KEY_PREFIX_SHIFT & 3 : 0;
    unsigned last = (x >> 24 & 0x7c) | prefix;

    if (t->mode == 4) // R and X distinguish VEX from LES there
        rxb &= 1;
    if (!(r->properties & P_VVVV))
        last |= 0x78;
    if (counts & KEY_L)
        last = (last & ~4u) | (wanted & KEY_L ? 4 : 0);
    wide = counts & KEY_W ? wanted & KEY_W : wide;
    if (r->map == MAP_V1 && !wide && (x >> 48 & 1)) {
        bytes[n++] = 0xc5;
        bytes[n++] = (uint8_t)(last | (t->mode == 4 ? 0xc0 : (rxb & 4) << 5));
        return n;
    }
    bytes[n++] = 0xc4;
    bytes[n++] = (uint8_t)((~rxb & 7) << 5 | (r->map - MAP_V1 + 1));
    bytes[n++] = (uint8_t)((wide ? 0x80 : 0) | last);
    return n;
}

/*
 * Bytes of an instruction of this row and operand-size variant (0 none, 1 66, 2 REX.W), checked
 * with decode().
 */
static bool encode(struct test *t, unsigned row, unsigned variant, uint8_t *bytes,
                   struct insn *insn)
{
    static const uint8_t mandatory[4] = {0, 0x66, 0xf3, 0xf2};
    const struct opcode_row *r = &opcode_rows[row];
    unsigned prefix =
        r->select >> (16 + KEY_PREFIX_SHIFT) & 3 ? r->select >> KEY_PREFIX_SHIFT & 3 : 0;
    uint64_t x = random_u64(&t->random);
    unsigned n = 0, rex = (unsigned)(x >> 8) & 7;
    uint8_t modrm = (uint8_t)(x >> 16);

    for (unsigned i = 0; i < CODE_SIZE; i++)
        bytes[i] = (uint8_t)random_u64(&t->random);
    if ((r->properties & P_LOCK) && (x & 3) == 0)
        bytes[n++] = 0xf0;
    if ((x >> 2 & 7) == 0)
        bytes[n++] = 0x67;
    if (r->map < MAP_V1) {
        if (variant == 1 && prefix != 1)
            bytes[n++] = 0x66;
        if (prefix)
            bytes[n++] = mandatory[prefix];
        if (variant == 2)
            rex |= 8;
        if (t->mode == 8 && (variant == 2 || (x >> 5 & 1)))
            bytes[n++] = (uint8_t)(0x40 | rex);
        if (r->map != MAP_1)
            bytes[n++] = 0x0f;
        if (r->map == MAP_38 || r->map == MAP_3A)
            bytes[n++] = r->map == MAP_38 ? 0x38 : 0x3a;
    } else {
        n = encode_vex(t, r, variant == 2, x, bytes, n);
    }
    bytes[n++] = r->byte;
    if (r->select & SELECT(0x7, 0))
        modrm = (uint8_t)((modrm & ~0x38) | (r->select & 7) << 3);
    if (r->select & SELECT(0x38, 0))
        modrm = (uint8_t)((modrm & ~7) | (r->select >> 3 & 7));
    if (r->properties & P_VSIB)
        modrm = (uint8_t)((modrm & 0x38) | 0x84);
    bytes[n] = modrm;
    return decode(bytes, CODE_SIZE, t->mode, insn) == DECODE_OK && insn->op == row;
}

/*
 * Gives the base register the value that puts the operand at `where`; false for what cannot be
 * placed (RIP-relative, no base).
 */
static bool place(struct test *t, const struct insn *insn, uint64_t where)
{
    uint64_t index = 0, *gpr = native_state.gpr;

    if (insn->base == INSN_NO_REG || insn->base == INSN_RIP || insn->base == insn->index ||
        insn->addrsize == 2)
        return false;
    if (insn->index != INSN_NO_REG && !(opcode_rows[insn->op].properties & P_VSIB)) {
        gpr[insn->index] = random_below(&t->random, 200);
        index = gpr[insn->index] << insn->scale;
    }
    gpr[insn->base] = where - index - (uint64_t)(int64_t)insn->disp;
    if (insn->addrsize == 4)
        gpr[insn->base] = (uint32_t)gpr[insn->base] | random_u64(&t->random) << 32;
    return true;
}

/*
 * An area for XSAVE and the like, whose header is valid now and then; EDX:EAX asks for what the
 * guest has. Returns where, at times not aligned.
 */
static uint64_t put_area(struct test *t, const struct insn *insn)
{
    uint64_t x = random_u64(&t->random), *gpr = native_state.gpr, bv = x & 7, format = 0;
    uint8_t *area = t->arena.data + 1024 + 64 * random_below(&t->random, 16);

    t->area = area;
    if ((x >> 8 & 3) == 0)
        format = (x >> 16 & 7) | (x >> 20 & 7 ? 1ull << 63 : 0);
    if ((x >> 10 & 7) == 0)
        bv |= x >> 24 & 0x100;
    if (x >> 32 & 7) {
        memset(area + 512, 0, 64);
        memcpy(area + 512, &bv, 8);
        memcpy(area + 520, &format, 8);
    }
    if (x >> 36 & 7)
        values_put16(area + 26, 0);
    memset(area + 6, 0, 18); // not pointers that the native side loads in another form
    gpr[CPU_RAX] = x >> 40 & 7;
    gpr[CPU_RDX] = 0;
    if (insn->base == CPU_RAX || insn->base == CPU_RDX || insn->index == CPU_RAX ||
        insn->index == CPU_RDX)
        return 0;
    return (uint64_t)(uintptr_t)area + (x >> 44 & 15 ? 0 : 8);
}

/* Registers, flags and memory for the form; false if this encoding cannot be tried. */
static bool prepare(struct test *t, const struct rule *rule, const struct insn *insn)
{
    struct arena *a = &t->arena;
    uint64_t *gpr = native_state.gpr, stack = (uint64_t)(uintptr_t)a->stack + 2048,
             data = (uint64_t)(uintptr_t)a->data;
    bool vector = rule->kind == VECTOR || rule->kind == FLOAT;
    bool aligned = rule->skip16 || random_below(&t->random, vector ? 16 : 4) != 0;
    uint64_t where = data + 1024 + random_below(&t->random, 2048);

    if (aligned)
        where &= ~31ull;
    for (unsigned i = 0; i < 16; i++)
        gpr[i] = values_pick(&t->random);
    gpr[CPU_RSP] = stack & ~7ull;
    native_state.rflags = 0x202 | (random_u64(&t->random) & (RFLAGS_STATUS | RFLAGS_DF));
    memcpy(a->data, a->fill[0], DATA_SIZE);
    memcpy(a->stack, a->fill[1], DATA_SIZE);
    for (unsigned i = 0; i < 8; i++) { // around the operand and the top of the stack
        uint64_t x = values_pick(&t->random);

        memcpy((uint8_t *)(uintptr_t)(where & ~7ull) + 8 * i - 16, &x, 8);
        x = values_pick(&t->random);
        memcpy(a->stack + 2048 + 8 * i - 16, &x, 8);
    }
    if (rule->kind == XSTATE)
        where = put_area(t, insn);
    else if (rule->kind >= FLOAT)
        values_put_numbers(&t->random, (uint8_t *)(uintptr_t)where);
    if (insn->addrsize == 2 && rule->kind != BRANCH)
        return false; // the arena is not in the first 64 KiB
    if (rule->kind == STRING) {
        gpr[CPU_RSI] = data + 2048 + random_below(&t->random, 64);
        gpr[CPU_RDI] = data + 2048 + random_below(&t->random, 64);
        gpr[CPU_RCX] = random_below(&t->random, 12);
        if (random_below(&t->random, 2)) // long runs of equal elements
            memset(a->data, 0, DATA_SIZE);
        if (insn->addrsize == 4)
            gpr[CPU_RCX] |= random_u64(&t->random) << 32;
        return true;
    }
    if (!strncmp(rule->handler, "maskmov", 7))
        gpr[CPU_RDI] = where;
    if (rule->handler[0] == 'x' && rule->handler[1] == 'l') // XLAT
        gpr[CPU_RBX] = data + 1024;
    if (insn->prefixes & INSN_ADDRESS && !insn->memory && rule->kind != BRANCH &&
        opcode_rows[insn->op].imm != IMM_MOFFS)
        return false;
    if (rule->kind == BRANCH && random_below(&t->random, 3) == 0)
        gpr[CPU_RCX] = random_below(&t->random, 3);
    if (!strcmp(rule->handler, "leave") || !strcmp(rule->handler, "enter"))
        gpr[CPU_RBP] = stack + random_below(&t->random, 256);
    if (rule->kind == POPF || rule->kind == RETURN || rule->kind == CALL) {
        uint64_t image = rule->kind == POPF ? random_u64(&t->random) & 0x204ed5
                                            : (uint64_t)(uintptr_t)a->code + EXIT_FAR;

        memcpy(a->stack + 2048, &image, 8);
        if (rule->kind == CALL)
            gpr[insn->rm] = image;
    }
    if (!insn->memory)
        return rule->kind != CALL || insn->rm != CPU_RSP;
    if (insn->reg == CPU_RSP && rule->kind != PLAIN && rule->kind != BIT && rule->kind < VECTOR)
        return false;
    if (where == 0 || !place(t, insn, where))
        return false;
    if (rule->kind == CALL) {
        uint64_t image = (uint64_t)(uintptr_t)a->code + EXIT_FAR;

        memcpy((uint8_t *)(uintptr_t)where, &image, 8);
    }
    if (rule->kind == BIT && insn->opcode != 0xba) {
        if (insn->reg == insn->base || insn->reg == insn->index)
            return false;
        gpr[insn->reg] =
            (gpr[insn->reg] & ~0xffffull) | ((random_below(&t->random, 4096) - 2048) & 0xffff);
        gpr[insn->reg] = (uint64_t)(int16_t)gpr[insn->reg];
    }
    /* cmpxchg should succeed now and then */
    if (!strncmp(rule->handler, "cmpxchg", 7) && random_below(&t->random, 2) &&
        insn->base != CPU_RAX && insn->index != CPU_RAX && insn->base != CPU_RDX &&
        insn->index != CPU_RDX) {
        memcpy(&gpr[CPU_RAX], (uint8_t *)(uintptr_t)where, 8);
        if (insn->rex & 8)
            memcpy(&gpr[CPU_RDX], (uint8_t *)(uintptr_t)where + 8, 8);
        else if (rule->handler[7])
            memcpy(&gpr[CPU_RDX], (uint8_t *)(uintptr_t)where + 4, 4);
    }
    return !(insn->base == CPU_RSP &&
             (rule->kind == STACK || rule->kind == CALL || rule->kind == RETURN));
}

/* Flags that this execution leaves undefined; depends on counts. */
static uint64_t undefined_flags(const struct rule *rule, const struct insn *insn, uint64_t rcx,
                                unsigned size, bool *skip)
{
    uint64_t count, undefined = rule->undefined;

    if (rule->kind != SHIFT && rule->kind != DOUBLE_SHIFT)
        return undefined;
    if (insn->opcode == 0xd0 || insn->opcode == 0xd1)
        count = 1;
    else if (insn->opcode < 0xc2 && insn->map == MAP_1)
        count = insn->imm;
    else if (insn->opcode == 0xa4 || insn->opcode == 0xac)
        count = insn->imm;
    else
        count = rcx;
    count &= size == 8 ? 63 : 31;
    if (count == 0)
        return 0;
    if (count != 1)
        undefined |= RFLAGS_OF;
    if (count > 8 * size && (rule->kind == DOUBLE_SHIFT))
        *skip = true;
    if (count >= 8 * size && rule->undefined)
        undefined |= RFLAGS_CF;
    return undefined;
}

/* Of a gather: near the base, below it too. */
static void put_indexes(struct test *t, const struct insn *insn)
{
    unsigned size = insn->opcode & 1 ? 8 : 4;

    for (unsigned i = 0; i < 32; i += size) {
        uint8_t *to = native_state.xsave + (i < 16 ? XSAVE_XMM : XSAVE_YMMH - 16) +
                      16 * insn->index + i;
        int64_t index = (int64_t)random_below(&t->random, 200) - 100;

        memcpy(to, &index, size);
    }
}

/*
 * The same registers for both. Dot products have steps of which the interpreter does not see the
 * exceptions one by one.
 */
static void fill_vectors(struct test *t, enum kind kind, const struct insn *insn)
{
    static const enum values_kind kinds[] = {
        [VECTOR] = VALUES_INTEGER, [FLOAT] = VALUES_FLOAT, [X87] = VALUES_X87,
        [XSTATE] = VALUES_XSTATE,
    };
    bool masked = (insn->map == MAP_3A || insn->map == MAP_V3) && (insn->opcode & 0xfe) == 0x40;

    values_fill_image(&t->random, kinds[kind], masked, native_state.xsave);
    if (opcode_rows[insn->op].properties & P_VSIB)
        put_indexes(t, insn);
    memcpy(t->state->xsave, native_state.xsave, 1024);
}

/*
 * After an exception only MXCSR may have changed (what XRSTOR has done by then is left open).
 * Whether an unmasked overflow or underflow is inexact too is left out.
 */
static bool same_after_fault(const struct test *t, const struct rule *rule)
{
    uint8_t ours = t->state->xsave[24], theirs = native_state.xsave[24];

    return !((ours ^ theirs) & (theirs & 0x18 ? 0x5f : 0x7f)) &&
           !memcmp(t->state->xsave, native_state.xsave, 5) &&
           !memcmp(t->state->xsave + 32, native_state.xsave + 32, 384) &&
           (rule->kind == X87 || !memcmp(t->state->xsave + 576, native_state.xsave + 576, 256));
}

static bool same_vectors(const struct test *t)
{
    const uint8_t *ours = t->state->xsave, *theirs = native_state.xsave;

    /*
     * Control, tag and MXCSR words, then the registers; instruction and data pointers are the
     * host's own.
     */
    return !memcmp(ours, theirs, 5) && !memcmp(ours + 24, theirs + 24, 4) &&
           !memcmp(ours + 32, theirs + 32, 384) && !memcmp(ours + 576, theirs + 576, 256);
}

static void set_state(struct test *t)
{
    struct cpu_state *s = t->state;

    memset(s, 0, sizeof *s);
    memcpy(s->gpr, native_state.gpr, sizeof s->gpr);
    s->rsp = native_state.gpr[CPU_RSP];
    s->rflags = native_state.rflags;
    s->rip = (uint64_t)(uintptr_t)t->arena.code;
    s->valid = CPU_ALL;
    s->ss.attr = CPU_SEG_G | CPU_SEG_DB | CPU_SEG_P | CPU_SEG_S | 0x3 | CPU_SEG_DPL;
    s->ss.limit = 0xffffffff;
    s->ds = s->es = s->cs = s->ss;
    s->cs.attr = (uint16_t)(CPU_SEG_P | CPU_SEG_S | 0xb | CPU_SEG_DPL |
                            (t->mode == 8 ? CPU_SEG_L : CPU_SEG_DB | CPU_SEG_G));
    s->cr0 = CR0_PE | CR0_MP | CR0_NE;
    s->cr4 = CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
    s->xcr0 = 7;
    s->efer = EFER_LMA;
}

static void explain_vectors(const struct test *t)
{
    const uint8_t *ours = t->state->xsave, *theirs = native_state.xsave;

    tap_note("    control, status, tags, mxcsr: %02x%02x %02x%02x %02x %02x%02x here, "
             "%02x%02x %02x%02x %02x %02x%02x there", ours[1], ours[0], ours[3], ours[2], ours[4],
             ours[25], ours[24], theirs[1], theirs[0], theirs[3], theirs[2], theirs[4], theirs[25],
             theirs[24]);
    for (unsigned i = 32; i < 832; i += i == 400 ? 176 : 16) {
        uint64_t a[2], b[2];

        memcpy(a, ours + i, 16);
        memcpy(b, theirs + i, 16);
        if (memcmp(a, b, 16))
            tap_note("    image at %u: %016lx%016lx here, %016lx%016lx there", i, a[1], a[0], b[1],
                     b[0]);
    }
}

static void explain(struct test *t, unsigned row, const uint8_t *bytes, const struct insn *insn,
                    const char *what, const uint64_t *before, uint64_t flags_before)
{
    char text[64];
    const struct cpu_state *s = t->state;

    if (t->wrong++, t->shown >= 3)
        return;
    t->shown++;
    for (unsigned i = 0; i < insn->length; i++)
        snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
    tap_note("%s %s: %s", opcode_name(row), text, what);
    for (unsigned i = 0; i < 16; i++) {
        uint64_t ours = i == CPU_RSP ? s->rsp : s->gpr[i];

        if (ours != native_state.gpr[i])
            tap_note("    register %u: %lx before, %lx here, %lx there", i, before[i], ours,
                     native_state.gpr[i]);
    }
    if (native_state.vectors)
        explain_vectors(t);
    if ((s->rflags ^ native_state.rflags) & ALL_FLAGS)
        tap_note("    flags: %lx before, %lx here, %lx there; rax %lx rcx %lx", flags_before,
                 s->rflags, native_state.rflags, before[0], before[1]);
}

/* Changes to the encoding that its kind needs; false if it cannot be tried. */
static bool adjust(struct test *t, unsigned row, const struct rule *rule, uint8_t *bytes,
                   struct insn *insn)
{
    unsigned width = opcode_rows[row].imm == IMM_S8 ? 1 : 4;

    if ((rule->kind == BRANCH || rule->kind == CALL || rule->kind == RETURN) &&
        (insn->prefixes & INSN_OPSIZE))
        return false; // differs between makers
    if (rule->kind == BRANCH) { // to the second exit
        uint64_t relative = (width == 1 ? EXIT_NEAR : EXIT_FAR) - (uint64_t)insn->length;

        memcpy(bytes + insn->length - width, &relative, width);
    }
    if (rule->kind == RETURN && opcode_rows[row].imm == IMM_U16)
        bytes[insn->length - 1] = 0;
    if (opcode_rows[row].imm == IMM_MOFFS) {
        uint64_t where = (uint64_t)(uintptr_t)t->arena.data + random_below(&t->random, 4080);

        memcpy(bytes + insn->length - insn->addrsize, &where, insn->addrsize);
    }
    if (!strcmp(rule->handler, "enter")) {
        bytes[insn->length - 2] = 0;
        bytes[insn->length - 1] &= 0x27;
    }
    if (rule->kind == STRING && random_below(&t->random, 3)) { // REP or REPNE in front
        memmove(bytes + 1, bytes, CODE_SIZE - 1);
        bytes[0] = random_below(&t->random, 2) ? 0xf3 : 0xf2;
    }
    return decode(bytes, CODE_SIZE, t->mode, insn) == DECODE_OK;
}

static void put_code(struct test *t, const uint8_t *bytes, unsigned length)
{
    uint8_t *code = t->arena.code;

    memcpy(code, bytes, length);
    native_state.target = (uint64_t)(uintptr_t)code;
    if (t->mode == 8) {
        native_put_exit(code + length, 0);
        native_put_exit(code + EXIT_NEAR, 1);
        native_put_exit(code + EXIT_FAR, 1);
        return;
    }
    native_put_exit(code + THUNKS, 0);
    native_put_exit(code + THUNKS + 32, 1);
    native_put_entry32(code + THUNKS + 64, code);
    native_put_exit32(code + length, code + THUNKS);
    native_put_exit32(code + EXIT_NEAR, code + THUNKS + 32);
    native_put_exit32(code + EXIT_FAR, code + THUNKS + 32);
    native_state.target += THUNKS + 64;
}

/* What is in its initial state is in the image too. */
static void put_initial_state(struct test *t)
{
    uint8_t *image = t->state->xsave;

    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (!(image[XSAVE_BV] & bit))
            xstate_initialize(image, bit);
}

/* Both engines, from the same state; the arena ends as the interpreter leaves it. */
static enum interp_status execute(struct test *t, unsigned *fault)
{
    struct arena *a = &t->arena;
    enum interp_status status;

    memcpy(a->before[0], a->data, DATA_SIZE);
    memcpy(a->before[1], a->stack, DATA_SIZE);
    *fault = native_run();
    memcpy(a->after[0], a->data, DATA_SIZE);
    memcpy(a->after[1], a->stack, DATA_SIZE);
    memcpy(a->data, a->before[0], DATA_SIZE);
    memcpy(a->stack, a->before[1], DATA_SIZE);
    status = interp_step(&t->interp);
    if (native_state.vectors)
        put_initial_state(t);
    return status;
}

/* What is not the same, or NULL. */
static const char *difference(struct test *t, unsigned row, const struct rule *rule,
                              const struct insn *insn, uint64_t mask)
{
    struct arena *a = &t->arena;
    uint64_t rip = (uint64_t)(uintptr_t)a->code + insn->length;
    bool near = rule->kind == BRANCH && opcode_rows[row].imm == IMM_S8;

    if (native_state.exit)
        rip = (uint64_t)(uintptr_t)a->code + (near ? EXIT_NEAR : EXIT_FAR);
    t->state->gpr[CPU_RSP] = t->state->rsp;
    if (t->state->rip != rip)
        return "not the same next instruction";
    if (memcmp(t->state->gpr, native_state.gpr, sizeof t->state->gpr / 16 * (t->mode * 2)))
        return "not the same registers";
    if ((t->state->rflags ^ native_state.rflags) & mask)
        return "not the same flags";
    if (rule->kind == XSTATE) { // MXCSR_MASK differs between processors
        memset(t->area + 28, 0, 4);
        memset(a->after[0] + (t->area - a->data) + 28, 0, 4);
    }
    if (memcmp(a->data, a->after[0], DATA_SIZE) || memcmp(a->stack, a->after[1], DATA_SIZE))
        return "not the same memory";
    if (native_state.vectors && !same_vectors(t))
        return "not the same vector registers";
    return NULL;
}

/*
 * 32-bit code has no upper halves. In 64-bit code the manuals leave open, and the interpreter does
 * as Intel's processors, what becomes of them in a register that CMPXCHG leaves alone and in RCX
 * after no iteration: other processors start with zeros there.
 */
static void clear_upper_halves(const struct test *t, const struct rule *rule,
                               const struct insn *insn)
{
    bool open = !strcmp(rule->handler, "cmpxchg") || (rule->kind == STRING && insn->addrsize == 4);

    for (unsigned i = 0; i < 16; i++)
        if (t->mode == 4 || (open && !t->intel && !(insn->memory && i == insn->base)))
            native_state.gpr[i] = (uint32_t)native_state.gpr[i];
}

/* Runs both; what is not the same, or NULL. */
static const char *compare(struct test *t, unsigned row, const struct rule *rule,
                           const struct insn *insn, uint64_t mask)
{
    unsigned fault;
    enum interp_status status = execute(t, &fault);

    if (fault == NATIVE_NO_FAULT && status == INTERP_DONE)
        return difference(t, row, rule, insn, mask);
    if (status != INTERP_FAULT || t->interp.fault.vector != fault)
        return "not the same exception";
    if (native_state.vectors && rule->kind != XSTATE && !same_after_fault(t, rule))
        return "not the same vector state after an exception";
    return NULL;
}

/*
 * A processor may count a component as in use that is in its initial state, and does so at times
 * when it has switched tasks (SDM volume 1, 13.6): what XSAVE writes is tried again then.
 */
static const char *compare_state(struct test *t, unsigned row, const struct rule *rule,
                                 const struct insn *insn, uint64_t mask)
{
    static struct native_state native;
    static struct cpu_state guest;
    const char *what = "";

    native = native_state;
    guest = *t->state;
    for (unsigned i = 0; what && i < 4; i++) {
        if (i > 0) {
            native_state = native;
            *t->state = guest;
            memcpy(t->arena.data, t->arena.before[0], DATA_SIZE);
            memcpy(t->arena.stack, t->arena.before[1], DATA_SIZE);
        }
        what = compare(t, row, rule, insn, mask);
    }
    return what;
}

/* One state; false if the encoding could not be tried. */
static bool try_one(struct test *t, unsigned row, const struct rule *rule, unsigned variant)
{
    uint8_t bytes[CODE_SIZE];
    struct insn insn;
    uint64_t before[16], flags, mask = ALL_FLAGS | RFLAGS_DF;
    unsigned size;
    const char *what;
    bool skip = false;

    if (!encode(t, row, variant, bytes, &insn) || (rule->skip16 && insn.opsize == 2) ||
        !adjust(t, row, rule, bytes, &insn) || !prepare(t, rule, &insn))
        return false;
    clear_upper_halves(t, rule, &insn);
    put_code(t, bytes, insn.length);
    memcpy(before, native_state.gpr, sizeof before);
    flags = native_state.rflags;
    set_state(t);
    native_state.vectors = rule->kind >= VECTOR ? 7 : 0;
    if (native_state.vectors)
        fill_vectors(t, rule->kind, &insn);
    size = operand_kinds[opcode_rows[row].operand[0]].size == 1 ? 1 : insn.opsize;
    mask &= ~undefined_flags(rule, &insn, before[CPU_RCX], size, &skip);
    if (rule->kind == POPF)
        mask |= RFLAGS_ID | RFLAGS_AC | RFLAGS_NT | RFLAGS_TF;
    if (skip)
        return true;
    what = (rule->kind == XSTATE ? compare_state : compare)(t, row, rule, &insn, mask);
    if (what)
        explain(t, row, bytes, &insn, what, before, flags);
    return true;
}

static const struct rule *rule_of(const char *handler)
{
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!strcmp(rules[i].handler, handler))
            return &rules[i];
    return NULL;
}

/* Features that a processor may lack: a counted skip. */
static bool have(const char *handler, unsigned map, unsigned opcode)
{
    struct insn insn = {.map = (uint8_t)map, .opcode = (uint8_t)opcode};
    unsigned a, b, c, d, b7 = 0, c1 = 0, c81 = 0;

    __get_cpuid(1, &a, &b, &c1, &d);
    __get_cpuid_count(7, 0, &a, &b7, &c, &d);
    __get_cpuid(0x80000001, &a, &b, &c81, &d);
    if (!strcmp(handler, "adcx") || !strcmp(handler, "adox"))
        return b7 & bit_ADX;
    if (!strcmp(handler, "tzcnt"))
        return b7 & bit_BMI;
    if (!strcmp(handler, "lzcnt"))
        return c81 & bit_ABM;
    if (!strcmp(handler, "movbe"))
        return c1 & bit_MOVBE;
    if (!strncmp(handler, "avx", 3)) // the shorter and simpler form of it
        return !(host_feature_needed(&insn) & ~host_features());
    if (!strncmp(handler, "sse", 3))
        return !(host_feature_needed(&insn) & ~host_features());
    return map < MAP_V1 || ((b7 & bit_BMI2) && (c1 & bit_AVX));
}

static void set_up(struct test *t)
{
    struct arena *a = &t->arena;
    unsigned eax, ebx = 0, ecx, edx;

    __get_cpuid(0, &eax, &ebx, &ecx, &edx);
    t->intel = ebx == signature_INTEL_ebx;

    a->base = mmap(NULL, 6 * DATA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    a->code = a->base;
    a->data = a->base + 2 * DATA_SIZE;
    a->stack = a->base + 4 * DATA_SIZE;
    if (a->base == MAP_FAILED || mprotect(a->code, DATA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
        mprotect(a->data, DATA_SIZE, PROT_READ | PROT_WRITE) ||
        mprotect(a->stack, DATA_SIZE, PROT_READ | PROT_WRITE)) {
        tap_note("no memory for the arena");
        exit(1);
    }
    t->state = aligned_alloc(4096, sizeof *t->state);
    t->random = 20261122;
    interp_init(&t->interp, t->state, &test_ops, t, 46);
    for (unsigned i = 0; i < DATA_SIZE; i++) {
        a->fill[0][i] = (uint8_t)random_u64(&t->random);
        a->fill[1][i] = (uint8_t)random_u64(&t->random);
    }
    native_init();
}

struct counts {
    unsigned long states;
    unsigned forms, lacking, other_mode, elsewhere, none, unreached;
};

static void test_row(struct test *t, unsigned row, const struct rule *rule, struct counts *c)
{
    const struct opcode_row *r = &opcode_rows[row];
    unsigned done = 0, tries = 0, wrong = t->wrong;
    unsigned states = (rule->kind >= VECTOR && !t->full ? 1 : 3) * STATES;

    if (rule->kind == X87)
        states = X87_FORMS * (t->full ? STATES : X87_STATES);
    t->shown = 0;
    for (; done < states && tries < 20 * states + 60 * STATES; tries++)
        done += try_one(t, row, rule, tries % 3);
    c->states += done;
    c->forms++;
    if (done < STATES) {
        c->unreached++;
        tap_note("only %u states for %s (map %u, %x)", done, opcode_name(row), r->map, r->byte);
    }
    if (t->wrong != wrong)
        tap_note("%s (map %u, %02x): %u of %u states wrong", opcode_name(row), r->map, r->byte,
                 t->wrong - wrong, done);
}

static void test_mode(struct test *t, unsigned mode)
{
    uint32_t excluded = SELECT(KEY_64, mode == 8 ? 0 : KEY_64);
    struct counts c = {0};

    t->mode = mode;
    t->wrong = 0;
    for (unsigned row = 4; row < ROW_COUNT; row++) {
        const struct rule *rule = rule_of(handler_names[row]);

        if (!strcmp(handler_names[row], "none"))
            c.none++;
        else if (!rule)
            c.elsewhere++;
        else if ((opcode_rows[row].select & SELECT(KEY_64, KEY_64)) == excluded ||
                 (mode == 4 && opcode_rows[row].map < MAP_V1 &&
                  (opcode_rows[row].select & SELECT(KEY_W, KEY_W)) == SW1))
            c.other_mode++;
        else if (!have(handler_names[row], opcode_rows[row].map, opcode_rows[row].byte))
            c.lacking++;
        else
            test_row(t, row, rule, &c);
    }
    tap_note("%u-bit code: %u forms compared, %u lacking in this processor, %u not in this mode, "
             "%u tested elsewhere, %u decoded but not executed",
             8 * mode, c.forms, c.lacking, c.other_mode, c.elsewhere, c.none);
    ok(t->wrong == 0, "%u-bit code: %lu states of %u forms: the same as on this processor",
       8 * mode, c.states, c.forms);
    ok(c.unreached == 0, "%u-bit code: at least %u states for every form", 8 * mode, STATES);
}

int main(int argc, char **argv)
{
    static struct test t;

    t.full = argc > 1 && !strcmp(argv[1], "full");
    set_up(&t);
    test_mode(&t, 8);
    test_mode(&t, 4);
    free(t.state);
    return tap_done();
}
