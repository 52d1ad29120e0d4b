/* SPDX-License-Identifier: MIT */
/*
 * The benchmark program: a Linux program for x86-64 without a C library, and the first process of its guest.
 *     peers list | all | ROW...
 * prints for each row "begin NAME" and "row NAME NANOSECONDS KIND TOTAL", or "bad NAME RESULT EXPECTED". The runs are done in up to
 * BATCHES parts: NANOSECONDS is for one operation in the median one of them, TOTAL is for all. Environment: SCALE, the number of runs in per cent; ROWS, names with commas, or kinds; CPUS, how many
 * CPUs to use. As the first process it prints "init NANOSECONDS TSC CPUS" first (the guest's clock), does ROWS, and powers off.
 */
#include "peers.h"
#include "sys.h"

static const struct {
    const char *name;
    const struct row *rows;
} kinds[] = {
    {"integer", integer_rows}, {"memory", memory_rows}, {"text", text_rows}, {"float", float_rows}, {"system", system_rows},
    {"thread", thread_rows},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What the compiler may call for copies and clearing of its own. */
void *memset(void *to, int value, size_t size);
void *memset(void *to, int value, size_t size)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t size);
void *memcpy(void *to, const void *from, size_t size)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
    return to;
}

struct line {
    char text[200];
    size_t used;
};

static void add(struct line *line, const char *s)
{
    while (*s && line->used < sizeof(line->text))
        line->text[line->used++] = *s++;
}

static void add_number(struct line *line, uint64_t value)
{
    char digits[21];
    char *at = digits + 20;

    *at = 0;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    add(line, at);
}

static void send(struct line *line)
{
    add(line, "\n");
    sys3(SYS_WRITE, 1, (long)line->text, (long)line->used);
    sys3(SYS_IOCTL, 1, 0x5409, 1); // TCSBRK: until a serial line has sent it
    line->used = 0;
}

static uint64_t now(void)
{
    int64_t time[2] = {0, 0};

    sys3(SYS_CLOCK_GETTIME, 1, (long)time, 0);
    return (uint64_t)time[0] * 1000000000u + (uint64_t)time[1];
}

/* Whether `name` is among the names with commas, ended by 0. */
static int listed(const char *name, const char *list)
{
    while (*list) {
        const char *n = name;
        while (*n && *n == *list) {
            n++;
            list++;
        }
        if (!*n && (*list == ',' || !*list))
            return 1;
        while (*list && *list++ != ',') {
        }
    }
    return 0;
}

static uint64_t number(const char *s)
{
    uint64_t value = 0;

    for (; s && *s >= '0' && *s <= '9'; s++)
        value = value * 10 + (uint64_t)(*s - '0');
    return value;
}

static const char *setting(char **environment, const char *name)
{
    for (; *environment; environment++) {
        const char *e = *environment, *n = name;
        while (*n && *n == *e) {
            n++;
            e++;
        }
        if (!*n && *e == '=')
            return e + 1;
    }
    return NULL;
}

static void touch(uint8_t *memory, size_t size)
{
    for (size_t i = 0; i < size; i += 4096)
        *(volatile uint8_t *)(memory + i) = 0;
}

#define BATCHES 9u

static uint64_t middle(uint64_t *list, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++) {
        uint64_t x = list[i], j = i;
        for (; j > 0 && list[j - 1] > x; j--)
            list[j] = list[j - 1];
        list[j] = x;
    }
    return list[count / 2];
}

struct measured {
    uint64_t hundredths; // of a nanosecond for one operation
    uint64_t total;      // ns
    uint64_t result;     // row->expected, or the first other one
};

static struct measured measure_row(const struct row *row, void *memory, uint64_t runs)
{
    struct measured m = {.result = row->expected};
    uint64_t times[BATCHES], done = 0, batches = runs < BATCHES ? runs : BATCHES;

    m.total = now();
    for (uint64_t i = 0; i < batches; i++) {
        uint64_t until = runs * (i + 1) / batches, count = until - done, start = now();
        for (; done < until && m.result == row->expected; done++)
            m.result = row->run(memory);
        times[i] = (now() - start) * 100 / (count * row->operations);
    }
    m.total = now() - m.total;
    m.hundredths = middle(times, batches);
    return m;
}

static void add_measured(struct line *line, const char *kind, const struct measured *m)
{
    add_number(line, m->hundredths / 100);
    add(line, m->hundredths % 100 < 10 ? ".0" : ".");
    add_number(line, m->hundredths % 100);
    add(line, " ");
    add(line, kind);
    add(line, " ");
    add_number(line, m->total);
}

