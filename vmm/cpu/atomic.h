/* SPDX-License-Identifier: MIT */
/*
 * Loads, stores and locked operations on guest RAM, at any alignment, each as one access of the
 * processor (so that other vCPUs see it whole wherever a real one would show it whole: SDM volume
 * 3, 9.1). Sizes are 1, 2, 4 and 8.
 */
#ifndef VMM_CPU_ATOMIC_H
#define VMM_CPU_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t atomic_load_guest(const uint8_t *p, unsigned size)
{
    uint64_t value;

    switch (size) {
    case 1: __asm__ volatile("movzbl %1, %k0" : "=r"(value) : "m"(*(const uint8_t(*)[1])p)); break;
    case 2: __asm__ volatile("movzwl %1, %k0" : "=r"(value) : "m"(*(const uint8_t(*)[2])p)); break;
    case 4:  __asm__ volatile("movl %1, %k0" : "=r"(value) : "m"(*(const uint8_t (*)[4])p)); break;
    default: __asm__ volatile("movq %1, %0" : "=r"(value) : "m"(*(const uint8_t (*)[8])p)); break;
    }
    return value;
}

static inline void atomic_store_guest(uint8_t *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:  __asm__ volatile("movb %b1, %0" : "=m"(*(uint8_t (*)[1])p) : "q"(value)); break;
    case 2:  __asm__ volatile("movw %w1, %0" : "=m"(*(uint8_t (*)[2])p) : "r"(value)); break;
    case 4:  __asm__ volatile("movl %k1, %0" : "=m"(*(uint8_t (*)[4])p) : "r"(value)); break;
    default: __asm__ volatile("movq %1, %0" : "=m"(*(uint8_t (*)[8])p) : "r"(value)); break;
    }
}

/* Stores `value` if `*expected` is there; else *expected becomes what is there. */
static inline bool atomic_cas_guest(uint8_t *p, unsigned size, uint64_t *expected, uint64_t value)
{
    uint64_t rax = *expected;
    bool done;

    switch (size) {
    case 1:
        __asm__ volatile("lock cmpxchgb %b3, %1"
                         : "+a"(rax), "+m"(*(uint8_t(*)[1])p), "=@ccz"(done)
                         : "q"(value));
        rax = (uint8_t)rax;
        break;
    case 2:
        __asm__ volatile("lock cmpxchgw %w3, %1"
                         : "+a"(rax), "+m"(*(uint8_t(*)[2])p), "=@ccz"(done)
                         : "r"(value));
        rax = (uint16_t)rax;
        break;
    case 4:
        __asm__ volatile("lock cmpxchgl %k3, %1"
                         : "+a"(rax), "+m"(*(uint8_t(*)[4])p), "=@ccz"(done)
                         : "r"(value));
        rax = (uint32_t)rax;
        break;
    default:
        __asm__ volatile("lock cmpxchgq %3, %1"
                         : "+a"(rax), "+m"(*(uint8_t(*)[8])p), "=@ccz"(done)
                         : "r"(value));
        break;
    }
    *expected = rax;
    return done;
}

/* 16 aligned bytes: low and high half. */
static inline bool atomic_cas16_guest(uint8_t *p, uint64_t expected[2], uint64_t low, uint64_t high)
{
    bool done;

    __asm__ volatile("lock cmpxchg16b %2"
                     : "+a"(expected[0]), "+d"(expected[1]), "+m"(*(uint8_t(*)[16])p), "=@ccz"(done)
                     : "b"(low), "c"(high));
    return done;
}

#endif
