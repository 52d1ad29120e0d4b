/* SPDX-License-Identifier: MIT */
/* Test guests for the VM process, chosen by `test=NAME` in the command line. */
#include "guest.h"

#define DEBUG_EXIT 0xf4
#define PM1_CONTROL 0x4004

struct gate {
    uint16_t low, selector, flags, high;
};

static struct gate idt[256];
extern char entries[];
void (*guest_handler)(struct registers *r);
/* For the other CPUs too. */
struct {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed)) guest_idtr;

void serial_setup(void)
{
    out8(0x3fb, 0x03);
    out8(0x3f9, 0x00);
    out8(0x3fc, 0x03);
    out8(0x3fa, 0x07);
}

void put(const char *text)
{
    for (; *text; text++) {
        for (unsigned spin = 0; spin < 100000 && !(in8(0x3fd) & 0x20); spin++)
            ;
        out8(0x3f8, (uint8_t)*text);
    }
}

void put_number(uint64_t value)
{
    char digits[24];
    char *p = digits + sizeof digits;
    *--p = 0;
    /* Long division by ten, so that no library is needed. */
    do {
        uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value, rest = high % 10, quotient;
        high /= 10;
        __asm__("divl %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(rest), "r"(10u));
        value = (uint64_t)high << 32 | quotient;
        *--p = (char)('0' + rest);
    } while (value);
    put(p);
}

void put_hex(uint64_t value)
{
    char text[17];
    for (int i = 15; i >= 0; i--, value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
    text[16] = 0;
    put(text);
}

void figure(const char *name, uint64_t value)
{
    put("figure ");
    put(name);
    put(" ");
    put_number(value);
    put("\n");
}

void finish(bool good)
{
    serial_setup();
    put(good ? "guest: PASS\n" : "guest: FAIL\n");
    for (unsigned spin = 0; spin < 1000000 && !(in8(0x3fd) & 0x40); spin++)
        ;
    out8(DEBUG_EXIT, good ? 0 : 1);
    out16(PM1_CONTROL, 0x2000);
    out16(PM1_CONTROL, 0x3400);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void guest_interrupt(struct registers *r);
void guest_interrupt(struct registers *r)
{
    if (guest_handler) {
        guest_handler(r);
        return;
    }
    put("guest: vector ");
    put_number(r->vector);
    put(" at ");
    put_hex(r->eip);
    put("\n");
    finish(false);
}

static void idt_setup(void)
{
    uint16_t cs;
    __asm__("mov %%cs, %0" : "=r"(cs));
    for (unsigned i = 0; i < 256; i++) {
        uint32_t at = (uint32_t)entries + i * 16;
        idt[i] = (struct gate){(uint16_t)at, cs, 0x8e00, (uint16_t)(at >> 16)};
    }
    guest_idtr.limit = sizeof idt - 1;
    guest_idtr.base = (uint32_t)idt;
    __asm__ volatile("lidt %0" : : "m"(guest_idtr));
}

struct test {
    const char *name;
    void (*run)(void);
};

static const struct test tests[] = {
    {"bench", test_bench}, {"ports", test_ports}, {"memory", test_memory},
    {"triple", test_triple}, {"cli", test_cli}, {"reset", test_reset},
    {"events", test_events}, {"random", test_random}, {"platform", test_platform}, {"wide", test_wide}, {"views", test_views},
    {"litmus", test_litmus}, {"tasks", test_tasks},
};

static const char *command_line;

uint64_t option(const char *name, uint64_t otherwise)
{
    for (const char *line = command_line; *line; line++) {
        const char *at = line, *k = name;
        while (*k && *at == *k)
            at++, k++;
        if (*k || *at != '=' || (line != command_line && line[-1] != ' '))
            continue;
        uint64_t value = 0;
        for (at++; *at >= '0' && *at <= '9'; at++)
            value = value * 10 + (uint64_t)(*at - '0');
        return value;
    }
    return otherwise;
}

static bool asked_for(const char *line, const char *name)
{
    static const char key[] = "test=";
    for (; *line; line++) {
        const char *at = line, *k = key;
        while (*k && *at == *k)
            at++, k++;
        if (*k)
            continue;
        for (k = name; *k && *at == *k; at++, k++)
            ;
        if (!*k && (!*at || *at == ' '))
            return true;
    }
    return false;
}

/* One gap a KiB line is plenty: the boot loader's own GDT may lie anywhere, so we bring ours. */
static const uint64_t gdt[] = {0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull};

static void gdt_setup(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) gdtr = {sizeof gdt - 1, (uint32_t)gdt};
    __asm__ volatile("lgdt %0; ljmp $8, $1f; 1: mov $16, %%eax; mov %%eax, %%ds; mov %%eax, %%es; mov %%eax, %%ss" : : "m"(gdtr)
                     : "eax");
}

static void sse_setup(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr0, %0; and $~4, %0; or $2, %0; mov %0, %%cr0\n"
                     "mov %%cr4, %0; or $0x600, %0; mov %0, %%cr4" : "=r"(value));
}

void guest_main(uint32_t magic, const uint32_t *info);
void guest_main(uint32_t magic, const uint32_t *info)
{
    gdt_setup();
    idt_setup();
    sse_setup();
    serial_setup();
    put("guest: started\n");
    if (magic != 0x2badb002 || !(info[0] & 4))
        finish(false);
    const char *line = command_line = (const char *)info[4];
    for (unsigned i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (asked_for(line, tests[i].name)) {
            tests[i].run();
            finish(true);
        }
    put("guest: no such test\n");
    finish(false);
}
