/* SPDX-License-Identifier: MIT */
/*
 * A program for a guest: several processes whose AVX registers hold random numbers while the
 * kernel takes the processor away from them by timer, by sched_yield() and by signals, whose
 * handlers use the registers too. usage: vectors PROCESSES ROUNDS
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGISTERS 16
#define BYTES     32
#define SPIN      "2000"
#define YIELD     "24" // sched_yield() of Linux on x86-64

static volatile unsigned signals;

/* Its own numbers in registers that have others' in them. */
static void on_signal(int number)
{
    (void)number;
    __asm__ volatile("vpcmpeqd %%ymm7, %%ymm7, %%ymm7\n\tvmovdqa %%ymm7, %%ymm15\n\t"
                     "vpaddb %%ymm7, %%ymm15, %%ymm3" : : : "xmm3", "xmm7", "xmm15");
    signals = signals + 1;
}

#define EACH(move)                                                                       \
    move(0) move(1) move(2) move(3) move(4) move(5) move(6) move(7) move(8) move(9)      \
    move(10) move(11) move(12) move(13) move(14) move(15)
#define LOAD(n)  "vmovdqu " #n "*32(%0), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%1)\n\t"

/* From `in` to the registers, a while, and from them to `out`. */
static void hold(const uint8_t *in, uint8_t *out, int yield)
{
    __asm__ volatile(EACH(LOAD) "test %2, %2\n\tjz 1f\n\tmov $" YIELD ", %%eax\n\tsyscall\n"
                     "1:\tmov $" SPIN ", %%ecx\n2:\tdec %%ecx\n\tjnz 2b\n\t" EACH(STORE)
                     : : "r"(in), "r"(out), "r"(yield)
                     : "rax", "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
                       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                       "xmm14", "xmm15");
}

static int process(unsigned id, unsigned rounds)
{
    struct itimerval timer = {{0, 3000}, {0, 3000}};
    uint8_t in[REGISTERS * BYTES], out[REGISTERS * BYTES];
    unsigned wrong = 0;

    srand(id);
    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = 0; k < sizeof in; k++)
            in[k] = (uint8_t)rand();
        hold(in, out, i % 5 == 0);
        wrong += memcmp(in, out, sizeof in) != 0;
    }
    printf("process %u: %u of %u rounds wrong, %u signals\n", id, wrong, rounds, signals);
    return wrong != 0 || signals == 0;
}

int main(int argc, char **argv)
{
    unsigned processes = argc > 1 ? (unsigned)atoi(argv[1]) : 4,
             rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 10000;
    int status, failed = 0;

    if (!__builtin_cpu_supports("avx2")) {
        puts("no AVX2");
        return 0;
    }
    for (unsigned i = 0; i < processes; i++)
        if (fork() == 0)
            return process(i, rounds);
    while (wait(&status) > 0)
        failed |= status;
    puts(failed ? "vectors: wrong" : "vectors: right");
    return failed != 0;
}
