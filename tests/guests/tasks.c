/* SPDX-License-Identifier: MIT */
/*
 * Task switches with paging, breakpoints and single steps, each in a loop that an engine may translate. Every
 * line is a number that the manuals give: the same program on QEMU shows the same (tests/linux/tasks.t).
 */
#include "guest.h"

#define WINDOW 0x40000000u // another page in each address space
#define ABSENT 0x50000000u // mapped by the task of #PF
#define HERE   0x1000000u
#define THERE  0x1400000u
#define ROUNDS 40u

#define TSS_MAIN  0x18u
#define TSS_OTHER 0x20u
#define TSS_FAULT 0x28u

struct tss {
    uint32_t link, stacks[6], cr3, eip, eflags, gpr[8], segment[6], ldt, trap;
};

extern struct __attribute__((packed)) {
    uint16_t limit;
    uint32_t base;
} guest_idtr;

uint32_t tasks_first[1024] __attribute__((aligned(4096))), tasks_second[1024] __attribute__((aligned(4096)));
uint32_t tasks_saw, tasks_runs, tasks_code, tasks_cr2;
static struct tss tss_main, tss_other, tss_fault;
static uint8_t stacks[3][4096] __attribute__((aligned(16)));
static uint64_t gdt[6];
static volatile uint32_t watched, hits, dr6;
void tasks_other(void);
void tasks_fault(void);
void tasks_target(void);

__asm__(".text\n"
        "tasks_other: mov 0x40000000, %eax; mov %eax, tasks_saw; incl tasks_runs; iret; jmp tasks_other\n"
        "tasks_fault: pop tasks_code; mov %cr2, %eax; mov %eax, tasks_cr2; movl $0x1000087, tasks_first + 0x500; iret; jmp tasks_fault\n"
        "tasks_target: ret\n");

static void handler(struct registers *r)
{
    uint32_t value;

    if (r->vector == 1) {
        __asm__ volatile("mov %%dr6, %0" : "=r"(value));
        dr6 |= value & 0xe00f;
        hits++;
        if (value & 2) // the breakpoint on an instruction
            r->eflags |= 0x10000;
        __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0u));
    }
}

static void line(const char *what, uint32_t a, uint32_t b)
{
    put("tasks: ");
    put(what);
    put(" ");
    put_hex(a);
    put(" ");
    put_hex(b);
    put("\n");
}

static uint64_t task_descriptor(const struct tss *t)
{
    uint32_t base = (uint32_t)t;

    return 0x67 | (uint64_t)(base & 0xffffff) << 16 | 0x89ull << 40 | (uint64_t)(base >> 24) << 56;
}

static void make_task(struct tss *t, void (*entry)(void), const uint32_t *directory, uint8_t *stack)
{
    t->cr3 = (uint32_t)directory;
    t->eip = (uint32_t)entry;
    t->eflags = 2;
    t->gpr[4] = (uint32_t)stack + 4096;
    for (unsigned i = 0; i < 6; i++)
        t->segment[i] = i == 1 ? 8 : 16;
}

static void setup(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t base;
    } gdtr = {sizeof(gdt) - 1, (uint32_t)gdt};

    for (unsigned i = 0; i < 16; i++)
        tasks_first[i] = tasks_second[i] = i << 22 | 0x87;
    tasks_first[WINDOW >> 22] = HERE | 0x87;
    tasks_second[WINDOW >> 22] = THERE | 0x87;
    *(volatile uint32_t *)HERE = 0x1111;
    *(volatile uint32_t *)THERE = 0x2222;
    make_task(&tss_other, tasks_other, tasks_second, stacks[1]);
    make_task(&tss_fault, tasks_fault, tasks_first, stacks[2]);
    tss_main.cr3 = (uint32_t)tasks_first;
    tss_main.stacks[0] = (uint32_t)stacks[0] + 4096;
    tss_main.stacks[1] = 16;
    gdt[1] = 0x00cf9b000000ffff;
    gdt[2] = 0x00cf93000000ffff;
    gdt[3] = task_descriptor(&tss_main);
    gdt[4] = task_descriptor(&tss_other);
    gdt[5] = task_descriptor(&tss_fault);
    ((uint64_t *)guest_idtr.base)[14] = (uint64_t)TSS_FAULT << 16 | 0x85ull << 40;
    __asm__ volatile("lgdt %0; mov $16, %%eax; mov %%eax, %%fs; mov %%eax, %%gs; ltr %w1; mov %2, %%cr3; mov %%cr4, %%eax; or $0x18, %%eax; mov %%eax, %%cr4\n"
                     "mov %%cr0, %%eax; or $0x80010000, %%eax; mov %%eax, %%cr0"
                     : : "m"(gdtr), "r"(TSS_MAIN), "r"(tasks_first) : "eax", "memory");
    guest_handler = handler;
}

static void tasks(void)
{
    uint32_t sum = 0, mine = 0, flags, cr0, faults = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        __asm__ volatile("lcall $0x20, $0" : : : "memory");
        sum += tasks_saw;
        mine += *(volatile uint32_t *)WINDOW;
    }
    __asm__ volatile("pushf; pop %0; mov %%cr0, %1; clts" : "=r"(flags), "=r"(cr0));
    line("what the other task saw, and how often it ran", sum, tasks_runs);
    line("what this one sees", mine, flags & 0x4000);
    line("TS, and the link", cr0 & 8, tss_other.link);
    line("busy", (uint32_t)(gdt[3] >> 40 & 0x1f), (uint32_t)(gdt[4] >> 40 & 0x1f));
    for (unsigned i = 0; i < ROUNDS; i++) {
        faults += *(volatile uint32_t *)(ABSENT + 4 * i) + tasks_code;
        sum += tasks_cr2;
        tasks_first[ABSENT >> 22] = 0;
        __asm__ volatile("mov %0, %%cr3" : : "r"(tasks_first) : "memory");
    }
    line("page faults by a task gate", faults, sum);
}

static void debug(void)
{
    hits = dr6 = 0;
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr7" : : "r"(&watched), "r"(tasks_target), "r"(0x000d0602u));
    for (unsigned i = 0; i < ROUNDS; i++)
        watched = i;
    line("writes to a word that is watched", hits, dr6);
    hits = dr6 = 0;
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x0000060au));
    for (unsigned i = 0; i < ROUNDS; i++)
        tasks_target();
    line("calls of a function with a breakpoint", hits, dr6);
    hits = dr6 = 0;
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400u));
    for (unsigned i = 0; i < ROUNDS; i++)
        __asm__ volatile("pushf; orl $0x100, (%%esp); popf; nop; nop; nop; pushf; andl $~0x100, (%%esp); popf" : : : "memory", "cc");
    line("single steps", hits, dr6);
}

void test_tasks(void)
{
    setup();
    tasks();
    debug();
}
