/* SPDX-License-Identifier: MIT */
/* Expected and typed texts of a scripted console. */
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool steps_add(struct steps *s, enum steps_kind kind, const char *text)
{
    if (s->count == STEPS_MAX)
        return false;
    s->step[s->count++] = (struct step){kind, text};
    return true;
}

bool steps_add_fail(struct steps *s, const char *text)
{
    if (s->fail_count == STEPS_MAX)
        return false;
    s->fail[s->fail_count++] = text;
    return true;
}

bool steps_add_until(struct steps *s, const char *text)
{
    if (s->until_count == STEPS_MAX)
        return false;
    s->until[s->until_count++] = text;
    s->until_left++;
    return true;
}

static size_t unescape(const char *text, char *out)
{
    size_t size = 0;
    for (const char *p = text; *p; p++) {
        if (*p != '\\' || !p[1]) {
            out[size++] = *p;
            continue;
        }
        p++;
        if (*p == 'x' && p[1] && p[2]) {
            char digits[3] = {p[1], p[2], 0};
            out[size++] = (char)strtoul(digits, NULL, 16);
            p += 2;
        } else {
            out[size++] = *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p;
        }
    }
    return size;
}

static void send_due(struct steps *s)
{
    char text[STEPS_LINE];
    while (s->next < s->count && s->step[s->next].kind == STEP_SEND) {
        const char *from = s->step[s->next++].text;
        if (strlen(from) < sizeof(text))
            s->send(s->context, text, unescape(from, text));
    }
}

void steps_start(struct steps *s)
{
    send_due(s);
}

static void match(struct steps *s)
{
    s->line[s->used] = 0;
    for (unsigned i = 0; i < s->until_count; i++) {
        if (s->until[i] && strstr(s->line, s->until[i])) {
            s->until[i] = NULL;
            s->until_left--;
        }
    }
    while (s->next < s->count) {
        const char *text = s->step[s->next].text;
        const char *at = strstr(s->line + s->matched, text);
        if (!at)
            return;
        s->matched = (size_t)(at - s->line) + strlen(text);
        s->next++;
        send_due(s);
    }
}

/* A text that must not come is looked for in whole lines, so that the reader sees the rest of the line. */
static void end_line(struct steps *s)
{
    unsigned long passed, failures;
    for (unsigned i = 0; i < s->fail_count && !s->failed; i++)
        if (strstr(s->line, s->fail[i]))
            s->failed = s->fail[i];
    if (sscanf(s->line, "%lu passed, %lu failed", &passed, &failures) == 2) {
        s->summary_seen = true;
        s->passed = passed;
        s->failures = failures;
    }
    s->used = s->matched = 0;
}

void steps_feed(struct steps *s, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            match(s);
            end_line(s);
        } else if (data[i] != '\r' && data[i] != 0 && s->used < STEPS_LINE) {
            s->line[s->used++] = data[i];
        }
    }
    match(s);
}

bool steps_done(const struct steps *s)
{
    if (!s->count && !s->until_count && !s->summary_wanted)
        return false;
    return s->next == s->count && !s->until_left && (!s->summary_wanted || s->summary_seen);
}

const char *steps_waiting(const struct steps *s)
{
    if (s->next < s->count)
        return s->step[s->next].text;
    for (unsigned i = 0; i < s->until_count; i++)
        if (s->until[i])
            return s->until[i];
    return s->summary_wanted && !s->summary_seen ? "N passed, N failed" : "the end";
}
