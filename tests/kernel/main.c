/* SPDX-License-Identifier: MIT */
/* The kernel tests' runner: console, bookkeeping, the list of suites. */
#include "ktest.h"

#include "abi/debug.h"
#include "lib/string.h"

#define STACKS      384
#define STACK_BYTES 16384

const struct abi_info *test_info;

static uint64_t passed, failed, skipped, next_sel, frame_base, frame_next, frame_end;
static const char *options_string = "";
static uint8_t stacks[STACKS][STACK_BYTES] __attribute__((aligned(4096)));
static unsigned stacks_used;

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(const char *s)
{
    for (; *s; s++) {
        out8(0xe9, (uint8_t)*s);
        for (int spin = 0; spin < 100000 && !(in8(0x3fd) & 0x20); spin++)
            ;
        out8(0x3f8, (uint8_t)*s);
    }
}

static void put_number(uint64_t value)
{
    char digits[21];
    int at = 20;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(digits + at);
}

void note(const char *text, uint64_t value)
{
    put("# ");
    put(text);
    put(" ");
    put_number(value);
    put("\n");
}

void figure(const char *name, uint64_t value)
{
    put("figure ");
    put(name);
    put(" ");
    put_number(value);
    put("\n");
}

static void result(bool good, const char *what)
{
    put(good ? "ok " : "not ok ");
    put_number(passed + failed + skipped);
    put(" - ");
    put(what);
    put("\n");
}

/* Passing checks are counted, and shown a suite at a time; failing ones are shown one by one. */
void check_at(const char *file, int line, bool good, const char *what)
{
    if (good) {
        __atomic_fetch_add(&passed, 1, __ATOMIC_RELAXED); // several threads check
        return;
    }
    __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
    result(false, what);
    put("#   at ");
    put(file);
    put(":");
    put_number((uint64_t)line);
    put("\n");
}

void check_is_at(const char *file, int line, uint64_t got, uint64_t want, const char *what)
{
    check_at(file, line, got == want, what);
    if (got != want) {
        note("  got ", got);
        note("  want", want);
    }
}

void check_skip(const char *what, const char *why)
{
    skipped++;
    put("ok ");
    put_number(passed + failed + skipped);
    put(" - ");
    put(what);
    put(" # SKIP ");
    put(why);
    put("\n");
}

uint64_t sel_take(unsigned count)
{
    uint64_t sel = next_sel;
    next_sel += count;
    return sel;
}

static void frames_find(void)
{
    uint64_t best = 0;
    for (unsigned i = 0; i < test_info->range_count; i++) {
        const struct abi_memory_range *r = &test_info->range[i];
        if (r->type == ABI_MEMORY_FREE && r->size > best) {
            best = r->size;
            frame_base = r->base / PAGE;
            frame_end = (r->base + r->size) / PAGE;
        }
    }
    frame_next = frame_base;
}

uint64_t frames_take(uint64_t count)
{
    if (count >= 512)
        frame_next = (frame_next + 511) & ~511ull;
    uint64_t at = frame_next;
    frame_next += count;
    return frame_next <= frame_end ? at : 0;
}

void frames_reset(void)
{
    frame_next = frame_base;
}

static uint64_t stack_with(uint64_t word)
{
    if (stacks_used == STACKS)
        return 0;
    uint8_t *top = stacks[stacks_used++] + STACK_BYTES - 16;
    memcpy(top, &word, sizeof word);
    return (uint64_t)top;
}

uint64_t server_stack(portal_handler handler)
{
    return stack_with((uint64_t)handler);
}

uint64_t thread_stack(void (*entry)(uint64_t))
{
    return stack_with((uint64_t)entry);
}

void stacks_reset(void)
{
    stacks_used = 0;
}

static uint64_t debug_call(uint64_t op, struct call *c)
{
    *c = (struct call){0};
    return test_info->features & ABI_FEATURE_ASSERT ? call_raw(call_id(ABI_DEBUG, op, 0), c) : ABI_OK;
}

void kernel_check(void)
{
    struct call c;
    check_is(debug_call(ABI_DEBUG_CHECK, &c), ABI_OK);
}

struct kernel_state kernel_state(void)
{
    struct call count, check;
    check_is(debug_call(ABI_DEBUG_COUNT, &count), ABI_OK);
    check_is(debug_call(ABI_DEBUG_CHECK, &check), ABI_OK);
    return (struct kernel_state){count.rsi, count.rdx, check.rsi};
}

