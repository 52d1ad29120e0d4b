/* SPDX-License-Identifier: MIT */
/*
 * Messages between local APICs, and from the IOAPIC: destinations and delivery modes (Intel SDM
 * volume 3, 11.6 and 11.12.10).
 */
#include "vmm/devices/lapic_internal.h"

#include <stdatomic.h>

#define ICR_LOGICAL   0x00800u
#define ICR_ASSERT    0x04000u
#define ICR_LEVEL     0x08000u
#define ICR_SHORTHAND 0xc0000u
#define ICR_SELF      0x40000u
#define ICR_ALL       0x80000u
#define BROADCAST     0xffffffffu

static bool in_x2_mode(const struct lapic *lapic)
{
    return atomic_load_explicit(&lapic->base, memory_order_relaxed) & LAPIC_BASE_X2;
}

uint32_t lapic_ldr(const struct lapic *lapic)
{
    return in_x2_mode(lapic) ? (lapic->id >> 4) << 16 | 1u << (lapic->id & 15) : lapic->ldr;
}

static bool matches_logical(const struct lapic *lapic, const struct apic_message *message)
{
    uint32_t to = message->destination;
    uint32_t own = lapic_ldr(lapic);

    if (in_x2_mode(lapic))
        return to == BROADCAST || ((to >> 16) == (own >> 16) && (to & own & 0xffff));
    if (message->wide)
        return to == BROADCAST || (to < 0x100 && (to & (own >> 24)));
    own >>= 24;
    if (to == 0xff)
        return own != 0;
    if ((lapic->dfr >> 28) == 0xf)
        return to & own;
    return (to >> 4) == (own >> 4) && (to & own & 0xf);
}

static bool matches(const struct lapic *lapic, const struct apic_message *message)
{
    uint32_t to = message->destination;

    if (!(atomic_load_explicit(&lapic->base, memory_order_relaxed) & LAPIC_BASE_ENABLE))
        return false;
    if (message->logical)
        return matches_logical(lapic, message);
    return to == lapic->id || to == (message->wide ? BROADCAST : 0xff);
}

static void deliver(struct lapic *lapic, const struct apic_message *message)
{
    switch (message->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST:
        lapic_accept(lapic, message->vector, message->level);
        break;
    case APIC_NMI:
        lapic->signal(lapic->vcpu, LAPIC_NMI, 0);
        break;
    case APIC_INIT:
        lapic->signal(lapic->vcpu, LAPIC_INIT, 0);
        break;
    case APIC_SIPI:
        lapic->signal(lapic->vcpu, LAPIC_SIPI, message->vector);
        break;
    case APIC_EXTINT:
        lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
        break;
    default: // SMI: there is no system management mode
        break;
    }
}

/* The one with the lowest priority of those addressed; equals take turns. */
static bool send_lowest(struct apic_bus *bus, const struct apic_message *message)
{
    uint32_t turn = atomic_fetch_add(&bus->turn, 1);
    struct lapic *chosen = NULL;

    for (unsigned i = 0; i < bus->count; i++) {
        struct lapic *lapic = bus->lapic[(i + turn) % bus->count];

        if (!lapic || !matches(lapic, message) || !lapic_software_enabled(lapic))
            continue;
        if (!chosen || (lapic->tpr >> 4) < (chosen->tpr >> 4))
            chosen = lapic;
    }
    if (chosen)
        deliver(chosen, message);
    return chosen;
}

bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message)
{
    bool taken = false;

    if (message->delivery == APIC_LOWEST)
        return send_lowest(bus, message);
    for (unsigned i = 0; i < bus->count; i++) {
        if (!bus->lapic[i] || !matches(bus->lapic[i], message))
            continue;
        deliver(bus->lapic[i], message);
        taken = true;
    }
    return taken;
}

static void send_shorthand(struct lapic *self, const struct apic_message *message, uint32_t which)
{
    struct apic_bus *bus = self->bus;

    if (which == ICR_SELF) {
        if (message->delivery == APIC_FIXED)
            deliver(self, message);
        return;
    }
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->lapic[i] && (bus->lapic[i] != self || which == ICR_ALL) &&
            (bus->lapic[i]->base & LAPIC_BASE_ENABLE))
            deliver(bus->lapic[i], message);
}

bool lapic_send_icr(struct lapic *lapic)
{
    const uint32_t icr = (uint32_t)lapic->icr;
    const bool wide = in_x2_mode(lapic);
    const uint32_t high = (uint32_t)(lapic->icr >> 32);
    const struct apic_message message = {
        .destination = wide ? high : high >> 24,
        .vector = (uint8_t)icr,
        .delivery = (icr >> 8) & 7,
        .logical = icr & ICR_LOGICAL,
        .wide = wide,
    };

    if (message.delivery <= APIC_LOWEST && message.vector < 16)
        return false;
    if (message.delivery == APIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
        return true; // level de-assert: only synchronises arbitration of older processors
    if (icr & ICR_SHORTHAND)
        send_shorthand(lapic, &message, icr & ICR_SHORTHAND);
    else
        (void)apic_bus_send(lapic->bus, &message);
    return true;
}
