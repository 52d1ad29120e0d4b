/* SPDX-License-Identifier: MIT */
/* Disassembler. */
#include "vmm/cpu/disasm.h"

#include "lib/format.h"

/* Text that grows in a buffer. */
struct output {
    struct format_sink sink;
    char *text;
    size_t at, size;
};

static void put(struct format_sink *sink, const char *text, size_t size)
{
    struct output *o = (struct output *)sink; // its first member

    for (size_t i = 0; i < size && o->at + 1 < o->size; i++)
        o->text[o->at++] = text[i];
    o->text[o->at] = 0;
}

#define PUT(...) format_to(&o->sink, __VA_ARGS__)

static const char *const segment_names[8] = {"es", "cs", "ss", "ds", "fs", "gs", "s6", "s7"};

static const char *register_name(unsigned reg, unsigned size, bool rex)
{
    static const char *const byte[20] = {
        "al",   "cl",   "dl",   "bl",   "spl",  "bpl",  "sil", "dil", "r8b", "r9b",
        "r10b", "r11b", "r12b", "r13b", "r14b", "r15b", "ah",  "ch",  "dh",  "bh",
    };
    static const char *const word[16] = {
        "ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
        "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w",
    };
    static const char *const dword[16] = {
        "eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
        "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d",
    };
    static const char *const qword[16] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
    };

    reg &= 15;
    if (size == 1)
        return byte[!rex && reg >= 4 && reg < 8 ? reg + 12 : reg];
    return size == 2 ? word[reg] : size == 4 ? dword[reg] : qword[reg];
}

static unsigned operand_size(const struct insn *insn, unsigned mode, unsigned size)
{
    switch (size) {
    case SIZE_V: return insn->opsize;
    case SIZE_Z: return insn->opsize == 8 ? 4 : insn->opsize;
    case SIZE_Y: return insn->rex & 8 && mode == 8 ? 8 : 4;
    case SIZE_A: return mode == 8 ? 8 : 4;
    case SIZE_X: return 16u << (insn->vl & 3);
    case SIZE_H: return 8u << (insn->vl & 3);
    case SIZE_F: return 4u << (insn->vl & 3);
    case SIZE_E: return 2u << (insn->vl & 3);
    case SIZE_P: return insn->opsize + 2u;
    default:     return size;
    }
}

static const char *size_name(unsigned size)
{
    switch (size) {
    case 1:  return "byte ptr ";
    case 2:  return "word ptr ";
    case 4:  return "dword ptr ";
    case 6:  return "fword ptr ";
    case 8:  return "qword ptr ";
    case 10: return "tbyte ptr ";
    case 16: return "xmmword ptr ";
    case 32: return "ymmword ptr ";
    case 64: return "zmmword ptr ";
    default: return "";
    }
}

