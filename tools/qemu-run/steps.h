/* SPDX-License-Identifier: MIT */
/*
 * A script of what a console is expected to print and what is to be typed, in order; and texts that must not come.
 * Matching is within a line (bounded: what is longer than STEPS_LINE is cut off).
 */
#ifndef TOOLS_QEMU_RUN_STEPS_H
#define TOOLS_QEMU_RUN_STEPS_H

#include <stdbool.h>
#include <stddef.h>

#define STEPS_MAX  64
#define STEPS_LINE 4096

enum steps_kind { STEP_EXPECT, STEP_SEND };

struct step {
    enum steps_kind kind;
    const char *text; // STEP_SEND: escapes \n \r \\ \xHH
};

struct steps {
    struct step step[STEPS_MAX];
    unsigned count, next;
    const char *fail[STEPS_MAX];
    unsigned fail_count;
    const char *until[STEPS_MAX]; // texts that must all have come, in any order; NULL once it has
    unsigned until_count, until_left;
    const char *failed;   // the text that must not have come, or NULL
    bool summary_wanted;  // a line "N passed, M failed" ends the run
    bool summary_seen;
    unsigned long passed, failures;
    char line[STEPS_LINE + 1];
    size_t used, matched; // matched: where in the line the next expectation may begin
    void (*send)(void *context, const char *data, size_t size);
    void *context;
};

bool steps_add(struct steps *s, enum steps_kind kind, const char *text);
bool steps_add_fail(struct steps *s, const char *text);
bool steps_add_until(struct steps *s, const char *text);

/* Do the sends that are due before anything is printed. */
void steps_start(struct steps *s);

void steps_feed(struct steps *s, const char *data, size_t size);

/* Whether there was something to wait for, and it has come. */
bool steps_done(const struct steps *s);

/* What is being waited for, for a message. */
const char *steps_waiting(const struct steps *s);

#endif