bool child_create(uint64_t sel, uint64_t frames)
{
    return create_pd(sel, OWN_PD, frames) == ABI_OK && create_space(sel + 1, sel, ABI_SPACE_OBJ) == ABI_OK &&
           create_space(sel + 2, sel, ABI_SPACE_HST) == ABI_OK;
}

uint64_t option(const char *name, uint64_t otherwise)
{
    size_t length = strlen(name);
    for (const char *s = options_string; *s; s++) {
        if ((s == options_string || s[-1] == ' ') && !strncmp(s, name, length) && s[length] == '=') {
            uint64_t value = 0;
            for (s += length + 1; *s >= '0' && *s <= '9'; s++)
                value = value * 10 + (uint64_t)(*s - '0');
            return value;
        }
    }
    return otherwise;
}

/* The string of the first module, mapped from where the boot loader left it. */
static void options_find(void)
{
    for (unsigned i = 0; i < test_info->range_count; i++) {
        const struct abi_memory_range *r = &test_info->range[i];
        if (r->type != ABI_MEMORY_MODULE)
            continue;
        uint64_t page = r->aux / PAGE;
        if (delegate(ABI_SEL_PHYS, OWN_HST, page, TEST_MEMORY / PAGE - 2, 2, ABI_PERM_MEM_R, 0) == ABI_OK)
            options_string = (const char *)(TEST_MEMORY - 2 * PAGE + r->aux % PAGE);
        return;
    }
}

struct suite {
    const char *name;
    void (*run)(void);
};

static const struct suite suites[] = {
    {"information page", suite_info},
    {"every status of every hypercall", suite_status},
    {"protection domains and quota", suite_pd},
    {"delegation", suite_delegate},
    {"revocation", suite_revoke},
    {"calls and replies", suite_ipc},
    {"semaphores", suite_semaphore},
    {"exceptions and recall", suite_event},
    {"isolation", suite_isolation},
    {"interrupts", suite_interrupt},
    {"several CPUs", suite_smp},
    {"virtual CPUs", suite_vcpu},
    {"address space tags", suite_tags},
    {"failing allocations", suite_memory_failure},
    {"random hypercalls", suite_random},
};

/* A suite leaves nothing behind, not a frame and not an object. */
static void run_suite(const struct suite *s)
{
    uint64_t before = 0, after = 0, limit, failed_before = failed, passed_before = passed;
    next_sel = ABI_SEL_FREE + 512;
    frames_reset();
    stacks_reset();
    put("# suite: ");
    put(s->name);
    put("\n");
    struct kernel_state state = kernel_state();
    check_is(quota_query(OWN_PD, &before, &limit), ABI_OK);
    s->run();
    check_is(quota_query(OWN_PD, &after, &limit), ABI_OK);
    check_is(after, before);
    check_is(kernel_state().objects, state.objects);
    check_is(kernel_state().frames, state.frames);
    if (failed == failed_before)
        result(true, s->name);
    note("checks", passed - passed_before);
}

static void leave(void)
{
    put_number(passed);
    put(" passed, ");
    put_number(failed);
    put(" failed, ");
    put_number(skipped);
    put(" skipped\n");
    out8(0xf4, failed ? 1 : 0);
    for (;;)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000000), 0);
}

void test_main(const struct abi_info *info);
void test_main(const struct abi_info *info)
{
    static const uint16_t ports[][2] = {{0xe9, 1}, {0x3f8, 8}, {0xf4, 4}};
    test_info = info;
    for (unsigned i = 0; i < 3; i++)
        delegate(ABI_SEL_ALL_PIO, OWN_PIO, ports[i][0], ports[i][0], ports[i][1], ABI_PERM_PIO, 0);
    create_sm(ABI_SEL_FREE, OWN_PD, 0);
    frames_find();
    options_find();
    put("# Graft kernel tests\n");
    if (option("bench", 0)) {
        next_sel = ABI_SEL_FREE + 512;
        suite_bench();
        leave();
    }
    uint64_t only = option("suite", ~0ull);
    for (unsigned i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (only == ~0ull || only == i)
            run_suite(&suites[i]);
    leave();
}
