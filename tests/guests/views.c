/* SPDX-License-Identifier: MIT */
/*
 * What a processor may remember of page tables, and must not once it has been told (SDM volume 3, 4.10): operands, the stack and code
 * of supervisor and user, by INVLPG, INVPCID, loads of CR0, CR3 and CR4, with and without PCIDs and global pages.
 */
#include "guest.h"
#include "long.h"

#define CODE 0x2000000u
#define STACK 0x2010000u
#define MEMORY 0x2008000u
#define USER_CODE 0x3000000u
#define WINDOW 0x40000000u   // linear: two pages, and 2 MiB further on a large one
#define LARGE_WINDOW (WINDOW + 0x200000u)
#define FRAMES 0x3400000u    // physical: pages full of their number
#define LARGE_FRAME 0x3600000u
#define SPACES 12u
#define G 0x100u
#define NX (1ull << 63)
#define KEEP (1ull << 63)    // in a value for CR3

enum { PGE = 1u << 7, PCIDE = 1u << 17, SMEP = 1u << 20 };
enum { RAX = 14, RCX = 13, RDX = 12, RBX = 11, RBP = 10, RSI = 9 };

static unsigned failed, passed;

static int one_event(void)
{
    return 0;
}

static struct frame *frame(void)
{
    return (struct frame *)(uint32_t)long_frame;
}

static void check(const char *what, bool good)
{
    const struct frame *f = frame();

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
    put(" rax ");
    put_hex(f->r[RAX]);
    put(" rsi ");
    put_hex(f->r[RSI]);
    put("\n");
}

static uint32_t frame_of(unsigned n)
{
    return FRAMES + n * 4096;
}

/* Of address space k: 0 is the one that C runs in. */
static volatile uint64_t *entry(unsigned k, unsigned page)
{
    return table(32 + 4 * k + 3) + page;
}

static uint32_t root(unsigned k)
{
    return TABLES + (32 + 4 * k) * 4096;
}

static void make_space(unsigned k)
{
    unsigned n = 32 + 4 * k;

    for (unsigned i = 0; i < 4 * 512; i++)
        table(n)[i] = 0;
    table(n)[0] = (TABLES + (n + 1) * 4096) | P | W | U;
    table(n + 1)[0] = table(1)[0] | U;
    table(n + 1)[1] = (TABLES + (n + 2) * 4096) | P | W | U;
    table(n + 1)[3] = table(1)[3];
    table(n + 2)[0] = (TABLES + (n + 3) * 4096) | P | W | U;
    *entry(k, 0) = frame_of(k) | P | W | U;
    *entry(k, 1) = frame_of(k + 1) | P | W | U;
}

/* Supervisor code: RBX is the window, RCX where `value` for RDX is to be stored, RBP the window's second page. */
static void run(const uint8_t *code, unsigned size, uint64_t rbx, volatile uint64_t *rcx, uint64_t value, uint64_t rsp)
{
    struct frame *f = frame();

    for (unsigned i = 0; i < size; i++)
        ((volatile uint8_t *)CODE)[i] = code[i];
    for (unsigned i = 0; i < 15; i++)
        f->r[i] = 0;
    f->r[RBX] = rbx;
    f->r[RCX] = (uint32_t)rcx;
    f->r[RDX] = value;
    f->r[RBP] = WINDOW + 4096;
    f->rip = CODE;
    f->cs = CS64;
    f->rflags = 2;
    f->rsp = rsp;
    f->ss = DATA;
    long_run();
}

#define RUN(rbx, rcx, value, rsp, ...)                              \
    do {                                                            \
        static const uint8_t code_[] = {__VA_ARGS__, 0xcd, 0x81};   \
        run(code_, sizeof code_, rbx, rcx, value, rsp);             \
    } while (0)
