/* SPDX-License-Identifier: MIT */
/*
 * Local APIC: registers, interrupt acceptance and priority. The timer is in lapic_timer.c,
 * messages in apic_bus.c.
 */
#include "vmm/devices/lapic_internal.h"

#include <stdatomic.h>

#define VERSION 0x01060014u  // integrated APIC, seven LVT entries, EOI broadcast can be suppressed

enum { X = 1, X2 = 2, R = 4, W = 8 };

/*
 * Registers by offset / 16: in which mode they exist, whether they are read and written, and the
 * bits that can be written (a set bit outside is ignored in xAPIC mode and #GP in x2APIC mode).
 */
static const struct {
    uint8_t  access;
    uint32_t mask;
} registers[0x40] = {
    [REG_ID]          = {X | X2 | R, 0},
    [REG_VERSION]     = {X | X2 | R, 0},
    [REG_TPR]         = {X | X2 | R | W, 0xff},
    [REG_APR]         = {X | R, 0},
    [REG_PPR]         = {X | X2 | R, 0},
    [REG_EOI]         = {X | X2 | W, 0},
    [REG_RRD]         = {X | R, 0},
    [REG_LDR]         = {X | X2 | R | W, 0xff000000},
    [REG_DFR]         = {X | R | W, 0xf0000000},
    [REG_SVR]         = {X | X2 | R | W, 0x11ff},
    [REG_ISR ... REG_ISR + 7] = {X | X2 | R, 0},
    [REG_TMR ... REG_TMR + 7] = {X | X2 | R, 0},
    [REG_IRR ... REG_IRR + 7] = {X | X2 | R, 0},
    [REG_ESR]         = {X | X2 | R | W, 0},
    [REG_LVT_CMCI]    = {X | X2 | R | W, 0x000107ff},
    [REG_ICR]         = {X | X2 | R | W, 0x000ccfff},
    [REG_ICR_HIGH]    = {X | R | W, 0xff000000},
    [REG_LVT]         = {X | X2 | R | W, 0x000700ff},
    [REG_LVT + 1]     = {X | X2 | R | W, 0x000107ff},
    [REG_LVT + 2]     = {X | X2 | R | W, 0x000107ff},
    [REG_LVT + 3]     = {X | X2 | R | W, 0x0001a7ff},
    [REG_LVT + 4]     = {X | X2 | R | W, 0x0001a7ff},
    [REG_LVT + 5]     = {X | X2 | R | W, 0x000100ff},
    [REG_TIMER_COUNT] = {X | X2 | R | W, 0xffffffff},
    [REG_TIMER_NOW]   = {X | X2 | R, 0},
    [REG_TIMER_DIV]   = {X | X2 | R | W, 0x0b},
    [REG_SELF_IPI]    = {X2 | W, 0xff},
};

#define FIELD(member, value) DEVICE_FIELD(struct lapic, member, value)
static const struct device_field fields[] = {
    FIELD(base, LAPIC_BASE | LAPIC_BASE_ENABLE),
    FIELD(tpr, 0), FIELD(ldr, 0), FIELD(dfr, 0xffffffff), FIELD(svr, 0xff),
    DEVICE_ARRAY(struct lapic, isr, 8, 0),
    DEVICE_ARRAY(struct lapic, irr, 8, 0),
    DEVICE_ARRAY(struct lapic, tmr, 8, 0),
    FIELD(esr_pending, 0), FIELD(esr, 0), FIELD(icr, 0),
    DEVICE_ARRAY(struct lapic, lvt, LVT_COUNT, LVT_MASKED),
    FIELD(timer_initial, 0), FIELD(timer_divide, 0), FIELD(timer_over, 0),
    FIELD(timer_start, 0),
    FIELD(timer_deadline, 0), FIELD(tsc_skew, 0), FIELD(lint0, 0),
};

static void power_on(void *device)
{
    struct lapic *lapic = device;

    if (lapic->id == 0)
        lapic->base |= LAPIC_BASE_BSP;
    lapic_timer_rearm(lapic);
}

