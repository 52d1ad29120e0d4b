/* SPDX-License-Identifier: MIT */
/*
 * The microhypervisor's figures: exact instruction counts when the machine counts one tick an instruction (doc/performance.md).
 * Each is the smallest of many rounds, less what an empty pair of readings takes; interrupts stay on.
 */
#include "rig.h"

#define ROUNDS     64
#define CHILD_CODE 0x400000ull
#define CHILD_UTCB 0x700000ull

/*
 * Two servers: they check that one word is 0x77, or that the words (a multiple of 8) XOR to nothing, and answer as many. Position
 * independent; the stack pointer is the UTCB's address, and nothing is ever pushed.
 */
extern char bench_start[], bench_one[], bench_many[], bench_end[];
__asm__(".pushsection .text\n"
        "bench_start:\n"
        "bench_one:\n"
        "    cmpq $0x77, (%rsp)\n"
        "    jne 9f\n"
        "    mov $1, %edi\n"
        "    syscall\n"
        "bench_many:\n"
        "    mov %rsp, %rdx\n"
        "    mov %esi, %ecx\n"
        "    pxor %xmm0, %xmm0\n"
        "1:  pxor (%rdx), %xmm0\n"
        "    pxor 16(%rdx), %xmm0\n"
        "    pxor 32(%rdx), %xmm0\n"
        "    pxor 48(%rdx), %xmm0\n"
        "    add $64, %rdx\n"
        "    sub $8, %ecx\n"
        "    jnz 1b\n"
        "    ptest %xmm0, %xmm0\n"
        "    jnz 9f\n"
        "    mov $1, %edi\n"
        "    syscall\n"
        "9:  ud2\n"
        "bench_end:\n"
        ".popsection\n");

/* The low half of the TSC is enough for what is measured. */
static inline uint32_t stamp(void)
{
    uint32_t low;
    __asm__ volatile("rdtsc" : "=a"(low) : : "edx", "memory");
    return low;
}

static uint32_t empty_pair(void)
{
    uint32_t best = ~0u;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t from = stamp(), taken = stamp() - from;
        best = taken < best ? taken : best;
    }
    return best;
}

/* Runs `operation` between two readings, ROUNDS times, `before` outside; the smallest count. */
#define MEASURE(result, before, operation)              \
    do {                                                \
        uint32_t best_ = ~0u;                           \
        for (unsigned i_ = 0; i_ < ROUNDS; i_++) {      \
            before;                                     \
            uint32_t from_ = stamp();                   \
            operation;                                  \
            uint32_t taken_ = stamp() - from_;          \
            best_ = taken_ < best_ ? taken_ : best_;    \
        }                                               \
        (result) = best_ - empty_pair();                \
    } while (0)

static inline void plain(uint64_t rdi, uint64_t rsi)
{
    uint64_t rax = 0, rdx = 0;
    __asm__ volatile("syscall"
                     : "+D"(rdi), "+S"(rsi), "+a"(rax), "+d"(rdx)
                     :
                     : "rcx", "r8", "r9", "r10", "r11", "memory");
}

static void fill(uint64_t words)
{
    for (uint64_t w = 0; w < words; w++)
        utcb_root()->word[w] = words == 1 ? 0x77 : 0x0101010101010101ull * (w / 4 + 1);
}

/* Every round's reply is looked at: it must be what was sent, or the figure is worth nothing. */
static bool came_back(uint64_t words)
{
    for (uint64_t w = 0; w < words; w++) {
        if (utcb_root()->word[w] != (words == 1 ? 0x77 : 0x0101010101010101ull * (w / 4 + 1)))
            return false;
    }
    return true;
}

static void bench_call(const char *name, uint64_t portal, uint64_t words)
{
    uint64_t taken, mtd = words;
    fill(words);
    check_is(ipc_call(portal, 0, &mtd), ABI_OK);
    check_is(mtd, words);
    MEASURE(taken, (check(came_back(words)), fill(words)), plain(call_id(ABI_IPC_CALL, 0, portal), words));
    check(came_back(words));
    figure(name, taken);
}

static void bench_ipc(void)
{
    uint64_t s = sel_take(12), frame = frames_take(1);
    check(child_create(s, 64));
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, TEST_MEMORY / PAGE, 1, ABI_PERM_MEM_ALL, 0), ABI_OK);
    for (char *from = bench_start, *to = (char *)TEST_MEMORY; from < bench_end; from++, to++)
        *to = *from;
    check_is(delegate(OWN_HST, s + 2, TEST_MEMORY / PAGE, CHILD_CODE / PAGE, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_X, 0), ABI_OK);
    check_is(create_local(s + 3, s, CHILD_UTCB, 0, CHILD_UTCB, ~0ull), ABI_OK);
    check_is(create_local(s + 4, OWN_PD, utcb_address(0), 0, utcb_address(0), ~0ull), ABI_OK);
    uint64_t many = (uint64_t)(bench_many - bench_start);
    check_is(create_pt(s + 5, OWN_PD, s + 3, CHILD_CODE, 0), ABI_OK);
    check_is(create_pt(s + 6, OWN_PD, s + 3, CHILD_CODE + many, 0), ABI_OK);
    check_is(create_pt(s + 7, OWN_PD, s + 4, (uint64_t)bench_one, 0), ABI_OK);
    check_is(create_pt(s + 8, OWN_PD, s + 4, (uint64_t)bench_many, 0), ABI_OK);
    bench_call("ipc_same_1w", s + 7, 1);
    bench_call("ipc_same_8w", s + 8, 8);
    bench_call("ipc_same_64w", s + 8, 64);
    bench_call("ipc_cross_1w", s + 5, 1);
    bench_call("ipc_cross_8w", s + 6, 8);
    bench_call("ipc_cross_64w", s + 6, 64);
    check_is(revoke(OWN_OBJ, s, 12, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, TEST_MEMORY / PAGE, 1, ABI_REVOKE_SELF), ABI_OK);
}

