/* SPDX-License-Identifier: MIT */
/*
 * Who judges which row of the opcode table. A row is
 *   native    if its handler has a rule (forms_rules.c): the processor, by `differential` and
 *             `engines`;
 *   Bochs's   if the file CPU_JUDGED names has an instruction of it (a code size and bytes in
 *             hexadecimal each line): those that tests/linux/judge.t has found to be as in Bochs;
 *   directed  if one of the directed tests executes an instruction of it: they are run here, and
 *             say themselves which rows they have come to (guest.c);
 *   hidden    if no engine executes it, and CPUID does not offer it: `hidden` tries each for #UD.
 * Any other row fails this test.
 */
#include "tests/cpu/forms.h"
#include "tests/unit/tap.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_ROW 4u  // those before it are no instructions
#define TESTS_MAX 16u

struct directed {
    char name[32];
    bool row[ROW_COUNT];
    unsigned first; // rows that no test before it has come to
};

static struct directed directed[TESTS_MAX];
static unsigned tests;

static bool run(const char *folder, const char *name, const char *rows)
{
    char program[4096];
    int status;
    pid_t child;

    snprintf(program, sizeof(program), "%s/unit-cpu-%s", folder, name);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        setenv("CPU_ROWS", rows, 1);
        if (!freopen("/dev/null", "w", stdout))
            _exit(127);
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Runs the test and takes its rows. False: it failed, or came to none. */
static bool ask(const char *folder, const char *name)
{
    struct directed *d = &directed[tests++];
    int fd = memfd_create("rows", 0);
    unsigned row, count = 0;
    char path[32];
    FILE *rows;

    snprintf(d->name, sizeof(d->name), "%s", name);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); // the test's too
    if (fd < 0 || !run(folder, name, path) || !(rows = fdopen(fd, "r")))
        return false;
    while (fscanf(rows, "%u", &row) == 1)
        if (row < ROW_COUNT && !d->row[row]) {
            d->row[row] = true;
            count++;
        }
    fclose(rows);
    return count > 0;
}

static bool judged[ROW_COUNT];

/* Takes what Bochs has judged. False: the file is not as it has to be. */
static bool read_judged(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned mode, count = 0;
    char hex[40];

    if (!file)
        return false;
    while (fscanf(file, "%u %38s", &mode, hex) == 2) {
        uint8_t bytes[INSN_MAX] = {0};
        struct insn insn;
        unsigned byte;

        for (unsigned i = 0; i < INSN_MAX && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++) {
            bytes[i] = (uint8_t)byte;
            if (!hex[2 * i + 2])
                break;
        }
        if (decode(bytes, INSN_MAX, (uint8_t)mode, &insn) == DECODE_OK) {
            judged[insn.op] = true;
            count++;
        }
    }
    fclose(file);
    return count > 0;
}

static struct directed *who(unsigned row)
{
    for (unsigned i = 0; i < tests; i++)
        if (directed[i].row[row])
            return &directed[i];
    return NULL;
}

static void describe(unsigned row)
{
    const struct opcode_row *r = &opcode_rows[row];

    tap_note("nobody judges %s (handler %s, map %u, %02x, selector %x)", opcode_name(row),
             form_handlers[row], r->map, r->byte, r->select);
}

static void partition(void)
{
    unsigned native = 0, lacking = 0, hidden = 0, by_bochs = 0, by_test = 0, nobody = 0;

    for (unsigned row = FIRST_ROW; row < ROW_COUNT; row++) {
        const char *handler = form_handlers[row];
        struct directed *d = who(row);

        if (form_rule(handler)) {
            native++;
            lacking += !form_on_host(handler, opcode_rows[row].map, opcode_rows[row].byte);
        } else if (!strcmp(handler, "none")) {
            hidden++;
        } else if (judged[row]) {
            by_bochs++;
        } else if (d) {
            by_test++;
            d->first++;
        } else {
            nobody++;
            describe(row);
        }
    }
    for (unsigned i = 0; i < tests; i++)
        tap_note("directed: %u rows by %s", directed[i].first, directed[i].name);
    tap_note("%u rows: %u native (%u of them lacking in this processor), %u Bochs's, "
             "%u directed, %u hidden, %u nobody's",
             ROW_COUNT - FIRST_ROW, native, lacking, by_bochs, by_test, hidden, nobody);
    ok(nobody == 0, "each of %u rows has a judge", ROW_COUNT - FIRST_ROW);
}

int main(int argc, char **argv)
{
    char names[] = DIRECTED;
    char *folder = argc > 0 ? dirname(argv[0]) : NULL;

    for (char *name = strtok(names, " "); name && tests < TESTS_MAX; name = strtok(NULL, " "))
        ok(ask(folder, name), "%s passes and says what it has executed", name);
    if (getenv("CPU_JUDGED"))
        ok(read_judged(getenv("CPU_JUDGED")), "what Bochs has judged");
    partition();
    return tap_done();
}
