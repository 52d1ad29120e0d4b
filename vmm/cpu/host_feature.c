/* SPDX-License-Identifier: MIT */
/* What instructions the host's processor has. */
#include "vmm/cpu/host_feature.h"

struct regs {
    uint32_t eax, ebx, ecx, edx;
};

static struct regs cpuid(uint32_t leaf)
{
    struct regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                             : "a"(leaf), "c"(0));
    return r;
}

static uint32_t when(uint32_t value, unsigned bit, uint32_t feature)
{
    return value >> bit & 1 ? feature : 0;
}

uint32_t host_features(void)
{
    struct regs one = cpuid(1), seven = {0};

    if (cpuid(0).eax >= 7)
        seven = cpuid(7);
    return when(one.ecx, 0, HOST_SSE3) | when(one.ecx, 1, HOST_PCLMUL) |
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

uint32_t host_feature_needed(const struct insn *insn)
{
    switch (insn->map) {
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