static void bench_calls(void)
{
    uint64_t s = sel_take(8), taken, frame = frames_take(1), page = TEST_MEMORY / PAGE;
    MEASURE(taken, (void)0, plain(0xff, 0));
    figure("hypercall_bad", taken);
    check_is(create_sm(s, OWN_PD, 0), ABI_OK);
    MEASURE(taken, (void)0, plain(call_id(ABI_CTRL_SM, ABI_SM_UP, s), 0));
    figure("sm_up", taken);
    MEASURE(taken, check_is(sm_up(s), ABI_OK), plain(call_id(ABI_CTRL_SM, ABI_SM_DOWN, s), 0));
    figure("sm_down", taken);
    check(child_create(s + 1, 64));
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, page, 1, ABI_PERM_MEM_ALL, 0), ABI_OK);
    struct call c;
    /* Neighbours that stay, so that the tables do: what is counted is the delegation itself. */
    check_is(delegate(OWN_OBJ, s + 2, s, 7, 1, 31, 0), ABI_OK);
    check_is(delegate(OWN_HST, s + 3, page, 7, 1, 3, 0), ABI_OK);
    MEASURE(taken, check_is(revoke(s + 2, 5, 1, ABI_REVOKE_SELF), ABI_OK),
            (c = (struct call){.rsi = s + 2, .rdx = s, .rax = 5, .r8 = 1, .r9 = 31}, call_raw(ABI_DELEGATE | OWN_OBJ << 16, &c)));
    check_is(c.rsi, 1);
    figure("delegate_obj", taken);
    MEASURE(taken, check_is(revoke(s + 3, 5, 1, ABI_REVOKE_SELF), ABI_OK),
            (c = (struct call){.rsi = s + 3, .rdx = page, .rax = 5, .r8 = 1, .r9 = 3}, call_raw(ABI_DELEGATE | OWN_HST << 16, &c)));
    check_is(c.rsi, 1);
    figure("delegate_page", taken);
    check_is(revoke(s + 2, 5, 1, ABI_REVOKE_SELF), ABI_OK);
    MEASURE(taken, check_is(delegate(OWN_OBJ, s + 2, s, 5, 1, 31, 0), ABI_OK),
            (c = (struct call){.rsi = 5, .rdx = 1}, call_raw(call_id(ABI_REVOKE, ABI_REVOKE_SELF, s + 2), &c));
            check_is(revoke(s + 2, 5, 1, ABI_REVOKE_SELF), ABI_OK));
    figure("revoke_obj", taken);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, page, 1, ABI_REVOKE_SELF), ABI_OK);
}

/* What a PD with its three spaces costs in kernel memory, counted in its own account. */
static void bench_pd(void)
{
    uint64_t s = sel_take(4), used = 0;
    check(child_create(s, 64));
    check_is(create_space(s + 3, s, ABI_SPACE_PIO), ABI_OK);
    check_is(quota_query(s, &used, 0), ABI_OK);
    figure("pd_kernel_bytes", used * PAGE);
    check_is(revoke(OWN_OBJ, s, 4, ABI_REVOKE_SELF), ABI_OK);
}

static void bench_exits(void)
{
    /* A guest that executes CPUID for ever: its JMP is part of each round. */
    static const uint8_t code[] = {0x0f, 0xa2, 0xeb, 0xfc};
    struct rig r;
    uint64_t taken, frame = frames_take(16);
    check(rig_create(&r, 0, frame));
    struct abi_vcpu *v = r.state;
    real_mode(v, code, sizeof code);
    check_is(rig_run(&r), ABI_EXIT_CPUID);
    MEASURE(taken, (void)0, (v->rip += 2, plain(call_id(ABI_VCPU_RUN, 0, r.sel + 3), 0)));
    check_is(v->reason, ABI_EXIT_CPUID);
    check_is(v->rip, 0x100);
    figure("exit_cpuid_min", taken);
    v->want[ABI_EXIT_CPUID] = ABI_VCPU_ALL;
    real_mode(v, code, sizeof code);
    check_is(rig_run(&r), ABI_EXIT_CPUID);
    MEASURE(taken, (void)0,
            (v->rip += 2, v->dirty = ABI_VCPU_ALL & ~ABI_VCPU_XSTATE, plain(call_id(ABI_VCPU_RUN, 0, r.sel + 3), 0)));
    check_is(v->valid & ABI_VCPU_CR, ABI_VCPU_CR);
    figure("exit_cpuid_full", taken);
    rig_destroy(&r);
}

void suite_bench(void)
{
    note("an empty pair of readings", empty_pair());
    bench_ipc();
    bench_calls();
    bench_pd();
    if (test_info->features & (ABI_FEATURE_SVM | ABI_FEATURE_VTX))
        bench_exits();
}
