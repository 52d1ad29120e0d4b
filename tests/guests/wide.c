/* SPDX-License-Identifier: MIT */
/* Supervisor code of 64 bits at the edges: branches to addresses that are not canonical, the end of the lower half, SMAP, CR8, SYSRET with TF, its own page unmarked. */
#include "guest.h"
#include "long.h"

#define CODE 0x2000000u
#define STACK 0x2010000u
#define USER_PAGE 0x3000000u
#define MEMORY 0x2008000u
#define TOP 0x7ffffffff000ull // the last page below the hole, mapped to CODE
#define HOLE 0x800000000000ull
#define AWAY 0x1111111111111111ull
#define INT_81 0xcd, 0x81

static unsigned failed, passed;

static int one_event(void)
{
    return 0;
}

static struct frame *frame(void)
{
    return (struct frame *)(uint32_t)long_frame;
}

/* Runs code at `at`, a linear address of the page at CODE, with RAX and RBX. */
static void run(uint64_t at, const uint8_t *code, unsigned size, uint64_t rax, uint64_t rbx)
{
    struct frame *f = frame();

    for (unsigned i = 0; i < size; i++)
        *(volatile uint8_t *)(CODE + (uint32_t)(at & 0xfff) + i) = code[i];
    for (unsigned i = 0; i < 15; i++)
        f->r[i] = 0;
    f->r[14] = rax;
    f->r[11] = rbx;
    f->rip = at;
    f->cs = CS64;
    f->rflags = 2;
    f->rsp = STACK;
    f->ss = DATA;
    long_run();
}

static void is(const char *what, unsigned vector, uint64_t rip, uint64_t rsp)
{
    const struct frame *f = frame();
    bool good = f->vector == vector && f->rip == rip && f->rsp == rsp;

    passed += good;
    failed += !good;
    if (good)
        return;
    put("guest: not so: ");
    put(what);
    put(": vector ");
    put_number(f->vector);
    put(" code ");
    put_hex(f->error);
    put(" at ");
    put_hex(f->rip);
    put(" stack ");
    put_hex(f->rsp);
    put("\n");
}

#define RUN(at, rax, rbx, ...)                                   \
    do {                                                         \
        static const uint8_t code_[] = {__VA_ARGS__};            \
        run(at, code_, sizeof code_, rax, rbx);                  \
    } while (0)

static void set_cr4(uint32_t bit, bool on)
{
    uint32_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 = on ? cr4 | bit : cr4 & ~bit;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

static void branches(void)
{
    for (unsigned times = 0; times < 3; times++) { // translated code too
        RUN(CODE, AWAY, 0, 0x90, 0xff, 0xe0);
        is("JMP: #GP of the branch", 13, CODE + 1, STACK);
        RUN(CODE, AWAY, 0, 0x90, 0xff, 0xd0);
        is("CALL: #GP of the branch, nothing pushed", 13, CODE + 1, STACK);
        RUN(CODE, AWAY, 0, 0x50, 0xc3);
        is("RET: #GP of the branch, nothing popped", 13, CODE + 1, STACK - 8);
        RUN(CODE, AWAY, 0, 0x50, 0x90, 0xc2, 0x10, 0x00);
        is("RET 16: the same", 13, CODE + 2, STACK - 8);
        RUN(CODE, AWAY, 0, 0x6a, DATA, 0x54, 0x9c, 0x6a, CS64, 0x50, 0x48, 0xcf);
        is("IRETQ: the same", 13, CODE + 7, STACK - 40);
        RUN(CODE, CODE + 0x80, 0, 0x90, 0xff, 0xe0);
        is("a branch to where it is all right", 0x81, CODE + 0x82, STACK);
    }
}

static void put_far(uint32_t at, uint64_t offset)
{
    *(volatile uint64_t *)at = offset;
    *(volatile uint16_t *)(at + 8) = CS64;
}

static void far_branches(void)
{
    put_far(MEMORY, CODE + 0x80);
    RUN(CODE, 0, MEMORY, 0x48, 0xff, 0x2b);
    is("a far jump with 64 bits", 0x81, CODE + 0x82, STACK);
    put_far(MEMORY, CODE + 0x90);
    RUN(CODE, 0, MEMORY, 0x48, 0xff, 0x1b, INT_81);
    is("a far call with 64 bits, and back", 0x81, CODE + 5, STACK);
    put_far(MEMORY, AWAY);
    RUN(CODE, 0, MEMORY, 0x90, 0x48, 0xff, 0x2b);
    is("one to an address that is not canonical", 13, CODE + 1, STACK);
}

static void strings(void)
{
    RUN(CODE, 0, 0, 0xfd, 0x66, 0xba, 0x80, 0x00, 0x67, 0x6e, 0xfc, INT_81);
    is("OUTSB with addresses of 32 bits", 0x81, CODE + 10, STACK);
    passed += frame()->r[9] == 0xffffffff;
    failed += frame()->r[9] != 0xffffffff;
}

/* INVPCID of type `type`; the descriptor. */
static void invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
    *(volatile uint64_t *)MEMORY = pcid;
    *(volatile uint64_t *)(MEMORY + 8) = address;
    RUN(CODE, type, MEMORY, 0x66, 0x0f, 0x38, 0x82, 0x03, INT_81);
}