static enum vmm_status loaded(void *device)
{
    struct lapic *lapic = device;

    lapic_timer_rearm(lapic);
    lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
    return VMM_OK;
}

static const struct device_class lapic_class = {
    .name = "lapic", .version = 2, DEVICE_TABLE(fields),
    .reset = power_on, .loaded = loaded,
};

enum vmm_status lapic_init(struct lapic *lapic, struct apic_bus *bus, struct clock *clock,
                           uint32_t id)
{
    if (id >= LAPICS_MAX)
        return VMM_BAD_CONFIG;
    lapic->device.class = &lapic_class;
    lapic->device.instance = (uint8_t)id;
    lapic->id = id;
    lapic->bus = bus;
    lapic->clock = clock;
    lapic->lock = host_mutex_create(clock->host);
    if (!lapic->lock)
        return VMM_NO_MEMORY;
    clock_timer_init(&lapic->timer, lapic->lock, lapic_timer_fire, lapic);
    bus->lapic[id] = lapic;
    if (bus->count <= id)
        bus->count = id + 1;
    device_reset(&lapic->device);
    return VMM_OK;
}

/*
 * Others send messages meanwhile: what stays (base, lint0, the skew) is not touched even for a
 * moment, and what they look at changes in one piece.
 */
void lapic_init_reset(struct lapic *lapic)
{
    host_mutex_lock(lapic->lock);
    lapic->tpr = lapic->ldr = 0;
    lapic->dfr = 0xffffffff;
    lapic->svr = 0xff;
    for (unsigned i = 0; i < 8; i++) {
        lapic->isr[i] = 0;
        lapic->irr[i] = lapic->tmr[i] = 0;
    }
    for (unsigned i = 0; i < LVT_COUNT; i++)
        lapic->lvt[i] = LVT_MASKED;
    lapic->esr_pending = lapic->esr = 0;
    lapic->icr = 0;
    lapic->timer_initial = lapic->timer_divide = 0;
    lapic->timer_over = 0;
    lapic->timer_start = lapic->timer_deadline = 0;
    lapic_timer_rearm(lapic);
    host_mutex_unlock(lapic->lock);
}

/* Highest set bit of a 256-bit register, or -1. */
static int highest(const _Atomic uint32_t *word)
{
    for (int i = 7; i >= 0; i--) {
        uint32_t bits = atomic_load_explicit(&word[i], memory_order_relaxed);

        if (bits)
            return i * 32 + 31 - __builtin_clz(bits);
    }
    return -1;
}

static int highest_in_service(const struct lapic *lapic)
{
    for (int i = 7; i >= 0; i--)
        if (lapic->isr[i])
            return i * 32 + 31 - __builtin_clz(lapic->isr[i]);
    return -1;
}

uint8_t lapic_ppr(const struct lapic *lapic)
{
    int vector = highest_in_service(lapic);
    uint8_t tpr = (uint8_t)lapic->tpr;

    return vector >= 0 && (vector >> 4) > (tpr >> 4) ? (uint8_t)(vector & 0xf0) : tpr;
}

int lapic_requested(const struct lapic *lapic)
{
    return highest(lapic->irr);
}

int lapic_pending(const struct lapic *lapic)
{
    int vector = highest(lapic->irr);

    if (vector < 0 || !(lapic->base & LAPIC_BASE_ENABLE))
        return -1;
    return (vector >> 4) > (lapic_ppr(lapic) >> 4) ? vector : -1;
}

unsigned lapic_next_class(const struct lapic *lapic)
{
    int vector = highest(lapic->irr);

    if (vector < 0 || !(lapic->base & LAPIC_BASE_ENABLE))
        return 0;
    return (vector >> 4) > (highest_in_service(lapic) >> 4) ? (unsigned)vector >> 4 : 0;
}

void lapic_acknowledge(struct lapic *lapic, uint8_t vector)
{
    atomic_fetch_and(&lapic->irr[vector / 32], ~(1u << (vector % 32)));
    lapic->isr[vector / 32] |= 1u << (vector % 32);
}

