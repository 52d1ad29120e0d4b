/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: one block while it is translated.
 *
 * Where the guest's status flags are is tracked from instruction to instruction: in the host's
 * flags, saved in rec_cpu.flags, or both. An access to memory that is checked destroys the host's;
 * they are saved before it if anybody still needs them.
 */
#ifndef VMM_ENGINES_RECOMPILER_TRANSLATE_H
#define VMM_ENGINES_RECOMPILER_TRANSLATE_H

#include "vmm/engines/recompiler/blocks.h"
#include "vmm/engines/recompiler/effects.h"

#define BLOCK_INSNS 48u
#define BLOCK_COLD  224u
#define PAGE_BYTES  4096u

enum insn_class {
    INSN_COPY, INSN_NOP, INSN_PUSH, INSN_POP, INSN_LEAVE,
    INSN_STRING, INSN_CLI, INSN_STI, INSN_PUSHF, INSN_POPF, INSN_STAC, INSN_CLAC, INSN_SWAPGS,
    INSN_DF, INSN_RDTSC, INSN_FENCE, INSN_READ_SEGMENT, INSN_READ_CR, INSN_BASE, INSN_BIT,
    INSN_XSAVE, INSN_XRSTOR, INSN_WRITE_MSR, INSN_MWAIT,
    INSN_JCC,
    /* These end a block. */
    INSN_JMP, INSN_CALL, INSN_RET, INSN_JMP_INDIRECT, INSN_CALL_INDIRECT, INSN_SYSCALL, INSN_SYSRET,
    INSN_IRET, INSN_WRITE_CR3, INSN_INVLPG, INSN_INTERPRET,
};

/*
 * Accesses that share a check (share.h). Distances are from the address without its displacement.
 * Kept of a group is host - linear address of the stack's page, else the host address that is
 * without a displacement.
 */
struct group {
    int32_t low, high;    // what it touches; with the stack pointer as it is where the block begins
    unsigned members;
    bool writes;          // some do
    bool checked;         // the first has been emitted
};

struct unit {
    struct insn insn;
    struct effects effects;
    enum insn_class class;
    uint16_t offset;      // in the page
    uint16_t live_before; // flags needed by somebody from here on
    uint16_t live_after;
    struct group *group;  // of its operand, or of its use of the stack; NULL: checked by itself
    bool chases;          // its operand's base has been loaded in this block, or is by itself
    int32_t delta;        // by what the stack pointer has moved since the block's beginning
};

/* OC_* of operand n. */
static inline unsigned unit_operand_class(const struct unit *u, unsigned n)
{
    return operand_kinds[opcode_rows[u->insn.op].operand[n]].class;
}

/* A memory operand of the guest's. */
struct ea {
    uint8_t base, index;  // guest registers, INSN_RIP or INSN_NO_REG
    uint8_t scale;
    bool    narrow;       // 32-bit address
    int32_t disp;         // RIP's included: from the page
    int32_t segment_base; // where it is, from host RSP; 0: none
    bool    kept;         // it has been computed already, into rec_cpu.address
};

/* Code behind the block. */
struct cold {
    enum { COLD_FILL, COLD_CHAIN, COLD_POLL, COLD_TAKEN, COLD_INTERPRET, COLD_PLAIN } what;
    uint8_t *jump;        // displacement of the jump that leads here
    uint64_t back;        // FILL: where it goes on
    struct ea ea;         // FILL
    uint32_t kind;        // FILL
    int32_t  offset;      // in the page: of the instruction; CHAIN, TAKEN: of the target
    bool     entry;       // CHAIN: to the target's entry, with the flags in memory
    bool     save;        // CHAIN: the flags have to be saved on the way out
};

enum flags_at {
    FLAGS_HOST = 1,
    FLAGS_SAVED = 2,
    FLAGS_BOTH = 3,
};

/* Instructions that have been looked at, by offset: several branches may look at one. */
#define SEEN 128u // a power of two
struct seen {
    uint32_t translation; // which one
    bool good;
    struct unit unit;
};

struct translation {
    struct emit *e;
    const struct blocks *blocks;
    struct block *block;
    const uint8_t *bytes;     // the page's
    const uint8_t *bytes2;    // of the next page, if this is for one instruction in both; or NULL
    unsigned mode;            // REC_MODE_*
    unsigned code_size;       // 4, 8
    unsigned count;
    struct unit unit[BLOCK_INSNS];
    enum flags_at flags;
    unsigned cold_count;
    struct cold cold[BLOCK_COLD];
    unsigned poll_at;         // offset of the instruction before which to look whether to leave; 0: none
    const struct group *held; // whose kept address R15 still is; unless e->r15_used
    unsigned group_count;
    struct group group[BLOCK_INSNS];
    uint32_t number;          // of this translation, for `seen`
    struct seen seen[SEEN];
    bool unsure;              // what is next reached by the stack's page may be no page at all
    unsigned trap_count;
    struct block_trap trap[2 * BLOCK_INSNS];
};

