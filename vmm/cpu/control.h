/* SPDX-License-Identifier: MIT */
/*
 * Bits of the control registers and of RFLAGS, and the exceptions' vectors (SDM volume 3, 2.3, 2.5
 * and 6.3).
 */
#ifndef VMM_CPU_CONTROL_H
#define VMM_CPU_CONTROL_H

#define RFLAGS_CF   0x000001ull
#define RFLAGS_1    0x000002ull // always set
#define RFLAGS_PF   0x000004ull
#define RFLAGS_AF   0x000010ull
#define RFLAGS_ZF   0x000040ull
#define RFLAGS_SF   0x000080ull
#define RFLAGS_TF   0x000100ull
#define RFLAGS_IF   0x000200ull
#define RFLAGS_DF   0x000400ull
#define RFLAGS_OF   0x000800ull
#define RFLAGS_IOPL 0x003000ull
#define RFLAGS_NT   0x004000ull
#define RFLAGS_RF   0x010000ull
#define RFLAGS_VM   0x020000ull
#define RFLAGS_AC   0x040000ull
#define RFLAGS_VIF  0x080000ull
#define RFLAGS_VIP  0x100000ull
#define RFLAGS_ID   0x200000ull
#define RFLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define CR0_PE 0x00000001ull
#define CR0_MP 0x00000002ull
#define CR0_EM 0x00000004ull
#define CR0_TS 0x00000008ull
#define CR0_ET 0x00000010ull
#define CR0_NE 0x00000020ull
#define CR0_WP 0x00010000ull
#define CR0_AM 0x00040000ull
#define CR0_NW 0x20000000ull
#define CR0_CD 0x40000000ull
#define CR0_PG 0x80000000ull

#define CR4_VME        0x000001ull
#define CR4_PVI        0x000002ull
#define CR4_TSD        0x000004ull
#define CR4_DE         0x000008ull
#define CR4_PSE        0x000010ull
#define CR4_PAE        0x000020ull
#define CR4_PGE        0x000080ull
#define CR4_PCE        0x000100ull
#define CR4_OSFXSR     0x000200ull
#define CR4_OSXMMEXCPT 0x000400ull
#define CR4_UMIP       0x000800ull
#define CR4_LA57       0x001000ull
#define CR4_FSGSBASE   0x010000ull
#define CR4_PCIDE      0x020000ull
#define CR4_OSXSAVE    0x040000ull
#define CR4_SMEP       0x100000ull
#define CR4_SMAP       0x200000ull

#define EFER_SCE 0x0001ull
#define EFER_LME 0x0100ull
#define EFER_LMA 0x0400ull
#define EFER_NXE 0x0800ull

enum exception {
    EXCEPTION_DE = 0,
    EXCEPTION_DB = 1,
    EXCEPTION_BP = 3,
    EXCEPTION_OF = 4,
    EXCEPTION_BR = 5,
    EXCEPTION_UD = 6,
    EXCEPTION_NM = 7,
    EXCEPTION_DF = 8,
    EXCEPTION_TS = 10,
    EXCEPTION_NP = 11,
    EXCEPTION_SS = 12,
    EXCEPTION_GP = 13,
    EXCEPTION_PF = 14,
    EXCEPTION_MF = 16,
    EXCEPTION_AC = 17,
    EXCEPTION_XM = 19
};

#endif
