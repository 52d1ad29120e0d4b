/* SPDX-License-Identifier: MIT */
/* One instruction on the real processor. */
#include "tests/cpu/native.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>

struct native_state native_state __attribute__((aligned(64)));

void native_enter(void);
void native_exit_0(void);
void native_exit_1(void);
void native_leave(void);

__asm__(
    ".text\n"
    ".globl native_enter, native_exit_0, native_exit_1, native_leave\n"
    "native_enter:\n"
    "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "    mov %rsp, native_state+144(%rip)\n"
    "    mov native_state+160(%rip), %rax\n"
    "    test %rax, %rax\n"
    "    jz 1f\n"
    "    xor %edx, %edx\n"
    "    xrstor native_state+192(%rip)\n"
    "1:  mov $0x2b, %eax\n" // Linux's user data segment: 32-bit code needs one
    "    mov %eax, %ds\n"
    "    mov %eax, %es\n"
    "    pushq native_state+128(%rip)\n"
    "    popfq\n"
    "    mov native_state+0(%rip), %rax\n"
    "    mov native_state+8(%rip), %rcx\n"
    "    mov native_state+16(%rip), %rdx\n"
    "    mov native_state+24(%rip), %rbx\n"
    "    mov native_state+40(%rip), %rbp\n"
    "    mov native_state+48(%rip), %rsi\n"
    "    mov native_state+56(%rip), %rdi\n"
    "    mov native_state+64(%rip), %r8\n"
    "    mov native_state+72(%rip), %r9\n"
    "    mov native_state+80(%rip), %r10\n"
    "    mov native_state+88(%rip), %r11\n"
    "    mov native_state+96(%rip), %r12\n"
    "    mov native_state+104(%rip), %r13\n"
    "    mov native_state+112(%rip), %r14\n"
    "    mov native_state+120(%rip), %r15\n"
    "    mov native_state+32(%rip), %rsp\n"
    "    jmp *native_state+136(%rip)\n"
    "native_exit_1:\n"
    "    movq $1, native_state+152(%rip)\n"
    "native_exit_0:\n"
    "    mov %rax, native_state+0(%rip)\n"
    "    mov %rcx, native_state+8(%rip)\n"
    "    mov %rdx, native_state+16(%rip)\n"
    "    mov %rbx, native_state+24(%rip)\n"
    "    mov %rsp, native_state+32(%rip)\n"
    "    mov %rbp, native_state+40(%rip)\n"
    "    mov %rsi, native_state+48(%rip)\n"
    "    mov %rdi, native_state+56(%rip)\n"
    "    mov %r8, native_state+64(%rip)\n"
    "    mov %r9, native_state+72(%rip)\n"
    "    mov %r10, native_state+80(%rip)\n"
    "    mov %r11, native_state+88(%rip)\n"
    "    mov %r12, native_state+96(%rip)\n"
    "    mov %r13, native_state+104(%rip)\n"
    "    mov %r14, native_state+112(%rip)\n"
    "    mov %r15, native_state+120(%rip)\n"
    "    mov native_state+144(%rip), %rsp\n"
    "    pushfq\n"
    "    popq native_state+128(%rip)\n"
    "native_leave:\n"
    "    pushq $0x202\n"
    "    popfq\n"
    "    mov native_state+160(%rip), %rax\n"
    "    test %rax, %rax\n"
    "    jz 1f\n"
    "    xor %edx, %edx\n"
    "    xsave native_state+192(%rip)\n"
    "    fninit\n"
    "    ldmxcsr native_mxcsr(%rip)\n"
    "1:  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "    ret\n"
    "native_mxcsr: .long 0x1f80\n");

static volatile sig_atomic_t running;
static volatile unsigned fault;
static struct sigaction others[SIGSYS + 1]; // by signal

static void on_signal(int number, siginfo_t *info, void *context)
{
    static const int order[16] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    };
    greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;

    if (!running) {
        const struct sigaction *other = &others[number];

        if (other->sa_flags & SA_SIGINFO)
            other->sa_sigaction(number, info, context);
        else
            signal(number, SIG_DFL);
        return;
    }
    for (unsigned i = 0; i < 16; i++)
        native_state.gpr[i] = (uint64_t)gregs[order[i]];
    native_state.rflags = (uint64_t)gregs[REG_EFL];
    native_state.error = (uint64_t)gregs[REG_ERR];
    native_state.cr2 = (uint64_t)gregs[REG_CR2];
    native_state.rip = (uint64_t)gregs[REG_RIP];
    fault = (unsigned)gregs[REG_TRAPNO];
    gregs[REG_RIP] = (greg_t)(uintptr_t)native_leave;
    gregs[REG_RSP] = (greg_t)native_state.host_rsp;
    gregs[REG_EFL] = 0x202;
    gregs[REG_CSGSFS] = (gregs[REG_CSGSFS] & ~0xffffll) | 0x33;
}

/* Selectors of Linux's user code segments (the kernel's GDT, arch/x86). */
#define CODE32 0x23u
#define CODE64 0x33u

void native_put_exit32(uint8_t *code, const uint8_t *thunk)
{
    uint32_t target = (uint32_t)(uintptr_t)thunk;
    uint16_t selector = CODE64;

    code[0] = 0xea; // jmp 33:target
    memcpy(code + 1, &target, 4);
    memcpy(code + 5, &selector, 2);
}

void native_put_entry32(uint8_t *thunk, const uint8_t *code)
{
    static const uint8_t jump[6] = {0xff, 0x2d, 0, 0, 0, 0}; // jmp far [rip + 0]
    uint32_t target = (uint32_t)(uintptr_t)code;
    uint16_t selector = CODE32;

    memcpy(thunk, jump, 6);
    memcpy(thunk + 6, &target, 4);
    memcpy(thunk + 10, &selector, 2);
}

void native_init(void)
{
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static uint8_t memory[1 << 18];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};

    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, &others[signals[i]]);
}

void native_put_exit(uint8_t *code, unsigned which)
{
    static const uint8_t jump[6] = {0xff, 0x25, 0, 0, 0, 0}; // jmp *0(%rip)
    uint64_t target = (uint64_t)(uintptr_t)(which ? native_exit_1 : native_exit_0);

    memcpy(code, jump, sizeof jump);
    memcpy(code + sizeof jump, &target, sizeof target);
}

unsigned native_run(void)
{
    fault = NATIVE_NO_FAULT;
    native_state.exit = 0;
    running = 1;
    native_enter();
    running = 0;
    return fault;
}