static void pcids(void)
{
    uint32_t leaf = 7, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (!(ebx & 1u << 10))
        return;
    invpcid(1, 0, AWAY);
    is("INVPCID of PCID 0, without PCIDs", 0x81, CODE + 7, STACK);
    invpcid(1, 1, 0);
    is("of another: #GP", 13, CODE, STACK);
    invpcid(0, 0, AWAY);
    is("of an address that is not canonical: #GP", 13, CODE, STACK);
    invpcid(4, 0, 0);
    is("of a type that there is not: #GP", 13, CODE, STACK);
    invpcid(2, 0x1000, 0);
    is("with reserved bits: #GP", 13, CODE, STACK);
    RUN(CODE, TABLES | 1, 0, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x00, 0x02, 0x00, 0x0f, 0x22, 0xe0, INT_81);
    is("PCIDs on with bits in CR3: #GP", 13, CODE + 11, STACK);
    RUN(CODE, TABLES, 0, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x00, 0x02, 0x00, 0x0f, 0x22, 0xe0, 0x0f, 0x20, 0xc0, 0x0f, 0xba,
        0xf0, 0x1f, 0x0f, 0x22, 0xc0);
    is("paging off with PCIDs: #GP", 13, CODE + 21, STACK);
    invpcid(2, 10, 0);
    is("INVPCID of all, with PCIDs", 0x81, CODE + 7, STACK);
    set_cr4(1u << 17, false);
}

static void edge(void)
{
    RUN(TOP + 0xfff, 0, 0, 0x90);
    is("code that runs into the hole", 13, HOLE, STACK);
    RUN(TOP + 0xffd, ~0ull, 0, 0x0f, 0x01, 0xc1);
    is("VMCALL before the hole", frame()->rip == HOLE ? 13 : 6, frame()->rip == HOLE ? HOLE : TOP + 0xffd, STACK);
    RUN(TOP + 0xffd, 0, 0, 0x0f, 0x01, 0xfd);
    is("RDPRU there: #UD", 6, TOP + 0xffd, STACK);
}

static void smap(void)
{
    uint32_t leaf = 7, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (!(ebx & 1u << 20))
        return;
    set_cr4(1u << 21, true);
    for (unsigned times = 0; times < 3; times++) {
        RUN(CODE, 0, USER_PAGE, 0x0f, 0x01, 0xca, 0x8a, 0x03, INT_81);
        is("CLAC, read of a user page", 14, CODE + 3, STACK);
        RUN(CODE, 0, USER_PAGE, 0x0f, 0x01, 0xcb, 0x8a, 0x03, 0x88, 0x03, INT_81);
        is("STAC, read and write", 0x81, CODE + 9, STACK);
        RUN(CODE, 0, USER_PAGE, 0x0f, 0x01, 0xcb, 0x8a, 0x03, 0x0f, 0x01, 0xca, 0x88, 0x03, INT_81);
        is("and CLAC, write", 14, CODE + 8, STACK);
        RUN(CODE, 0x40002, USER_PAGE, 0x50, 0x9d, 0x8a, 0x03, INT_81);
        is("POPF with AC, read", 0x81, CODE + 6, STACK);
        RUN(CODE, 0x40002, USER_PAGE, 0x6a, DATA, 0x68, 0x00, 0x00, 0x01, 0x02, 0x50, 0x6a, CS64, 0x68, 0x80, 0x00, 0x00, 0x02, 0x48, 0xcf);
        is("IRETQ with AC", 0x81, CODE + 0x82, STACK);
    }
    set_cr4(1u << 21, false);
}

static void cr8(void)
{
    RUN(CODE, 16, 0, 0x44, 0x0f, 0x22, 0xc0, INT_81);
    is("CR8 has four bits", 13, CODE, STACK);
    RUN(CODE, 5, 0, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc3, 0x31, 0xc9, 0x44, 0x0f, 0x22, 0xc1, INT_81);
    is("CR8 is written", 0x81, CODE + 16, STACK);
    passed += frame()->r[11] == 5;
    failed += frame()->r[11] != 5;
}

static void steps(void)
{
    wrmsr(0xc0000081, (uint64_t)(USER32 & ~3) << 48 | (uint64_t)CS32 << 32);
    for (unsigned times = 0; times < 3; times++) {
        RUN(CODE, 2, 0, 0xb9, 0x00, 0x01, 0x00, 0x02, 0x49, 0x89, 0xc3, 0x48, 0x0f, 0x07);
        is("SYSRET to a supervisor's page", 14, CODE + 0x100, STACK);
        RUN(CODE, 0x102, 0, 0xb9, 0x00, 0x01, 0x00, 0x02, 0x49, 0x89, 0xc3, 0x48, 0x0f, 0x07);
        is("SYSRET that sets TF: a trap at its target", 1, CODE + 0x100, STACK);
    }
}

/* Its own page's entry without the accessed bit, which the processor need not look at again. */
static void unmark(void)
{
    volatile uint64_t *entry = &table(2)[CODE >> 21];

    for (unsigned times = 0; times < 3; times++) {
        RUN(CODE, *entry & ~(uint64_t)A, (uint32_t)entry, 0x48, 0x89, 0x03, 0x90, 0x90, INT_81);
        is("code that takes back its page's mark", 0x81, CODE + 7, STACK);
    }
}

void test_wide(void)
{
    long_setup();
    long_handler = one_event;
    table(0)[0] |= U;
    table(1)[0] |= U;
    table(2)[USER_PAGE >> 21] |= U;
    table(0)[255] = (TABLES + 0x8000) | P | W;
    table(8)[511] = (TABLES + 0x9000) | P | W;
    table(9)[511] = (TABLES + 0xa000) | P | W;
    table(10)[511] = CODE | P | W;
    *(volatile uint16_t *)(CODE + 0x80) = 0x81cd; // INT 81h
    *(volatile uint16_t *)(CODE + 0x90) = 0xcb48; // RETFQ
    branches();
    far_branches();
    strings();
    edge();
    pcids();
    smap();
    cr8();
    steps();
    unmark();
    figure("checks", passed);
    figure("failed", failed);
    if (failed)
        finish(false);
}
