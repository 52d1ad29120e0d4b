/* SPDX-License-Identifier: MIT */
/* The handlers whose forms run on the processor, and what is special about each. */
#include "tests/cpu/forms.h"
#include "vmm/cpu/host_feature.h"

#include <cpuid.h>
#include <string.h>

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
    {"clflush", PLAIN, 0, 0},
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

const char *const form_handlers[ROW_COUNT] = {
#define OP(map, byte, select, name, handler, ...) #handler,
#define OR(map, byte, select, name, handler, ...) #handler,
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
};

const struct rule *form_rule(const char *handler)
{
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!strcmp(rules[i].handler, handler))
            return &rules[i];
    return NULL;
}

bool form_on_host(const char *handler, unsigned map, unsigned opcode)
{
    struct insn insn = {.map = (uint8_t)map, .opcode = (uint8_t)opcode};
    unsigned a, b, c, d, b7 = 0, c1 = 0, c81 = 0;

    __get_cpuid(1, &a, &b, &c1, &d);
    __get_cpuid_count(7, 0, &a, &b7, &c, &d);
    __get_cpuid(0x80000001, &a, &b, &c81, &d);
    if (!strcmp(handler, "adcx") || !strcmp(handler, "adox"))
        return b7 & bit_ADX;
    if (!strcmp(handler, "clflush"))
        return (b7 & bit_CLFLUSHOPT) && (b7 & bit_CLWB);
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