/* 1: all results were right. */
static int run_row(const char *kind, const struct row *row, uint64_t scale)
{
    struct line line = {.used = 0};
    void *memory = row->memory ? map_pages(row->memory) : NULL;

    if (row->memory && !memory)
        return 0;
    if (memory)
        touch(memory, row->memory);
    if (row->prepare)
        row->prepare(memory);
    add(&line, "begin ");
    add(&line, row->name);
    send(&line);
    struct measured m = measure_row(row, memory, (row->runs * scale + 99) / 100);
    int good = m.result == row->expected;
    add(&line, good ? "row " : "bad ");
    add(&line, row->name);
    add(&line, " ");
    if (good) {
        add_measured(&line, kind, &m);
    } else {
        add_number(&line, m.result);
        add(&line, " ");
        add_number(&line, row->expected);
    }
    send(&line);
    if (memory)
        unmap_pages(memory, row->memory);
    return good;
}

static int run_rows(const char *wanted, uint64_t scale)
{
    int good = 1;

    for (size_t k = 0; k < KINDS; k++)
        for (const struct row *row = kinds[k].rows; row->name; row++)
            if (listed(row->name, wanted) || listed(kinds[k].name, wanted) || listed("all", wanted))
                good &= run_row(kinds[k].name, row, scale);
    return good;
}

static void list_rows(void)
{
    struct line line = {.used = 0};

    for (size_t k = 0; k < KINDS; k++) {
        for (const struct row *row = kinds[k].rows; row->name; row++) {
            add(&line, kinds[k].name);
            add(&line, " ");
            add(&line, row->name);
            send(&line);
        }
    }
}

/* The CPUs that this process may use, after it has been confined to the first `most` of them. */
static uint64_t use_cpus(uint64_t most)
{
    uint64_t set[16] = {0}, count = 0;
    long size = sys3(SYS_GETAFFINITY, 0, sizeof(set), (long)set);

    for (long i = 0; i < size * 8; i++) {
        uint64_t bit = 1ul << i % 64;
        if (set[i / 64] & bit && (!most || count < most))
            count++;
        else
            set[i / 64] &= ~bit;
    }
    sys3(SYS_SETAFFINITY, 0, size, (long)set);
    return count;
}

static void first_process(const char *rows, uint64_t scale)
{
    uint64_t time = now();
    uint32_t low, high;
    struct line line = {.used = 0};

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    add(&line, "init ");
    add_number(&line, time);
    add(&line, " ");
    add_number(&line, (uint64_t)high << 32 | low);
    add(&line, " ");
    add_number(&line, use_cpus(0));
    send(&line);
    char clock[32] = "clock ";
    sys6(SYS_MOUNT, (long)"sys", (long)"/sys", (long)"sysfs", 0, 0, 0);
    long file = sys3(SYS_OPEN, (long)"/sys/devices/system/clocksource/clocksource0/current_clocksource", 0, 0);
    long got = sys3(SYS_READ, file, (long)(clock + 6), sizeof(clock) - 7);
    if (got > 0 && clock[5 + got] == '\n') {
        clock[5 + got] = 0;
        add(&line, clock);
        send(&line);
    }
    int good = run_rows(rows, scale);
    add(&line, good ? "done" : "failed");
    send(&line);
    sys4(SYS_REBOOT, (long)0xfee1dead, 672274793, 0x4321fedc, 0);
}

int peers_main(long count, char **arguments);
__attribute__((used)) int peers_main(long count, char **arguments)
{
    char **environment = arguments + count + 1;
    const char *scale_setting = setting(environment, "SCALE"), *rows = setting(environment, "ROWS");
    uint64_t scale = scale_setting ? number(scale_setting) : 100;

    if (scale == 0)
        scale = 1; // each row is run at least once
    program_path = count > 0 ? arguments[0] : "";
    if (sys3(SYS_GETPID, 0, 0, 0) == 1)
        first_process(rows ? rows : "all", scale);
    if (count == 2 && listed("nothing", arguments[1]))
        return NOTHING_STATUS;
    if (count == 2 && listed("list", arguments[1])) {
        list_rows();
        return 0;
    }
    use_cpus(number(setting(environment, "CPUS")));
    if (count < 2)
        return run_rows(rows ? rows : "all", scale) ? 0 : 1;
    int good = 1;
    for (long i = 1; i < count; i++)
        good &= run_rows(arguments[i], scale);
    return good ? 0 : 1;
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov (%rsp), %rdi\n"
        "    lea 8(%rsp), %rsi\n"
        "    and $-16, %rsp\n"
        "    call peers_main\n"
        "    mov %eax, %edi\n"
        "    mov $231, %eax\n"
        "    syscall\n"
        "    hlt\n");
