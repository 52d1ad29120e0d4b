/* SPDX-License-Identifier: MIT */
/* Runs the attack that its name says, and tells the victim when it is over. */
#include "tests/isolation/attacker.h"

#include "framework/io.h"
#include "framework/parent.h"
#include "lib/string.h"
#include "lib/text.h"

static const struct {
    const char *name;
    void (*run)(struct attack *a);
} attacks[] = {
    {"selectors", attack_selectors}, {"wild", attack_wild},     {"core", attack_core},       {"attach", attack_attach},
    {"threads", attack_threads},     {"log", attack_log},       {"parent", attack_parent},   {"sessions", attack_sessions},
    {"memory", attack_memory},       {"kernel", attack_kernel}, {"time", attack_time},       {"faults", attack_faults},
};

/* The victim counts who is done: while one is not, it goes on. */
static void tell_victim(struct attack *a)
{
    const struct session_arguments arguments = {.service = "victim", .label = "done"};
    struct session session;

    enum status status = session_open(&session, &arguments, 0);

    CHECK(&a->checks, status == STATUS_OK, "the victim still answers: %s", status_name(status));
}

int main(void)
{
    struct attack attack = {.seed = tsc_now()};
    const char *name = component_info()->label + strlen("attack-");
    size_t length = strlen(name);

    while (length && name[length - 1] >= '0' && name[length - 1] <= '9')
        length--; // the same attack several times
    for (unsigned i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        if (!text_equals(name, length, attacks[i].name))
            continue;
        log_print("# seed %lx", attack.seed);
        attacks[i].run(&attack);
        tell_victim(&attack);
        return checks_done(&attack.checks);
    }
    log_print("not ok 1 - there is no such attack");
    return 2;
}
