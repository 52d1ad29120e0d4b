/* SPDX-License-Identifier: MIT */
/* What instructions the host's processor has. */
#include "vmm/cpu/host_feature.h"

#include <stdbool.h>

struct regs {
    uint32_t eax, ebx, ecx, edx;
};

static struct regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                             : "a"(leaf), "c"(subleaf));
    return r;
}

static uint32_t when(uint32_t value, unsigned bit, uint32_t feature)
{
    return value >> bit & 1 ? feature : 0;
}

/* Does the host's kernel switch what AVX needs? */
static bool has_avx(const struct regs *one)
{
    uint32_t low, high;

    if (!(one->ecx >> 27 & 1) || !(one->ecx >> 28 & 1)) // OSXSAVE, AVX
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static uint32_t avx_features(const struct regs *one, const struct regs *seven)
{
    struct regs more = {0};

    if (!has_avx(one))
        return 0;
    if (seven->eax >= 1)
        more = cpuid(7, 1);
    return HOST_AVX | when(one->ecx, 12, HOST_FMA) | when(one->ecx, 29, HOST_F16C) |
           when(seven->ebx, 5, HOST_AVX2) | when(seven->ecx, 9, HOST_VAES) |
           when(seven->ecx, 10, HOST_VPCLMUL) | when(more.eax, 4, HOST_AVX_VNNI);
}

uint32_t host_features(void)
{
    struct regs one = cpuid(1, 0), seven = {0};

    if (cpuid(0, 0).eax >= 7)
        seven = cpuid(7, 0);
    return avx_features(&one, &seven) | when(one.ecx, 0, HOST_SSE3) | when(one.ecx, 1, HOST_PCLMUL) |
           when(one.ecx, 9, HOST_SSSE3) | when(one.ecx, 19, HOST_SSE4_1) |
           when(one.ecx, 20, HOST_SSE4_2) | when(one.ecx, 25, HOST_AES) |
           when(one.ecx, 30, HOST_RDRAND) | when(seven.ebx, 18, HOST_RDSEED) |
           when(seven.ebx, 29, HOST_SHA) | when(seven.ecx, 8, HOST_GFNI);
}

static uint32_t needed_38(uint8_t opcode)
{
    if (opcode <= 0x0b || (opcode >= 0x1c && opcode <= 0x1e))
        return HOST_SSSE3;
    if (opcode == 0x37)
        return HOST_SSE4_2;
    if (opcode <= 0x41)
        return HOST_SSE4_1;
    if (opcode >= 0xdb)
        return HOST_AES;
    return opcode == 0xcf ? HOST_GFNI : HOST_SHA;
}

static uint32_t needed_3a(uint8_t opcode)
{
    switch (opcode) {
    case 0x0f:
        return HOST_SSSE3;
    case 0x44:
        return HOST_PCLMUL;
    case 0x60:
    case 0x61:
    case 0x62:
    case 0x63:
        return HOST_SSE4_2;
    case 0xcc:
        return HOST_SHA;
    case 0xce:
    case 0xcf:
        return HOST_GFNI;
    case 0xdf:
        return HOST_AES;
    default:
        return HOST_SSE4_1;
    }
}

/* VEX map 0F: integer operations on 32 bytes came with AVX2. */
static uint32_t needed_v1(uint8_t opcode, bool wide)
{
    bool integer = (opcode >= 0x60 && opcode <= 0x76 && opcode != 0x6e && opcode != 0x6f) ||
                   (opcode >= 0xd1 && opcode != 0xd6 && opcode != 0xe6 && opcode != 0xe7 &&
                    opcode != 0xf0);

    return integer && wide ? HOST_AVX2 : 0;
}

static uint32_t needed_v2(const struct insn *insn)
{
    uint8_t opcode = insn->opcode;

    if (opcode >= 0x96 && opcode <= 0xbf)
        return HOST_FMA;
    if (opcode == 0x13)
        return HOST_F16C;
    if (opcode >= 0xdb)
        return HOST_AES | (insn->vl ? HOST_VAES : 0);
    if (opcode == 0xcf)
        return HOST_GFNI;
    if (opcode >= 0x50 && opcode <= 0x53)
        return HOST_AVX_VNNI;
    if (opcode == 0x16 || opcode == 0x36 || opcode >= 0x45)
        return HOST_AVX2;
    if (opcode == 0x18 || opcode == 0x19)
        return insn->memory ? 0 : HOST_AVX2;
    if ((opcode >= 0x0c && opcode <= 0x1a) || (opcode >= 0x2c && opcode <= 0x2f))
        return 0;
    return insn->vl ? HOST_AVX2 : 0;
}

static uint32_t needed_v3(uint8_t opcode, bool wide)
{
    switch (opcode) {
    case 0x00:
    case 0x01:
    case 0x02:
    case 0x38:
    case 0x39:
    case 0x46:
        return HOST_AVX2;
    case 0x0e:
    case 0x0f:
    case 0x42:
    case 0x4c:
        return wide ? HOST_AVX2 : 0;
    case 0x1d:
        return HOST_F16C;
    case 0x44:
        return HOST_PCLMUL | (wide ? HOST_VPCLMUL : 0);
    case 0xce:
    case 0xcf:
        return HOST_GFNI;
    case 0xdf:
        return HOST_AES;
    default:
        return 0;
    }
}

uint32_t host_feature_needed(const struct insn *insn)
{
    switch (insn->map) {
    case MAP_V1:
        return HOST_AVX | needed_v1(insn->opcode, insn->vl);
    case MAP_V2:
        return HOST_AVX | needed_v2(insn);
    case MAP_V3:
        return HOST_AVX | needed_v3(insn->opcode, insn->vl);
    case MAP_38:
        return needed_38(insn->opcode);
    case MAP_3A:
        return needed_3a(insn->opcode);
    default:
        return insn->opcode == 0x12 || insn->opcode == 0x16 || insn->opcode == 0x7c ||
                       insn->opcode == 0x7d || insn->opcode == 0xd0
                   ? HOST_SSE3
                   : 0;
    }
}
