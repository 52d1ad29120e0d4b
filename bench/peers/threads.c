/* SPDX-License-Identifier: MIT */
/* Rows with several threads: switches, creation, a contended lock, and work in parallel, which two CPUs do in half the time. */
#include "peers.h"
#include "sys.h"

#define FUTEX_WAIT 128 // private
#define FUTEX_WAKE 129
#define STACK_BYTES 65536
#define THREADS 4

struct thread {
    uint64_t (*start)(void *);
    void *argument;
    uint64_t result;
    void *stack;
    volatile uint32_t id; // 0 again when it has ended
};

/* A thread with a stack of its own; it calls thread_main(thread), which does not return. */
long thread_clone(uint64_t flags, void *stack_top, volatile uint32_t *parent_id, volatile uint32_t *child_id);
__asm__(".globl thread_clone\n"
        "thread_clone:\n"
        "    mov %rcx, %r10\n"
        "    xor %r8d, %r8d\n"
        "    mov $56, %eax\n"
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jnz 1f\n"
        "    xor %ebp, %ebp\n"
        "    pop %rdi\n"
        "    call thread_main\n"
        "    hlt\n"
        "1:  ret\n");

void thread_main(struct thread *thread);
__attribute__((used)) void thread_main(struct thread *thread)
{
    thread->result = thread->start(thread->argument);
    sys3(SYS_EXIT, 0, 0, 0);
}

static int thread_create(struct thread *thread, uint64_t (*start)(void *), void *argument)
{
    thread->start = start;
    thread->argument = argument;
    thread->result = ROW_FAILED;
    thread->stack = map_pages(STACK_BYTES);
    if (!thread->stack)
        return 0;
    void **top = (void **)(void *)((uint8_t *)thread->stack + STACK_BYTES - 16);
    *top = thread;
    // VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, PARENT_SETTID, CHILD_CLEARTID
    return thread_clone(0x350f00, top, &thread->id, &thread->id) > 0;
}

/* The kernel wakes this futex when the thread has ended: not a private one. */
static uint64_t thread_join(struct thread *thread)
{
    uint32_t id;

    while ((id = __atomic_load_n(&thread->id, __ATOMIC_ACQUIRE)))
        sys4(SYS_FUTEX, (long)&thread->id, 0, (long)id, 0);
    unmap_pages(thread->stack, STACK_BYTES);
    return thread->result;
}

#define SWITCHES 1000

/* The two hand a number to and fro: each waits for its own parity. */
struct switching {
    volatile uint32_t turn;
};

static void take_turns(struct switching *s, uint32_t parity)
{
    for (unsigned i = 0; i < SWITCHES; i++) {
        uint32_t turn;
        while (((turn = __atomic_load_n(&s->turn, __ATOMIC_ACQUIRE)) & 1) != parity)
            sys4(SYS_FUTEX, (long)&s->turn, FUTEX_WAIT, (long)turn, 0);
        __atomic_store_n(&s->turn, turn + 1, __ATOMIC_RELEASE);
        sys4(SYS_FUTEX, (long)&s->turn, FUTEX_WAKE, 1, 0);
    }
}

static uint64_t switch_other(void *argument)
{
    take_turns(argument, 1);
    return 0;
}

static uint64_t run_switch(void *memory)
{
    struct switching s = {0};
    struct thread other;

    (void)memory;
    if (!thread_create(&other, switch_other, &s))
        return ROW_FAILED;
    take_turns(&s, 0);
    return thread_join(&other) + s.turn;
}

/* Two processes that only yield to each other. */
static uint64_t run_yield(void *memory)
{
    (void)memory;
    long pid = sys3(SYS_FORK, 0, 0, 0);
    for (unsigned i = 0; i < 5000; i++)
        sys3(SYS_YIELD, 0, 0, 0);
    if (pid == 0)
        sys3(SYS_EXIT_GROUP, 7, 0, 0);
    int status = -1;
    if (pid < 0 || sys4(SYS_WAIT4, pid, (long)&status, 0, 0) != pid)
        return ROW_FAILED;
    return (uint64_t)status;
}

static uint64_t return_argument(void *argument)
{
    return (uint64_t)argument;
}

static uint64_t run_threads(void *memory)
{
    uint64_t sum = 0;

    (void)memory;
    for (uint64_t i = 0; i < 50; i++) {
        struct thread t;
        if (!thread_create(&t, return_argument, (void *)i))
            return ROW_FAILED;
        sum += thread_join(&t);
    }
    return sum;
}