#define SET_ENTRY    0x48, 0x89, 0x11       // mov [rcx], rdx
#define FLUSH        0x0f, 0x01, 0x3b       // invlpg [rbx]
#define FLUSH_SECOND 0x0f, 0x01, 0x7d, 0x00 // invlpg [rbp]
#define CALL         0xff, 0xd3             // call rbx
#define LOAD         0x8b, 0x03             // mov eax, [rbx]
#define LOAD_AGAIN   0x8b, 0x33             // mov esi, [rbx]

static bool is_end(uint64_t rax, uint64_t rsi)
{
    return frame()->vector == 0x81 && frame()->r[RAX] == rax && frame()->r[RSI] == rsi;
}

static bool is_fault(uint64_t error, uint64_t rip)
{
    return frame()->vector == 14 && frame()->error == error && frame()->rip == rip;
}

static void set_cr4(uint32_t bit, bool on)
{
    uint32_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 = on ? cr4 | bit : cr4 & ~bit;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

static uint64_t word(uint32_t n)
{
    return (uint64_t)n << 32 | n;
}

static void operands(void)
{
    const uint64_t all = P | W;

    *entry(0, 0) = frame_of(0) | all;
    RUN(WINDOW, entry(0, 0), frame_of(3) | all, STACK, LOAD, SET_ENTRY, FLUSH, LOAD_AGAIN);
    check("INVLPG: a load", is_end(0, 3));
    *entry(0, 0) = frame_of(0) | all;
    RUN(WINDOW, entry(0, 0), frame_of(3) | all, WINDOW + 0x100, 0x58, SET_ENTRY, FLUSH, 0x5e);
    check("a pop", is_end(0, word(3)));
    *entry(0, 0) = frame_of(5) | all;
    RUN(WINDOW, entry(0, 0), frame_of(3) | P, STACK, 0xb8, 5, 0, 0, 0, 0x89, 0x03, SET_ENTRY, FLUSH, 0x8b, 0x33, 0x89, 0x03);
    check("a store to what is read-only now", is_fault(3, CODE + 15) && frame()->r[RSI] == 3);
    *entry(0, 0) = frame_of(5) | all;
    RUN(WINDOW, entry(0, 0), frame_of(5) | P, WINDOW + 0x100, 0x5e, 0x56, SET_ENTRY, FLUSH, 0x5e, 0x56);
    check("a push", is_fault(3, CODE + 9));
    *entry(0, 0) = frame_of(5) | P;
    RUN(WINDOW, entry(0, 1), frame_of(6) | all, STACK, 0x8b, 0x03, 0x0f, 0x20, 0xc7, 0x0f, 0xba, 0xf7, 0x10, 0x0f, 0x22, 0xc7, 0x89, 0x03, 0x0f,
        0xba, 0xef, 0x10, 0x0f, 0x22, 0xc7, 0x89, 0x03);
    check("CR0.WP off, a store, and on, another", is_fault(3, CODE + 21));
    *entry(0, 0) = frame_of(0) | all;
    RUN(WINDOW, entry(0, 0), frame_of(3) | all, STACK, LOAD, SET_ENTRY, 0x0f, 0x20, 0xdf, 0x0f, 0x22, 0xdf, LOAD_AGAIN);
    check("a load of CR3", is_end(0, 3));
    set_cr4(PGE, true);
    *entry(0, 0) = frame_of(0) | all | G;
    RUN(WINDOW, entry(0, 0), frame_of(3) | all | G, STACK, LOAD, SET_ENTRY, FLUSH, LOAD_AGAIN);
    check("INVLPG of a global page", is_end(0, 3));
    *entry(0, 0) = frame_of(0) | all | G;
    RUN(WINDOW, entry(0, 0), frame_of(4) | all | G, STACK, FLUSH, LOAD, SET_ENTRY, 0x0f, 0x20, 0xe7, 0x0f, 0xba, 0xf7, 0x07, 0x0f, 0x22, 0xe7, LOAD_AGAIN);
    check("CR4.PGE off", is_end(0, 4));
    set_cr4(PGE, false);
}

static void bits(void)
{
    *entry(0, 0) = frame_of(5) | P | W;
    RUN(WINDOW, entry(0, 1), frame_of(6) | P, STACK, LOAD);
    check("a load marks the page accessed", *entry(0, 0) == (frame_of(5) | P | W | A));
    RUN(WINDOW, entry(0, 1), frame_of(6) | P, STACK, 0x8b, 0x03, 0x89, 0x03);
    check("a store dirty", *entry(0, 0) == (frame_of(5) | P | W | A | D));
    RUN(WINDOW, entry(0, 0), frame_of(5) | P | W, STACK, 0x8b, 0x03, 0x89, 0x03, SET_ENTRY, FLUSH, LOAD_AGAIN);
    check("and it is not dirty again by a load", *entry(0, 0) == (frame_of(5) | P | W | A));
    RUN(WINDOW, entry(0, 0), frame_of(5) | P | W, WINDOW + 0x100, 0x5e, 0x56, SET_ENTRY, FLUSH, 0x5e);
    check("nor by a pop", *entry(0, 0) == (frame_of(5) | P | W | A));
    RUN(WINDOW, entry(0, 0), frame_of(5) | P | W, WINDOW + 0x100, 0x5e, 0x56, SET_ENTRY, FLUSH, 0x5e, 0x56);
    check("but by a push", *entry(0, 0) == (frame_of(5) | P | W | A | D));
}

/* MOV EAX, n; RET at an offset of a frame. */
static void put_function(unsigned n, unsigned offset)
{
    volatile uint8_t *at = (volatile uint8_t *)frame_of(n) + offset;

    for (unsigned i = 0; i < 6; i++)
        at[i] = i == 0 ? 0xb8 : i == 1 ? (uint8_t)n : i == 5 ? 0xc3 : 0;
}

/* Its first two bytes are the end of the frame in front of it. */
static void put_rest(unsigned n)
{
    volatile uint8_t *at = (volatile uint8_t *)frame_of(n);

    for (unsigned i = 0; i < 4; i++)
        at[i] = i == 0 ? (uint8_t)n : i == 2 ? 0xc3 : 0;
}

static void code(void)
{
    volatile uint8_t *last = (volatile uint8_t *)frame_of(20) + 0xffe;
    bool smep;
    uint32_t leaf = 7, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
    smep = ebx >> 7 & 1;
    for (unsigned n = 16; n < 18; n++)
        put_function(n, 0);
    for (unsigned n = 18; n < 20; n++)
        put_rest(n);
    *entry(0, 0) = frame_of(16) | P;
    RUN(WINDOW, entry(0, 0), frame_of(17) | P, STACK, CALL, 0x89, 0xc6, SET_ENTRY, FLUSH, CALL);
    check("INVLPG: code", is_end(17, 16));
    *entry(0, 0) = frame_of(16) | P;
    RUN(WINDOW, entry(0, 0), frame_of(16) | P | NX, STACK, CALL, SET_ENTRY, FLUSH, CALL);
    check("code that is data now", is_fault(0x11, WINDOW));
    *entry(0, 0) = frame_of(20) | P;
    *entry(0, 1) = frame_of(18) | P;
    last[0] = 0x66; // MOV AX, in two pages
    last[1] = 0xb8;
    RUN(WINDOW + 0xffe, entry(0, 1), frame_of(19) | P, STACK, CALL, 0x89, 0xc6, SET_ENTRY, FLUSH_SECOND, 0x31, 0xc0, CALL);
    check("the second page of an instruction", frame()->vector == 0x81 && (frame()->r[RAX] & 0xff) == 19 && (frame()->r[RSI] & 0xff) == 18);
    *entry(0, 1) = frame_of(18) | P;
    RUN(WINDOW + 0xffe, entry(0, 1), frame_of(19), STACK, CALL, SET_ENTRY, FLUSH_SECOND, CALL);
    check("that is not there now", frame()->vector == 14 && frame()->rip == WINDOW + 0xffe);
    put_function(18, 0);
    put_function(19, 0);
    last[0] = last[1] = 0x90;
    *entry(0, 1) = frame_of(18) | P;
    RUN(WINDOW + 0xffe, entry(0, 1), frame_of(19) | P, STACK, CALL, 0x89, 0xc6, SET_ENTRY, FLUSH_SECOND, CALL);
    check("a page that code runs into", is_end(19, 18));
    *entry(0, 1) = frame_of(18) | P;
    RUN(WINDOW + 0xffe, entry(0, 1), frame_of(19) | P | NX, STACK, CALL, SET_ENTRY, FLUSH_SECOND, CALL);
    check("and is data now", is_fault(0x11, WINDOW + 4096));
    if (!smep)
        return;
    *entry(0, 0) = frame_of(16) | P | U;
    RUN(WINDOW, entry(0, 0), frame_of(16) | P | U, STACK, CALL, 0x89, 0xc6, 0x0f, 0x20, 0xe7, 0x0f, 0xba, 0xef, 0x14, 0x0f, 0x22, 0xe7, CALL);
    check("CR4.SMEP on", is_fault(0x11, WINDOW) && frame()->r[RSI] == 16);
    set_cr4(SMEP, false);
}

static void large(void)
{
    volatile uint64_t *directory = table(32 + 2) + 1, *small = table(32 + 4 * SPACES);

    for (unsigned i = 0; i < 512; i++)
        small[i] = frame_of(7) | P | W;
    *(volatile uint32_t *)(LARGE_FRAME + 0x5000) = 99;
    *directory = LARGE_FRAME | P | W | LARGE;
    RUN(LARGE_WINDOW + 0x5000, directory, (uint32_t)small | P | W, STACK, LOAD, SET_ENTRY, 0x0f, 0x01, 0xbb, 0, 0x10, 0, 0, LOAD_AGAIN);
    check("INVLPG elsewhere in a large page that is small ones now", is_end(99, 7));
    *directory = 0;
}

static void put_bytes(unsigned n, unsigned offset, const uint8_t *bytes, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        ((volatile uint8_t *)frame_of(n))[offset + i] = bytes[i];
}

/* Code in frame 20, both pages of the window unless another is meant. */
#define PUT(offset, ...)                                            \
    do {                                                            \
        static const uint8_t bytes_[] = {__VA_ARGS__};              \
        put_bytes(20, offset, bytes_, sizeof bytes_);               \
    } while (0)

static void written(void)
{
    const uint64_t all = P | W;

    *entry(0, 0) = *entry(0, 1) = frame_of(20) | all;
    PUT(0, 0xc6, 0x05, 0x01, 0, 0, 0, 7, 0xb8, 1, 0, 0, 0, 0xc3); // mov [rip + 1], 7; mov eax, 1; ret
    RUN(WINDOW, entry(0, 5), 0, STACK, CALL, 0x89, 0xc6, CALL);
    check("code that writes to its next instruction", is_end(7, 7));
    PUT(0, 0xc6, 0x45, 0x05, 9, 0xb8, 1, 0, 0, 0, 0xc3); // mov [rbp + 5], 9: by the other page
    RUN(WINDOW, entry(0, 5), 0, STACK, CALL, 0x89, 0xc6, CALL);
    check("by another address", is_end(9, 9));
    PUT(0, 0xb8, 0, 0, 0, 0, 0xc3); // called and counted up 600 times
    RUN(WINDOW, entry(0, 5), 600, STACK, 0x31, 0xf6, CALL, 0xff, 0x43, 0x01, 0x01, 0xc6, 0xff, 0xca, 0x75, 0xf5);
    check("again and again", is_end(599, 599 * 300));
    PUT(0, 0xb8, 1, 0, 0, 0, 0xc3); // pushed over
    RUN(WINDOW, entry(0, 5), 0x00c300000003b890, STACK, CALL, 0x89, 0xc6, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x63, 0x08, 0x52, 0x48, 0x89, 0xfc, CALL);
    check("by a push", is_end(3, 1));
    PUT(0, 0xb8, 1, 0, 0, 0, 0xc3);
    RUN(WINDOW, entry(0, 5), 0x00c300000004b890, STACK, CALL, 0x89, 0xc6, 0x48, 0x89, 0xd0, 0x48, 0x89, 0xdf, 0x48, 0xab, CALL);
    check("by STOS", is_end(4, 1));
    PUT(0, 0xb8, 1, 0, 0, 0, 0xc3); // eight bytes of which three are in this page
    *entry(0, 0) = frame_of(21) | all;
    RUN(WINDOW + 4096, entry(0, 5), 0x0005b80000000000, STACK, CALL, 0x89, 0xc6, 0x48, 0x89, 0x53, 0xfb, CALL);
    check("by a store that reaches into it", is_end(5, 1));
    PUT(0xffd, 0xb8, 6, 0); // an instruction in two pages, of which the second is written to
    *entry(0, 0) = frame_of(20) | all;
    *entry(0, 1) = frame_of(21) | all;
    *(volatile uint32_t *)frame_of(21) = 0x90c30000;
    RUN(WINDOW + 0xffd, entry(0, 5), 1, STACK, CALL, 0x89, 0xc6, 0x88, 0x55, 0x00, CALL);
    check("the second page of an instruction", is_end(0x10006, 6));
}

/* An entry that is executed: ADD EAX, and AND EAX where the page has been used; ADD AL, AL; RET. */
static void entries(void)
{
    volatile uint64_t *where = entry(0, 3);
    uint64_t value = 0xc3c00000ull << 32 | frame_of(3) | P | U;
    uint32_t operand = frame_of(3) >> 8, sum = operand + 0x11;

    *where = value;
    RUN((uint32_t)where, where, WINDOW + 3 * 4096, STACK, 0xb8, 0x11, 0, 0, 0, CALL, 0x89, 0xc6, 0xb8, 0x11, 0, 0, 0, 0x8a, 0x0a, CALL);
    check("an entry of a table that is code, accessed", is_end(2 * (operand & 0x11), (sum & ~0xffu) | (2 * sum & 0xff)));
}

/* Bit strings by an address of 32 bits, in a segment whose base has more. */
static void far_bits(void)
{
    const unsigned n = 32 + 4 * SPACES + 1;

    table(32)[1] = (TABLES + n * 4096) | P | W;
    table(n)[0] = (TABLES + (n + 1) * 4096) | P | W;
    table(n + 1)[0] = (TABLES + (n + 2) * 4096) | P | W;
    table(n + 2)[0] = frame_of(22) | P | W;
    *(volatile uint32_t *)(frame_of(22) + 16) = 5;
    wrmsr(0xc0000100, 1ull << 39); // FS.base
    RUN(16, (volatile uint64_t *)1, 0, STACK, 0x64, 0x67, 0x0f, 0xab, 0x0b, 0x64, 0x8b, 0x33); // bts fs:[ebx], ecx
    check("BTS with an address of 32 bits in FS", is_end(0, 7));
    wrmsr(0xc0000100, 0);
}

/* A loop that begins right behind STI: its first instruction is the interpreter's once, and later ways round begin with it all the same. */
static void loops(void)
{
    RUN(WINDOW, entry(0, 5), 0, STACK, 0xba, 3, 0, 0, 0, 0x31, 0xc0, 0xb9, 9, 0, 0, 0, 0xfb, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa, 0xfa, 0xff, 0xca,
        0x75, 0xef);
    check("a loop behind STI", is_end(27, 0));
}

/* What user code in space k reads from page `page` with `cr3`: in RAX and RSI, or a fault. */
static void user_reads(unsigned page, uint64_t cr3)
{
    volatile uint64_t *iret = (volatile uint64_t *)MEMORY;

    iret[0] = USER_CODE;
    iret[1] = USER64;
    iret[2] = 2;
    iret[3] = WINDOW + page * 4096 + 0x100;
    iret[4] = USER_DATA;
    RUN(WINDOW + page * 4096, entry(0, 5), cr3, MEMORY, 0x0f, 0x22, 0xda, 0x48, 0xcf);
}

static bool is_read(unsigned value)
{
    return frame()->vector == 13 && frame()->rip == USER_CODE + 3 && frame()->r[RAX] == value && frame()->r[RSI] == word(value);
}

static void invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
    *(volatile uint64_t *)(MEMORY + 64) = pcid;
    *(volatile uint64_t *)(MEMORY + 72) = address;
    RUN(MEMORY + 64, entry(0, 5), type, STACK, 0x66, 0x0f, 0x38, 0x82, 0x13);
    check("INVPCID", frame()->vector == 0x81);
}

