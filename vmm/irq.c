/* SPDX-License-Identifier: MIT */
/* Interrupt lines: the wired OR, and who hears it. */
#include "vmm/irq.h"

#include "lib/string.h"

void irq_hub_init(struct irq_hub *hub)
{
    memset(hub, 0, sizeof(*hub));
}

bool irq_connect(struct irq_hub *hub, struct irq_line *line, unsigned number)
{
    uint32_t free;

    if (number >= IRQ_LINES || hub->sources[number] == UINT32_MAX)
        return false;
    free = ~hub->sources[number];
    line->hub = hub;
    line->number = (uint8_t)number;
    line->bit = free & (0 - free);
    hub->sources[number] |= line->bit;
    return true;
}

void irq_set(struct irq_line *line, bool level)
{
    struct irq_hub *hub = line->hub;
    unsigned number = line->number;
    uint32_t before;
    uint32_t after;

    line->level = level;
    if (!hub)
        return;
    level = level && !line->muted;
    before = hub->asserted[number];
    after = level ? before | line->bit : before & ~line->bit;
    hub->asserted[number] = after;
    if (!before == !after)
        return;
    if (number < 16 && hub->pic)
        hub->pic(hub->pic_device, number, level);
    if (hub->ioapic)
        hub->ioapic(hub->ioapic_device, number == 0 ? 2 : number, level);
}

void irq_mute(struct irq_line *line, bool muted)
{
    line->muted = muted;
    irq_set(line, line->level);
}
