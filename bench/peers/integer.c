/* SPDX-License-Identifier: MIT */
/* Rows of integer work, branches and calls. */
#include "peers.h"
#include "sys.h"

static uint64_t run_integer(void *memory)
{
    uint64_t a = 1, b = 2, c = 3;

    (void)memory;
    for (unsigned i = 0; i < 400000; i++) {
        a = a * 6364136223846793005u + 1442695040888963407u;
        b ^= a >> 29;
        c += b << 7 | b >> 57;
        if (c & 16)
            b += c;
    }
    return a ^ b ^ c;
}

ROW_CALL static unsigned fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t run_fib(void *memory)
{
    (void)memory;
    return fib(25);
}

#define BRANCH_BYTES 65536

/* Something like a program's text: words, numbers, spaces, signs. */
static void prepare_branchy(void *memory)
{
    static const char signs[] = "+-*/=<>();,.{}&|";
    uint64_t state = 5;
    uint8_t *text = memory;

    for (unsigned i = 0; i < BRANCH_BYTES;) {
        uint64_t random = random_next(&state) >> 8;
        unsigned length = 2 + (unsigned)(random >> 8 & 7);
        if (random % 8 < 2) {
            text[i++] = (uint8_t)signs[random >> 4 & 15];
            length = 0;
        }
        for (; length && i < BRANCH_BYTES; length--, random = random >> 3 | random << 61)
            text[i++] = (uint8_t)((random & 3) && random % 8 < 7 ? 'a' + random % 26 : '0' + random % 10);
        if (i < BRANCH_BYTES)
            text[i++] = random % 16 ? ' ' : '\n';
    }
}

/*
 * A scanner: what a byte means depends on the ones before. The empty statements keep the compiler from turning branches into
 * conditional moves.
 */
static uint64_t run_branchy(void *memory)
{
    const uint8_t *p = memory;
    uint64_t words = 0, value = 0, sum = 0, depth = 0, lines = 0;
    int inside = 0;

    for (unsigned i = 0; i < BRANCH_BYTES; i++) {
        uint8_t x = p[i];
        if (x == ' ' || x == '\n') {
            if (inside == 2) {
                __asm__ volatile("");
                sum += value;
            }
            if (x == '\n')
                lines++;
            inside = 0;
        } else if (x >= 'a' && x <= 'z') {
            if (inside != 1) {
                __asm__ volatile("");
                words++;
                inside = 1;
            }
        } else if (x >= '0' && x <= '9') {
            if (inside == 0) {
                __asm__ volatile("");
                inside = 2;
                value = 0;
            }
            if (inside == 2)
                value = value * 10 + x - '0';
        } else if (x == '(' || x == '{') {
            __asm__ volatile("");
            depth++;
        } else if (x == ')' || x == '}') {
            if (depth) {
                __asm__ volatile("");
                depth--;
            }
        } else {
            __asm__ volatile("");
            sum ^= x * words;
        }
    }
    return sum + words * 31 + lines * 961 + depth;
}

#define STEP(n, expression) \
    ROW_CALL static uint64_t step##n(uint64_t x) \
    { \
        return expression; \
    }
STEP(0, x + 1)
STEP(1, x ^ x >> 3)
STEP(2, x * 5)
STEP(3, x - 77)
STEP(4, x << 1 | x >> 63)
STEP(5, ~x)
STEP(6, x + (x >> 7))
STEP(7, x ^ 0x5555)

static uint64_t (*const steps[])(uint64_t) = {step0, step1, step2, step3, step4, step5, step6, step7};

/* A list of 200 calls, gone through again and again, as with the methods of a collection of objects. */
static uint64_t run_indirect(void *memory)
{
    uint64_t (**list)(uint64_t) = memory;
    uint64_t state = 9, x = 1;

    for (unsigned i = 0; i < 200; i++)
        list[i] = steps[random_next(&state) >> 60 & 7];
    for (unsigned i = 0; i < 1000; i++)
        for (unsigned k = 0; k < 200; k++)
            x = list[k](x);
    return x;
}