static void pcids(void)
{
    uint32_t leaf = 7, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (!(ebx & 1u << 10))
        return;
    set_cr4(PCIDE, true);
    for (unsigned times = 0; times < 2; times++)
        for (unsigned k = 1; k < SPACES; k++) {
            user_reads(0, root(k) | k | (times ? KEEP : 0));
            check("a space by its PCID", is_read(k));
        }
    *entry(11, 0) = frame_of(20 + 5) | P | W | U;
    user_reads(0, root(11) | 11);
    check("a load of CR3 flushes its PCID", is_read(25));
    for (unsigned type = 0; type < 4; type++) {
        *entry(10, 0) = frame_of(10) | P | W | U;
        user_reads(0, root(10) | 10);
        check("before", is_read(10));
        user_reads(0, root(11) | 11 | KEEP);
        check("another", is_read(25));
        *entry(10, 0) = frame_of(26) | P | W | U;
        invpcid(type, 10, WINDOW);
        user_reads(0, root(10) | 10 | KEEP);
        check("INVPCID from another PCID", is_read(26));
    }
    set_cr4(PGE, true);
    *entry(9, 0) = frame_of(9) | P | W | U | G;
    user_reads(0, root(9) | 9);
    check("a global page", is_read(9));
    *entry(9, 0) = frame_of(27) | P | W | U | G;
    RUN(WINDOW, entry(0, 5), 0, STACK, FLUSH);
    user_reads(0, root(9) | 9 | KEEP);
    check("INVLPG with another PCID flushes a global page", is_read(27));
    set_cr4(PGE, false);
    *entry(9, 0) = frame_of(9) | P | U;
    user_reads(0, root(9) | 9);
    check("a user's page", is_read(9));
    *entry(9, 0) = frame_of(9) | P;
    user_reads(0, root(9) | 9);
    check("that is the supervisor's now", is_fault(5, USER_CODE));
    set_cr4(PCIDE, false);
}

void test_views(void)
{
    static const uint8_t user_code[] = {LOAD, 0x5e, 0xf4}; // a load, a pop, and HLT, which is #GP

    long_setup();
    for (unsigned n = 0; n < 32; n++)
        for (unsigned i = 0; i < 1024; i++)
            ((volatile uint32_t *)frame_of(n))[i] = n;
    for (unsigned i = 0; i < sizeof user_code; i++)
        ((volatile uint8_t *)USER_CODE)[i] = user_code[i];
    table(2)[USER_CODE >> 21] |= U;
    for (unsigned k = 0; k < SPACES; k++)
        make_space(k);
    long_cr3 = long_cr3_inside = root(0);
    __asm__ volatile("mov %0, %%cr3" : : "r"(root(0)));
    long_handler = one_event;
    for (unsigned times = 0; times < 3; times++) { // translated code too
        operands();
        bits();
        code();
        large();
        written();
        entries();
        far_bits();
        loops();
    }
    pcids();
    figure("checks", passed);
    figure("failed", failed);
    if (failed)
        finish(false);
}
