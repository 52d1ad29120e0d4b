/* SPDX-License-Identifier: MIT */
/*
 * The guest's status flags between the host's flags and memory. LAHF and SETO are far cheaper than
 * PUSHF and POPF.
 */
#include "vmm/engines/recompiler/translate.h"

#define SETO ((struct op){.map = 1, .byte = 0x90})
#define MOVZX_WORD ((struct op){.map = 1, .byte = 0xb7})

void flags_save_raw(struct emit *e)
{
    emit_mov(e, R14, RAX);
    emit_byte(e, 0x9f); // lahf
    emit_op(e, SETO, 0, rm_reg(RAX));
    emit_op(e, (struct op){.byte = 0x89, .opsize = true}, RAX, rm_mem(RSP, AT(flags)));
    emit_mov(e, RAX, R14);
}

void flags_restore_raw(struct emit *e)
{
    emit_mov(e, R14, RAX);
    emit_op(e, MOVZX_WORD, RAX, rm_mem(RSP, AT(flags)));
    emit_byte(e, 0x04); // add al, 127: overflows if AL is 1
    emit_byte(e, 0x7f);
    emit_byte(e, 0x9e); // sahf
    emit_mov(e, RAX, R14);
}

void flags_save(struct translation *t)
{
    flags_save_raw(t->e);
    t->flags = FLAGS_BOTH;
}

void flags_restore(struct translation *t)
{
    flags_restore_raw(t->e);
    t->flags = FLAGS_BOTH;
}

void flags_give_up(struct translation *t, unsigned needed)
{
    if (needed && !(t->flags & FLAGS_SAVED))
        flags_save(t);
    t->flags = FLAGS_SAVED;
}

void flags_to_memory(struct translation *t)
{
    if (!(t->flags & FLAGS_SAVED))
        flags_save(t);
}

void flags_to_host(struct translation *t)
{
    if (!(t->flags & FLAGS_HOST))
        flags_restore(t);
}