/* Do others have to hear of the end of this interrupt? */
static bool is_broadcast(const struct lapic *lapic, int vector)
{
    return lapic->tmr[vector / 32] >> (vector % 32) & 1 && !(lapic->svr & SVR_NO_BROADCAST) &&
           lapic->bus->eoi;
}

void lapic_eoi(struct lapic *lapic)
{
    int vector = highest_in_service(lapic);

    if (vector < 0)
        return;
    lapic->isr[vector / 32] &= ~(1u << (vector % 32));
    if (is_broadcast(lapic, vector))
        lapic->bus->eoi(lapic->bus->ioapic, (uint8_t)vector);
    if (lapic_requested(lapic) >= 0 || lapic->lint0)
        lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
}

void lapic_error(struct lapic *lapic, uint32_t bit)
{
    uint32_t entry = lapic->lvt[LVT_ERROR];

    if (!(atomic_fetch_or(&lapic->esr_pending, bit) & bit) && !(entry & LVT_MASKED) &&
        (entry & 0xff) >= 16)
        lapic_accept(lapic, (uint8_t)entry, false);
}

bool lapic_software_enabled(const struct lapic *lapic)
{
    return (lapic->base & LAPIC_BASE_ENABLE) && (lapic->svr & SVR_ENABLE);
}

void lapic_accept(struct lapic *lapic, uint8_t vector, bool level)
{
    uint32_t bit = 1u << (vector % 32);

    if (!lapic_software_enabled(lapic))
        return;
    if (vector < 16) {
        lapic_error(lapic, ESR_RECEIVE_VECTOR);
        return;
    }
    if (level)
        atomic_fetch_or(&lapic->tmr[vector / 32], bit);
    else if (lapic->tmr[vector / 32] & bit)
        atomic_fetch_and(&lapic->tmr[vector / 32], ~bit);
    if (!(atomic_fetch_or(&lapic->irr[vector / 32], bit) & bit))
        lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
}

void lapic_local_interrupt(struct lapic *lapic, enum lapic_lvt which)
{
    uint32_t entry = lapic->lvt[which];

    if ((entry & LVT_MASKED) || !(lapic->base & LAPIC_BASE_ENABLE))
        return;
    switch ((entry >> 8) & 7) {
    case APIC_FIXED:
        lapic_accept(lapic, (uint8_t)entry, false);
        break;
    case APIC_NMI:
        lapic->signal(lapic->vcpu, LAPIC_NMI, 0);
        break;
    case APIC_INIT:
        lapic->signal(lapic->vcpu, LAPIC_INIT, 0);
        break;
    case APIC_EXTINT:
        lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
        break;
    default:
        break;
    }
}

bool lapic_takes_extint(const struct lapic *lapic)
{
    uint32_t entry = lapic->lvt[LVT_LINT0];

    if (!(lapic->base & LAPIC_BASE_ENABLE))
        return lapic->id == 0;
    return !(entry & LVT_MASKED) && ((entry >> 8) & 7) == APIC_EXTINT;
}

void lapic_set_lint0(struct lapic *lapic, bool level)
{
    bool rises = level && !lapic->lint0;

    lapic->lint0 = level;
    if (!rises)
        return;
    if (lapic->base & LAPIC_BASE_ENABLE)
        lapic_local_interrupt(lapic, LVT_LINT0);
    else if (lapic->id == 0)
        lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
}

static bool x2_mode(const struct lapic *lapic)
{
    return lapic->base & LAPIC_BASE_X2;
}

