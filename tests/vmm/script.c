/* SPDX-License-Identifier: MIT */
/* The scripted engine. */
#include "tests/vmm/script.h"

static struct cpu_state *state(struct engine *engine, unsigned vcpu)
{
    return &engine->state[vcpu];
}

static bool run(struct engine *engine, unsigned vcpu)
{
    struct cpu_state *s = &engine->state[vcpu];

    s->valid = CPU_ALL;
    s->dirty = 0;
    s->insn_len = 0;
    engine->entries[vcpu]++;
    if (!engine->enter)
        return false;
    engine->enter(engine, vcpu, s);
    return true;
}

static void kick(struct engine *engine, unsigned vcpu)
{
    engine->kicks[vcpu]++;
}

static void fetch(struct engine *engine, unsigned vcpu, uint32_t groups)
{
    engine->state[vcpu].valid |= groups;
}

static void invalidate(struct engine *engine, unsigned vcpu)
{
    (void)engine;
    (void)vcpu;
}

const struct engine_ops script_ops = {
    .name = "script", .xcr0 = 7, .state = state, .run = run, .kick = kick, .fetch = fetch,
    .invalidate = invalidate,
};

/* Multiboot 0.6.96, 3.1.1: with the address fields; loaded at 1 MiB, entry behind the header. */
static const uint32_t image[16] = {
    0x1badb002, 0x00010000, 0u - 0x1badb002u - 0x00010000u, 0x100000, 0x100000, 0x100040, 0x100040,
    0x100020, 0xf4f4f4f4,
};

struct vm_image script_image(void)
{
    return (struct vm_image){(const uint8_t *)image, sizeof(image)};
}