/* A lock of three states: free, taken, taken and somebody may wait. */
struct counter {
    volatile uint32_t lock;
    uint64_t value;
};

static void lock(volatile uint32_t *word)
{
    uint32_t seen = 0;

    if (__atomic_compare_exchange_n(word, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0)
        sys4(SYS_FUTEX, (long)word, FUTEX_WAIT, 2, 0);
}

static void unlock(volatile uint32_t *word)
{
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
        sys4(SYS_FUTEX, (long)word, FUTEX_WAKE, 1, 0);
}

static uint64_t count_up(void *argument)
{
    struct counter *c = argument;

    for (unsigned i = 0; i < 5000; i++) {
        lock(&c->lock);
        c->value++;
        unlock(&c->lock);
        for (volatile unsigned k = 0; k < 20; k++) {
        }
    }
    return 0;
}

/* The results of THREADS threads that do `start`, added up. */
static uint64_t in_parallel(uint64_t (*start)(void *), void *argument, unsigned threads)
{
    struct thread t[THREADS];
    uint64_t sum = 0;

    for (unsigned i = 0; i < threads; i++)
        if (!thread_create(&t[i], start, argument))
            return ROW_FAILED;
    for (unsigned i = 0; i < threads; i++)
        sum += thread_join(&t[i]);
    return sum;
}

static uint64_t run_mutex(void *memory)
{
    struct counter c = {0};

    (void)memory;
    return in_parallel(count_up, &c, THREADS) + c.value;
}

static uint64_t crunch(void *argument)
{
    uint64_t a = 1, b = (uint64_t)argument | 1, sum = 0;

    for (unsigned i = 0; i < 8000000; i++) {
        a = a * 6364136223846793005u + b;
        sum += a >> 33;
    }
    return sum;
}

static uint64_t run_par_integer(void *memory)
{
    (void)memory;
    return in_parallel(crunch, (void *)77, 2);
}

#define PAR_WORDS 65536u

/* Each thread has a table on its own pages, which it shuffles: loads, stores and calls. */
static uint64_t shuffle(void *argument)
{
    (void)argument;
    uint32_t *words = map_pages(PAR_WORDS * 4);
    uint64_t state = 31, sum = 0;

    if (!words)
        return ROW_FAILED;
    for (uint32_t i = 0; i < PAR_WORDS; i++)
        words[i] = i;
    for (uint32_t i = 0; i < 2400000; i++) {
        uint64_t random = random_next(&state);
        uint32_t *a = &words[random % PAR_WORDS], *b = &words[(random >> 32) % PAR_WORDS], swap = *a;
        *a = *b;
        *b = swap;
    }
    for (uint32_t i = 0; i < PAR_WORDS; i++)
        sum = sum * 3 + words[i];
    unmap_pages(words, PAR_WORDS * 4);
    return sum;
}

static uint64_t run_par_memory(void *memory)
{
    (void)memory;
    return in_parallel(shuffle, NULL, 2);
}

/* In one address space, so each unmapping concerns the other's CPU, too. */
static uint64_t touch(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *pages = map_pages(64 * 4096);
        if (!pages)
            return ROW_FAILED;
        for (unsigned k = 0; k < 64; k++)
            ((volatile uint8_t *)pages)[k * 4096] = 1;
        unmap_pages(pages, 64 * 4096);
    }
    return 64;
}

static uint64_t run_par_fault(void *memory)
{
    (void)memory;
    return in_parallel(touch, NULL, 2);
}

const struct row thread_rows[] = {
    {"switch", 30, 2 * SWITCHES, 2 * SWITCHES, run_switch, 0, NULL},
    {"yield", 10, 10000, 7 << 8, run_yield, 0, NULL},
    {"threads", 40, 50, 1225, run_threads, 0, NULL},
    {"mutex", 100, THREADS * 5000, THREADS * 5000, run_mutex, 0, NULL},
    {"par_integer", 4, 1, 0x3d0928404b3dac, run_par_integer, 0, NULL},
    {"par_memory", 4, 1, 0x6427baa1d5b72904, run_par_memory, 0, NULL},
    {"par_fault", 10, 2560, 128, run_par_fault, 0, NULL},
    {0},
};