static uint32_t read_register(struct lapic *lapic, unsigned reg)
{
    switch (reg) {
    case REG_ID:          return x2_mode(lapic) ? lapic->id : lapic->id << 24;
    case REG_VERSION:     return VERSION;
    case REG_TPR:         return lapic->tpr;
    case REG_APR:
    case REG_PPR:         return lapic_ppr(lapic);
    case REG_LDR:         return lapic_ldr(lapic);
    case REG_DFR:         return lapic->dfr;
    case REG_SVR:         return lapic->svr;
    case REG_ISR ... REG_ISR + 7: return lapic->isr[reg - REG_ISR];
    case REG_TMR ... REG_TMR + 7: return lapic->tmr[reg - REG_TMR];
    case REG_IRR ... REG_IRR + 7: return lapic->irr[reg - REG_IRR];
    case REG_ESR:         return lapic->esr;
    case REG_LVT_CMCI:    return lapic->lvt[LVT_CMCI];
    case REG_ICR:         return (uint32_t)lapic->icr;
    case REG_ICR_HIGH:    return (uint32_t)(lapic->icr >> 32);
    case REG_LVT ... REG_LVT + 5: return lapic->lvt[reg - REG_LVT];
    case REG_TIMER_COUNT: return lapic->timer_initial;
    case REG_TIMER_NOW:   return lapic_timer_count(lapic);
    case REG_TIMER_DIV:   return lapic->timer_divide;
    default:              return 0;
    }
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    lapic->svr = value;
    if (value & SVR_ENABLE)
        return;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        lapic->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct lapic *lapic, unsigned which, uint32_t value)
{
    if (!(lapic->svr & SVR_ENABLE))
        value |= LVT_MASKED;
    if (which == LVT_TIMER) {
        lapic_timer_write_lvt(lapic, value);
        return;
    }
    lapic->lvt[which] = value;
    if (which == LVT_LINT0 && lapic->lint0)
        lapic_local_interrupt(lapic, LVT_LINT0);
}

static void send_icr(struct lapic *lapic)
{
    if (!lapic_send_icr(lapic))
        lapic_error(lapic, ESR_SEND_VECTOR);
}

static void write_register(struct lapic *lapic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_TPR:
        lapic->tpr = value;
        lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
        break;
    case REG_EOI:
        lapic_eoi(lapic);
        break;
    case REG_LDR:
        lapic->ldr = value;
        break;
    case REG_DFR:
        lapic->dfr = value | 0x0fffffff;
        break;
    case REG_SVR:
        write_svr(lapic, value);
        break;
    case REG_ESR:
        lapic->esr = atomic_exchange(&lapic->esr_pending, 0);
        break;
    case REG_ICR:
        lapic->icr = (lapic->icr & ~0xffffffffull) | value;
        send_icr(lapic);
        break;
    case REG_ICR_HIGH:
        lapic->icr = (uint32_t)lapic->icr | (uint64_t)value << 32;
        break;
    case REG_LVT_CMCI:
        write_lvt(lapic, LVT_CMCI, value);
        break;
    case REG_LVT ... REG_LVT + 5:
        write_lvt(lapic, reg - REG_LVT, value);
        break;
    case REG_TIMER_COUNT:
        lapic_timer_write_count(lapic, value);
        break;
    case REG_TIMER_DIV:
        lapic_timer_write_divide(lapic, value);
        break;
    default:
        break;
    }
}

/* A register is 32 bits at a 16-byte boundary; other offsets within it read 0 and ignore writes. */
uint32_t lapic_mmio_read(struct lapic *lapic, uint32_t offset)
{
    unsigned reg = (offset >> 4) & 0xff;

    if (offset & 0xf)
        return 0;
    if (reg >= 0x40 || (registers[reg].access & (X | R)) != (X | R)) {
        if (reg >= 0x40 || !(registers[reg].access & X))
            lapic_error(lapic, ESR_REGISTER);
        return 0;
    }
    return read_register(lapic, reg);
}

void lapic_mmio_write(struct lapic *lapic, uint32_t offset, uint32_t value)
{
    unsigned reg = (offset >> 4) & 0xff;

    if (offset & 0xf)
        return;
    if (reg >= 0x40 || !(registers[reg].access & X)) {
        lapic_error(lapic, ESR_REGISTER);
        return;
    }
    if (registers[reg].access & W)
        write_register(lapic, reg, value & registers[reg].mask);
}

