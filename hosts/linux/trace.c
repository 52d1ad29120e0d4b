/* SPDX-License-Identifier: MIT */
/* Lines of a trace, to a file. */
#include "hosts/linux/trace.h"

#include "vmm/trace.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

uint32_t trace_kinds(const char *kinds, const char *end)
{
    static const struct {
        const char *name;
        uint32_t kind;
    } known[] = {
        {"exits", TRACE_EXITS}, {"interrupts", TRACE_INTERRUPTS}, {"faults", TRACE_FAULTS},
        {"msr", TRACE_MSR}, {"blocks", TRACE_BLOCKS},
        {"all", TRACE_EXITS | TRACE_INTERRUPTS | TRACE_FAULTS | TRACE_MSR | TRACE_BLOCKS},
    };
    uint32_t result = 0;

    for (;;) {
        const char *comma = memchr(kinds, ',', (size_t)(end - kinds)), *stop = comma ? comma : end;
        size_t length = (size_t)(stop - kinds);
        unsigned n = 0;

        while (n < 6 && (strlen(known[n].name) != length || memcmp(known[n].name, kinds, length) != 0))
            n++;
        if (n == 6)
            return 0;
        result |= known[n].kind;
        if (!comma)
            return result;
        kinds = comma + 1;
    }
}

bool trace_open(struct trace *trace, const char *path)
{
    trace->fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644)
                     : STDERR_FILENO;
    return trace->fd >= 0;
}

void trace_put(struct trace *trace, const char *line)
{
    char text[200];
    size_t n = 0;
    uint64_t before;

    while (*line && n < sizeof(text) - 1)
        text[n++] = *line++;
    text[n++] = '\n';
    before = atomic_fetch_add(&trace->used, n);
    if (before + n <= TRACE_BYTES)
        (void)!write(trace->fd, text, n); // there is nowhere to report that
    else if (before <= TRACE_BYTES)
        (void)!write(trace->fd, "the trace is full\n", 18);
}
