/* SPDX-License-Identifier: MIT */
/* Unit test of qemu-run: the frames of a command's output, and the steps of a scripted console. */
#include "tests/unit/tap.h"

#include "hosts/linux/frames.h"
#include "tools/qemu-run/steps.h"

#include <string.h>

struct text {
    char data[8192];
    size_t used;
};

static void collect(void *context, const char *data, size_t size)
{
    struct text *t = context;
    if (t->used + size < sizeof(t->data)) {
        memcpy(t->data + t->used, data, size);
        t->used += size;
    }
}

/* Feed the same bytes in pieces of every size up to their length. */
static void frames_case(const char *name, const char *console, enum frames_state state, int status, const char *want, size_t want_size)
{
    size_t length = strlen(console);
    bool good = true;
    for (size_t piece = 1; piece <= length; piece++) {
        struct text out = {.used = 0};
        struct frames f;
        frames_init(&f, "n1", collect, &out);
        for (size_t at = 0; at < length; at += piece)
            frames_feed(&f, console + at, length - at < piece ? length - at : piece);
        good = good && f.state == state && (state != FRAMES_DONE || f.status == status) && out.used == want_size &&
               !memcmp(out.data, want, want_size);
    }
    ok(good, "frames: %s", name);
}

#define FRAMES(name, console, state, status, want) frames_case(name, console, state, status, want, sizeof(want) - 1)

static void test_frames(void)
{
    FRAMES("output and status", "boot\n@n1:hello\\0a\r\n@n1=7,6\r\n", FRAMES_DONE, 7, "hello\n");
    FRAMES("a line without its end", "@n1:abc\n@n1=0,3\n", FRAMES_DONE, 0, "abc");
    FRAMES("all bytes", "@n1:\\00\\ff\\5cx\n@n1=255,4\n", FRAMES_DONE, 255, "\0\xff\\x");
    FRAMES("other text between and before", "[vm1] @n1:a\nnoise @n2:b\n[vm1] @n1=1,1\n", FRAMES_DONE, 1, "a");
    FRAMES("no output", "@n1=0,0\n", FRAMES_DONE, 0, "");
    FRAMES("what follows the end", "@n1=3,0\n@n1:late\n", FRAMES_DONE, 3, "");
    FRAMES("lost output", "@n1:ab\n@n1=0,3\n", FRAMES_DAMAGED, 0, "ab");
    FRAMES("a broken escape", "@n1:a\\4\n", FRAMES_DAMAGED, 0, "");
    FRAMES("a status out of range", "@n1=256,0\n", FRAMES_DAMAGED, 0, "");
    FRAMES("more after the status", "@n1=0,0x\n", FRAMES_DAMAGED, 0, "");
    FRAMES("the agent's failure", "@n1!no pipe\n", FRAMES_FAILED, 0, "");
    FRAMES("no end", "@n1:ab\n@n1=0,", FRAMES_RUNNING, 0, "ab");
}

static void test_long_line(void)
{
    struct text out = {.used = 0};
    struct frames f;
    frames_init(&f, "n", collect, &out);
    for (int i = 0; i < 3 * FRAME_LINE; i++)
        frames_feed(&f, "x", 1);
    frames_feed(&f, "\n@n=4,0\n", 8);
    ok(f.state == FRAMES_DONE && f.status == 4, "frames: a line longer than the buffer is cut off");
}

static void test_steps(void)
{
    struct text sent = {.used = 0};
    struct steps s = {.send = collect, .context = &sent};
    ok(steps_add(&s, STEP_EXPECT, "login:") && steps_add(&s, STEP_SEND, "root\\n\\x01\\\\") && steps_add(&s, STEP_EXPECT, "# ") &&
           steps_add_fail(&s, "panic"), "steps: taken");
    steps_start(&s);
    steps_feed(&s, "log", 3);
    ok(sent.used == 0 && !steps_done(&s), "steps: nothing is sent before its time");
    steps_feed(&s, "in: ", 4);
    ok(sent.used == 7 && !memcmp(sent.data, "root\n\x01\\", 7), "steps: sent with its escapes");
    steps_feed(&s, "\nguest # ", 9);
    ok(steps_done(&s) && !s.failed, "steps: done");
    steps_feed(&s, "a kernel panic here", 19);
    ok(!s.failed, "steps: a text that must not come, in half a line");
    steps_feed(&s, "\n", 1);
    ok(s.failed && !strcmp(s.failed, "panic"), "steps: and in a whole one");
}

static void test_order(void)
{
    struct steps s = {.send = collect};
    ok(steps_add(&s, STEP_EXPECT, "b") && steps_add(&s, STEP_EXPECT, "a"), "steps: two texts");
    steps_feed(&s, "ab", 2);
    ok(!steps_done(&s), "steps: the order counts");
    ok(!strcmp(steps_waiting(&s), "a"), "steps: what is waited for");
    steps_feed(&s, "\na", 2);
    ok(steps_done(&s), "steps: across lines");
}

static void test_summary(void)
{
    struct steps s = {.send = collect, .summary_wanted = true};
    steps_feed(&s, "ok 1\n12 passed, 0 fail", 22);
    ok(!steps_done(&s), "summary: not before the line's end");
    steps_feed(&s, "ed, 3 skipped\r\n", 15);
    ok(steps_done(&s) && s.passed == 12 && s.failures == 0, "summary: counted");
}

static void test_until(void)
{
    struct steps s = {.send = collect};
    ok(steps_add_until(&s, "vm1 exited") && steps_add_until(&s, "vm2 exited"), "until: two texts");
    steps_feed(&s, "vm2 exited\nvm2 exited\n", 22);
    ok(!steps_done(&s) && !strcmp(steps_waiting(&s), "vm1 exited"), "until: one text twice is not two");
    steps_feed(&s, "vm1 exited", 10);
    ok(steps_done(&s), "until: in any order");
}

int main(void)
{
    test_frames();
    test_long_line();
    test_steps();
    test_order();
    test_summary();
    test_until();
    return tap_done();
}