static bool write_base(struct lapic *lapic, uint64_t value)
{
    const uint64_t modes = LAPIC_BASE_ENABLE | LAPIC_BASE_X2;
    const uint64_t allowed = 0x000ffffffffff000ull | modes | LAPIC_BASE_BSP;
    uint64_t from = lapic->base & modes;
    uint64_t to = value & modes;

    if ((value & ~allowed) || to == LAPIC_BASE_X2)
        return false;
    if ((from == modes && to == LAPIC_BASE_ENABLE) || (from == 0 && to == modes))
        return false; // SDM figure 11-27
    if (!(to & LAPIC_BASE_ENABLE) && (from & LAPIC_BASE_ENABLE)) {
        uint32_t svr = lapic->svr; // state may be lost (SDM volume 3, 11.4.3); test suites rely on this not to be

        lapic_init_reset(lapic);
        lapic->svr = svr;
    }
    lapic->base = value;
    if (to == modes && from != modes)
        lapic->icr = 0;
    lapic->signal(lapic->vcpu, LAPIC_INTERRUPT, 0);
    return true;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value)
{
    unsigned reg = msr - MSR_X2APIC_FIRST;

    if (msr == MSR_APIC_BASE) {
        *value = lapic->base;
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = lapic_timer_read_deadline(lapic);
        return true;
    }
    if (!x2_mode(lapic) || reg >= 0x40 || (registers[reg].access & (X2 | R)) != (X2 | R))
        return false;
    *value = reg == REG_ICR ? lapic->icr : read_register(lapic, reg);
    return true;
}

static bool write_icr_x2(struct lapic *lapic, uint64_t value)
{
    if ((uint32_t)value & ~registers[REG_ICR].mask)
        return false;
    lapic->icr = value;
    send_icr(lapic);
    return true;
}

/*
 * Delivery status and remote IRR of an LVT entry: Linux writes them back as ones
 * (disconnect_bsp_APIC).
 */
static uint32_t read_only_bits(unsigned reg)
{
    if (reg != REG_LVT_CMCI && (reg < REG_LVT || reg > REG_LVT + LVT_ERROR))
        return 0;
    return reg == REG_LVT + LVT_LINT0 || reg == REG_LVT + LVT_LINT1 ? 0x5000 : 0x1000;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value)
{
    unsigned reg = msr - MSR_X2APIC_FIRST;

    if (msr == MSR_APIC_BASE)
        return write_base(lapic, value);
    if (msr == MSR_TSC_DEADLINE) {
        lapic_timer_write_deadline(lapic, value);
        return true;
    }
    if (!x2_mode(lapic) || reg >= 0x40 || (registers[reg].access & (X2 | W)) != (X2 | W) ||
        reg == REG_LDR)
        return false;
    if (reg == REG_ICR)
        return write_icr_x2(lapic, value);
    if (value & ~(uint64_t)(registers[reg].mask | read_only_bits(reg)))
        return false;
    value &= registers[reg].mask;
    if (reg == REG_SELF_IPI) {
        if (value < 16)
            lapic_error(lapic, ESR_SEND_VECTOR);
        else
            lapic_accept(lapic, (uint8_t)value, false);
    } else {
        write_register(lapic, reg, (uint32_t)value);
    }
    return true;
}

bool lapic_msr_write_unlocked(struct lapic *lapic, uint32_t msr, uint64_t value)
{
    int vector;

    switch (msr) {
    case MSR_X2APIC_FIRST + REG_EOI:
        vector = highest_in_service(lapic);
        if (vector >= 0 && is_broadcast(lapic, vector))
            return false;
        return lapic_msr_write(lapic, msr, value);
    case MSR_X2APIC_FIRST + REG_ICR:
    case MSR_TSC_DEADLINE:
        return lapic_msr_write(lapic, msr, value);
    default:
        return false;
    }
}

void lapic_set_cr8(struct lapic *lapic, uint8_t cr8)
{
    lapic->tpr = (uint32_t)(cr8 & 0xf) << 4;
}
