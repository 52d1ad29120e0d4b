/* SPDX-License-Identifier: MIT */
/* A guest whose results Bochs judges: the world that its instructions run in (judge.c), the instructions (judge_code.c). */
#ifndef TESTS_GUESTS_JUDGE_H
#define TESTS_GUESTS_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#define ARENA       0x200000u
#define ARENA_CODE  ARENA              // 4 KiB of INT3, and the instruction
#define ARENA_DATA  (ARENA + 0x1000)
#define ARENA_STACK (ARENA + 0x8000)   // the middle of 4 KiB
#define ARENA_GDT   (ARENA + 0xa000)
#define ARENA_LDT   (ARENA + 0xa800)
#define ARENA_TSS   (ARENA + 0xb000)   // of 256 bytes each
#define ARENA_IDT   (ARENA + 0xc000)
#define ARENA_SIZE  0x10000u
#define LOW_SIZE    0x30000u           // INT3 as well: flat code segments and 8086 programs get there

#define CODE_0  0x08u
#define DATA_0  0x10u
#define CODE_3  0x1bu
#define DATA_3  0x23u
#define TSS_OWN 0x28u
#define LDT_OWN 0x30u
#define TSS_DF  0x38u
#define RANDOM_GDT 8u   // descriptors from here on are random
#define GDT_COUNT  40u
#define LDT_COUNT  16u
#define GATES      0x40u // vectors of random gates
#define GATE_COUNT 32u

struct tss {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    uint32_t gpr[8]; // EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI
    uint32_t es, cs, ss, ds, fs, gs, ldt, io;
};

/* The state an instruction starts from. */
struct start {
    unsigned cpl;
    bool virtual8086;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t eflags, ds, es, fs, gs;
};

uint32_t judge_random(void);
static inline uint32_t below(uint32_t n) { return judge_random() % n; }
uint16_t judge_selector(void); // any
/* Writes an instruction of a random kind, and what it finds on the stack and in memory. Returns its length. */
unsigned judge_write(struct start *s, uint8_t *code, uint32_t *stack);

#endif