/* A register machine: operation, destination, two sources or an immediate. */
enum { OP_LOAD, OP_ADD, OP_ADDI, OP_SHR, OP_ANDI, OP_MULI, OP_JNZ, OP_JLT, OP_JUMP, OP_STORE, OP_FETCH, OP_END };
struct op {
    uint8_t code, to, a;
    int16_t value;
};

/* The lengths of the Collatz sequences from r1 = 1 to 999, with a histogram in memory. */
static const struct op program[] = {
    {OP_LOAD, 1, 0, 1},
    {OP_LOAD, 5, 0, 0},
    {OP_LOAD, 9, 0, 1000},
    {OP_LOAD, 2, 0, 0},    // 3: next start
    {OP_ADD, 2, 1, 2},
    {OP_LOAD, 3, 0, 0},
    {OP_LOAD, 8, 0, 2},
    {OP_JLT, 2, 8, 8},     // 7: at 1, to 15
    {OP_ADDI, 3, 3, 1},
    {OP_ANDI, 4, 2, 1},
    {OP_JNZ, 4, 0, 3},
    {OP_SHR, 2, 2, 1},
    {OP_JUMP, 0, 0, -5},
    {OP_MULI, 2, 2, 3},    // 13
    {OP_JUMP, 0, 0, 5},
    {OP_FETCH, 6, 3, 0},   // 15
    {OP_ADDI, 6, 6, 1},
    {OP_STORE, 6, 3, 0},
    {OP_JUMP, 0, 0, 3},
    {OP_ADDI, 2, 2, 1},    // 19
    {OP_JUMP, 0, 0, -13},
    {OP_ADD, 5, 5, 3},     // 21
    {OP_ADDI, 1, 1, 1},
    {OP_JLT, 1, 9, -20},
    {OP_END, 5, 0, 0},
};

ROW_CALL static uint64_t interpret(const struct op *op, uint64_t *memory)
{
    uint64_t r[16] = {0};

    for (;; op++) {
        switch (op->code) {
        case OP_LOAD:  r[op->to] = (uint64_t)op->value; break;
        case OP_ADD:   r[op->to] = r[op->a] + r[(uint8_t)op->value & 15]; break;
        case OP_ADDI:  r[op->to] = r[op->a] + (uint64_t)op->value; break;
        case OP_SHR:   r[op->to] = r[op->a] >> op->value; break;
        case OP_ANDI:  r[op->to] = r[op->a] & (uint64_t)op->value; break;
        case OP_MULI:  r[op->to] = r[op->a] * (uint64_t)op->value; break;
        case OP_JNZ:   if (r[op->to]) op += op->value - 1; break;
        case OP_JLT:   if (r[op->to] < r[op->a]) op += op->value - 1; break;
        case OP_JUMP:  op += op->value - 1; break;
        case OP_STORE: memory[r[op->a] & 511] = r[op->to]; break;
        case OP_FETCH: r[op->to] = memory[r[op->a] & 511]; break;
        case OP_END:   return r[op->to];
        default:       return ROW_FAILED;
        }
    }
}

static uint64_t run_bytecode(void *memory)
{
    return interpret(program, memory);
}

/* Uncontended atomic operations. */
static uint64_t run_atomic(void *memory)
{
    uint64_t *word = memory, sum = 0;

    __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 50000; i++) {
        uint64_t seen = __atomic_fetch_add(word, i, __ATOMIC_SEQ_CST);
        sum += seen;
        seen += i;
        if (!__atomic_compare_exchange_n(word, &seen, seen ^ 5, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return ROW_FAILED;
    }
    return sum;
}

const struct row integer_rows[] = {
    {"intloop", 100, 1, 0xb306baa0802f5c5f, run_integer, 0, NULL},
    {"fib", 200, 1, 75025, run_fib, 0, NULL},
    {"branchy", 100, 1, 3410475, run_branchy, BRANCH_BYTES, prepare_branchy},
    {"indirect", 150, 1, 0xf5b68baab16eac10, run_indirect, 4096, NULL},
    {"bytecode", 80, 1, 59431, run_bytecode, 4096, NULL},
    {"atomic", 80, 1, 0x12f258f3ac70, run_atomic, 4096, NULL},
    {0},
};