/* What the guest's code has for a word, in bytes; an operation on one. */
static inline unsigned word_size(const struct translation *t)
{
    return t->code_size;
}

static inline struct op word_op(const struct translation *t, unsigned byte)
{
    return (struct op){.byte = (uint8_t)byte, .w = t->code_size == 8};
}

/* translate.c */
enum block_flags translate_flags_wanted(struct translation *t, int32_t offset);
/*
 * Where a block that begins at `offset` and wants the host's flags looks whether to leave: a place
 * before its first branch where nobody wants flags any more; 0: where it begins, as others do.
 */
unsigned translate_poll_at(struct translation *t, int32_t offset);

/* class.c: with its effects known */
enum insn_class insn_class_of(const struct translation *t, const struct unit *u);

/* flags.c */
void flags_save(struct translation *t);           // host's to memory; both then
void flags_restore(struct translation *t);
void flags_save_raw(struct emit *e);
void flags_restore_raw(struct emit *e);
/* The host's flags will be destroyed: `needed` are those still wanted. */
void flags_give_up(struct translation *t, unsigned needed);
void flags_to_memory(struct translation *t);      // they can be read from memory
void flags_to_host(struct translation *t);

/* operand.c */
unsigned host_reg(unsigned guest);                // of RAX to R12
bool in_memory(unsigned guest);                   // R13 to R15
struct rm gpr_slot(unsigned guest);
struct ea operand_ea(const struct translation *t, const struct unit *u);
/*
 * Emits the check of an access: `size` bytes, kind of REC_ACCESS_WRITE. Returns the
 * operand to access, made of R15 and perhaps R14. Destroys the host's flags.
 */
struct rm operand_check(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                        uint32_t kind);
bool operand_is_checked(const struct unit *u);
bool operand_is_stack(struct ea ea);
/* The linear address into R14; destroys the host's flags, nothing else. */
void operand_address(struct translation *t, struct ea ea);
/*
 * The processor may refuse what is emitted next: an instruction that can be refused, or the access behind a check by the stack's page.
 * Where no such page is known, addresses that are not canonical pass it.
 */
void operand_note_trap(struct translation *t, const struct unit *u);
/* A register or memory operand of a word into R14. */
void operand_load_word(struct translation *t, const struct unit *u);
/* Makes a checked operand one that does not use R14. */
struct rm operand_free_r14(struct translation *t, struct rm rm);

/* form.c */
/* Can this form be copied? */
bool copy_can(const struct unit *u);

/* copy.c */
void copy_emit(struct translation *t, const struct unit *u);
/* BT and its like on a bit string in memory, the bit's number in a register. */
bool copy_can_bit(const struct translation *t, const struct unit *u);
void copy_bit(struct translation *t, const struct unit *u);

/* system.c: RFLAGS, privileged registers, and what a C function does */
void system_emit(struct translation *t, const struct unit *u);
/* `argument`: for the helper, in cpu->argument. */
void system_call(struct translation *t, const struct unit *u, rec_helper *helper, uint32_t argument);
/* The same, with the address of the operand in cpu->address. */
void system_call_at(struct translation *t, const struct unit *u, rec_helper *helper,
                    uint32_t argument);

/* helpers.c */
rec_helper rec_string; // cpu->argument is REC_STRING_*
rec_helper rec_rdtsc; // argument: RDTSCP
rec_helper rec_pause;
rec_helper rec_write_msr;
#define REC_STRING_SIZE 0x0fu
#define REC_STRING_MOVS 0x10u // else STOS
#define REC_STRING_REP  0x20u
#define REC_STRING_FS   0x40u
#define REC_STRING_GS   0x80u

/* levels.c */
rec_helper rec_syscall; // cpu->argument is where it returns to, from cpu->page
rec_helper rec_sysret;
rec_helper rec_iret;
rec_helper rec_write_cr3; // argument: the same, and the register above it
rec_helper rec_invlpg;

/* vectors.c: the operand at cpu->address */
rec_helper rec_xsave; // argument: 1 if what is in its initial state need not be written
rec_helper rec_xrstor;

/* stack.c */
void stack_push(struct translation *t, const struct unit *u);
void stack_pop(struct translation *t, const struct unit *u);
void stack_leave(struct translation *t, const struct unit *u);
/* The checked places where a push stores and a pop loads; the former does not use R14. */
struct rm stack_push_slot(struct translation *t, const struct unit *u);
struct rm stack_pop_slot(struct translation *t, const struct unit *u);
/* To the stack pointer; keeps the flags. */
void stack_add(struct translation *t, int32_t n);

/* flow.c */
void flow_jcc(struct translation *t, const struct unit *u);
void flow_end(struct translation *t, const struct unit *u);   // a class that ends a block
void flow_interpret(struct translation *t, unsigned offset);  // leave for the interpreter
void flow_table(struct translation *t, int32_t offset);        // to a place by the jump table
void flow_jump(struct translation *t, int32_t offset, int32_t from); // to a known place, from `from`
void flow_cold(struct translation *t);

#endif
