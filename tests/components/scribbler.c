/* SPDX-License-Identifier: MIT */
/*
 * A client of the terminal that keeps to no rule: writes random values over the rings' positions and contents,
 * signals without end, opens sessions and leaves them. For as long as it runs.
 */
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/session/terminal.h"
#include "framework/slots.h"
#include "tests/unit/random.h"

#define SESSIONS 3u
#define ROUNDS   2000u

static void scribble(struct terminal *terminal, uint64_t *seed)
{
    static const uint64_t positions[] = {0, 64, TERMINAL_INPUT, TERMINAL_INPUT + 64};
    volatile uint8_t *memory = terminal->memory.address;
    volatile uint32_t *words = terminal->memory.address;

    for (unsigned i = 0; i < 64; i++)
        memory[random_below(seed, TERMINAL_MEMORY)] = (uint8_t)random_u64(seed);
    for (unsigned i = 0; i < 4; i++)
        words[positions[i] / sizeof *words] =
            (uint32_t)(random_below(seed, 2) ? random_u64(seed) : random_below(seed, 2 * TERMINAL_RING));
    for (unsigned i = 0; i < 4; i++)
        terminal_flush(terminal);
}

int main(void)
{
    static struct terminal terminals[SESSIONS];
    uint64_t seed = tsc_now();
    uint32_t signal = slots_alloc(1);

    if (hc_create_sm(signal, SEL_PD, 0) != ABI_OK)
        return 1;
    for (unsigned life = 1;; life++) {
        for (unsigned i = 0; i < SESSIONS; i++)
            if (terminal_open(&terminals[i], "scribble", signal, 0) != STATUS_OK)
                return 2;
        for (unsigned round = 0; round < ROUNDS; round++)
            scribble(&terminals[random_below(&seed, SESSIONS)], &seed);
        for (unsigned i = 0; i < SESSIONS; i++)
            terminal_close(&terminals[i]);
        log_print("scribbled, and again: %u", life);
        (void)hc_down(signal, ABI_SM_ALL, tsc_now() + 50 * component_info()->tsc_khz); // the others need time too
    }
}
