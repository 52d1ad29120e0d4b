/* SPDX-License-Identifier: MIT */
/* What the test guests share: ports, time, interrupts, output. 32-bit protected mode, flat, no paging. */
#ifndef TESTS_GUESTS_GUEST_H
#define TESTS_GUESTS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

static inline void out8(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void out16(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void out32(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }

static inline uint8_t in8(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint64_t tsc(void)
{
    uint64_t v;
    __asm__ volatile("rdtsc" : "=A"(v) : : "memory");
    return v;
}

static inline void wrmsr(uint32_t index, uint64_t v)
{
    __asm__ volatile("wrmsr" : : "c"(index), "A"(v));
}

static inline uint64_t rdmsr(uint32_t index)
{
    uint64_t v;
    __asm__ volatile("rdmsr" : "=A"(v) : "c"(index));
    return v;
}

struct registers {
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax;
    uint32_t vector, error, eip, cs, eflags;
};

/* Set by a test: called for each interrupt and exception; NULL: an exception ends the guest with a report. */
extern void (*guest_handler)(struct registers *r);

void put(const char *text);
void put_number(uint64_t value);
void put_hex(uint64_t value);
/* `figure NAME VALUE` */
void figure(const char *name, uint64_t value);
/* A line with the verdict, then the end of the machine through the debug exit port (code 0 or 1) and power-off. */
_Noreturn void finish(bool good);
/* The number behind `name=` in the command line. */
uint64_t option(const char *name, uint64_t otherwise);
/* The UART as the tests need it, whatever was done to it. */
void serial_setup(void);

void test_bench(void);
void test_ports(void);
void test_memory(void);
void test_triple(void);
void test_cli(void);
void test_reset(void);
void test_events(void);
void test_random(void);
void test_platform(void);
void test_wide(void);
void test_views(void);
void test_litmus(void);
void test_tasks(void);

#endif