static uint64_t address_mask(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

static void put_vector(struct output *o, unsigned size, unsigned reg)
{
    PUT("%cmm%u", size <= 16 ? 'x' : size == 32 ? 'y' : 'z', reg);
}

/* Of a gather: double words (opcode's bit 0 clear) for quad words fill half a register. */
static unsigned index_size(const struct insn *insn)
{
    return (insn->opcode & 1) || !(insn->rex & 8) ? 16u << (insn->vl & 1) : 16;
}

static void put_memory(struct output *o, const struct insn *insn, unsigned size, uint64_t rip)
{
    int64_t disp = insn->disp;
    bool any = false;

    PUT("%s", size_name(size));
    if (insn->override)
        PUT("%s:", segment_names[insn->segment]);
    PUT("[");
    if (insn->base == INSN_RIP) {
        PUT("0x%lx]", (rip + insn->length + (uint64_t)disp) & address_mask(insn->addrsize));
        return;
    }
    if (insn->base != INSN_NO_REG) {
        PUT("%s", register_name(insn->base, insn->addrsize, true));
        any = true;
    }
    if (insn->index != INSN_NO_REG) {
        PUT("%s", any ? "+" : "");
        if (opcode_rows[insn->op].properties & P_VSIB)
            put_vector(o, index_size(insn), insn->index);
        else
            PUT("%s", register_name(insn->index, insn->addrsize, true));
        if (insn->addrsize != 2)
            PUT("*%u", 1u << insn->scale);
        any = true;
    }
    if (!any)
        PUT("0x%lx", (uint64_t)disp & address_mask(insn->addrsize));
    else if (disp)
        PUT("%s0x%lx", disp < 0 ? "-" : "+", (uint64_t)(disp < 0 ? -disp : disp));
    PUT("]");
}

static void put_operand(struct output *o, const struct insn *insn, unsigned mode, uint64_t rip,
                        unsigned operand)
{
    unsigned size = operand_size(insn, mode, operand_kinds[operand].size);
    bool rex = insn->prefixes & INSN_REX;

    switch ((enum operand_class)operand_kinds[operand].class) {
    case OC_RM: case OC_VRM: case OC_MRM: case OC_KRM: case OC_MEM: case OC_VSIB:
        if (insn->memory)
            put_memory(o, insn, size, rip);
        else if (operand_kinds[operand].class == OC_VRM)
            put_vector(o, size, insn->rm);
        else if (operand_kinds[operand].class == OC_MRM)
            PUT("mm%u", insn->rm & 7);
        else if (operand_kinds[operand].class == OC_KRM)
            PUT("k%u", insn->rm & 7);
        else if (operand_kinds[operand].class == OC_MEM)
            PUT("st%u", insn->rm & 7);
        else
            PUT("%s", register_name(insn->rm, size, rex));
        break;
    case OC_REG:    PUT("%s", register_name(insn->reg, size, rex)); break;
    case OC_OPREG:  PUT("%s", register_name(insn->rm, size, rex)); break;
    case OC_VVVV:   PUT("%s", register_name(insn->vvvv, size, true)); break;
    case OC_FIXED0: PUT("%s", register_name(0, size, true)); break;
    case OC_FIXED1: PUT("%s", register_name(1, size, true)); break;
    case OC_FIXED2: PUT("%s", register_name(2, size, true)); break;
    case OC_VREG:   put_vector(o, size, insn->reg); break;
    case OC_VVEC:   put_vector(o, size, insn->vvvv); break;
    case OC_MREG:   PUT("mm%u", insn->reg & 7); break;
    case OC_KREG:   PUT("k%u", insn->reg & 7); break;
    case OC_KVVV:   PUT("k%u", insn->vvvv & 7); break;
    case OC_IMM:
        if (operand == OPERAND_Lx) {
            put_vector(o, 16u << (insn->vl & 1), insn->imm >> 4 & (mode == 8 ? 15 : 7));
            break;
        }
        PUT("0x%lx", insn->imm & address_mask(size > 8              ? 8
                                              : insn->opsize > size ? insn->opsize
                                                                    : size));
        break;
    case OC_ONE:    PUT("1"); break;
    case OC_REL: PUT("0x%lx", (rip + insn->length + insn->imm) & address_mask(insn->opsize)); break;
    case OC_FAR:    PUT("0x%x:0x%lx", insn->imm2, insn->imm); break;
    case OC_MOFFS:
        PUT("%s%s%s[0x%lx]", size_name(size), insn->override ? segment_names[insn->segment] : "",
            insn->override ? ":" : "", insn->imm);
        break;
    case OC_FIXSEG: PUT("%s", segment_names[insn->opcode >> 3 & 7]); break;
    case OC_SEG:    PUT("%s", segment_names[insn->reg & 7]); break;
    case OC_CR:     PUT("cr%u", insn->reg); break;
    case OC_DR:     PUT("dr%u", insn->reg); break;
    case OC_SRC:
        PUT("%s%s:[%s]", size_name(size), segment_names[insn->segment],
            register_name(6, insn->addrsize, true));
        break;
    case OC_DST: PUT("%ses:[%s]", size_name(size), register_name(7, insn->addrsize, true)); break;
    case OC_NONE:   break;
    }
}

/* One of three names by a size of 2, 4 or 8. */
static const char *by_size(unsigned size, const char *two, const char *four, const char *eight)
{
    return size == 2 ? two : size == 4 ? four : eight;
}

const char *disasm_name(const struct insn *insn)
{
    unsigned size = insn->opsize, port = size == 2 ? 2 : 4;

    if (insn->map == MAP_0F && insn->opcode == 0xc7 && insn->memory && (insn->modrm >> 3 & 7) == 1)
        return insn->rex & 8 ? "cmpxchg16b" : "cmpxchg8b";
    if (insn->map != MAP_1)
        return opcode_name(insn->op);
    switch (insn->opcode) {
    case 0x60: return size == 2 ? "pusha" : "pushad";
    case 0x61: return size == 2 ? "popa" : "popad";
    case 0x6c: return "insb";
    case 0x6d: return by_size(port, "insw", "insd", "");
    case 0x6e: return "outsb";
    case 0x6f: return by_size(port, "outsw", "outsd", "");
    case 0x90:
        if (insn->prefixes & INSN_REP)
            return "pause";
        if (insn->rm == 0)
            return "nop";
        break;
    case 0x98: return by_size(size, "cbw", "cwde", "cdqe");
    case 0x99: return by_size(size, "cwd", "cdq", "cqo");
    case 0x9c: return by_size(size, "pushf", "pushfd", "pushfq");
    case 0x9d: return by_size(size, "popf", "popfd", "popfq");
    case 0xa4: return "movsb";
    case 0xa5: return by_size(size, "movsw", "movsd", "movsq");
    case 0xa6: return "cmpsb";
    case 0xa7: return by_size(size, "cmpsw", "cmpsd", "cmpsq");
    case 0xaa: return "stosb";
    case 0xab: return by_size(size, "stosw", "stosd", "stosq");
    case 0xac: return "lodsb";
    case 0xad: return by_size(size, "lodsw", "lodsd", "lodsq");
    case 0xae: return "scasb";
    case 0xaf: return by_size(size, "scasw", "scasd", "scasq");
    case 0xcf: return by_size(size, "iret", "iretd", "iretq");
    case 0xe3: return by_size(insn->addrsize, "jcxz", "jecxz", "jrcxz");
    default:   break;
    }
    return opcode_name(insn->op);
}

static bool is_string(const struct insn *insn)
{
    return insn->map == MAP_1 && ((insn->opcode >= 0x6c && insn->opcode <= 0x6f) ||
                                  (insn->opcode >= 0xa4 && insn->opcode <= 0xa7) ||
                                  (insn->opcode >= 0xaa && insn->opcode <= 0xaf));
}

void disasm(const struct insn *insn, unsigned mode, uint64_t rip, char *text, size_t size)
{
    struct output output = {.sink = {put}, .text = text, .size = size}, *o = &output;
    const struct opcode_row *row = &opcode_rows[insn->op];
    bool nop = insn->map == MAP_1 && insn->opcode == 0x90 &&
               (insn->rm == 0 || (insn->prefixes & INSN_REP));

    text[0] = 0;
    if (insn->prefixes & INSN_LOCK)
        PUT("lock ");
    if (is_string(insn) && (insn->prefixes & INSN_REP))
        PUT(insn->opcode == 0xa6 || insn->opcode == 0xa7 || insn->opcode >= 0xae ? "repe "
                                                                                 : "rep ");
    if (is_string(insn) && (insn->prefixes & INSN_REPNE))
        PUT("repne ");
    PUT("%s", disasm_name(insn));
    for (unsigned i = 0; i < 4 && row->operand[i] != OPERAND__ && !nop; i++) {
        PUT(i ? ", " : " ");
        put_operand(o, insn, mode, rip, row->operand[i]);
    }
    if (row->imm == IMM_ENTER)
        PUT(", 0x%x", insn->imm2);
}
