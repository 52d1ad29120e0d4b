/* SPDX-License-Identifier: MIT */
/* Routing of interrupt sources, and what entry.S calls. */
#include "kernel/interrupt.h"

#include "kernel/assert.h"
#include "kernel/cpu.h"
#include "kernel/io.h"
#include "kernel/ioapic.h"
#include "kernel/local_apic.h"
#include "kernel/spinlock.h"
#include "kernel/trap.h"

#define RTE_LEVEL   0x8000u
#define RTE_LOW     0x2000u
#define MSI_ADDRESS 0xfee00000u
#define PIC1        0x20u
#define PIC2        0xa0u

/* What entry.S has pushed when it came from the kernel. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct fixup {
    uint64_t fault, resume;
};

extern const struct fixup fixup_start[], fixup_end[];

/* Called by entry.S only. */
_Noreturn void interrupt_from_user(uint64_t vector, uint64_t error);
void interrupt_from_kernel(struct frame *frame);
_Noreturn void interrupt_fatal(const struct frame *frame);

static struct spinlock route_lock; // guards the routes and the I/O APICs' index registers
static struct route {
    uint8_t vector;                // 0: not routed
    uint8_t flags;
    uint16_t cpu;
} routes[INTERRUPT_PIN_MAX + INTERRUPT_MSI_MAX];
static unsigned pin_count;         // constant after boot

/* The 8259s (Intel 8259A data sheet) stay masked, with their spurious interrupts out of the exceptions' way. */
static void silence_pics(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } words[] = {{PIC1, 0x11}, {PIC2, 0x11}, {PIC1 + 1, VECTOR_DEVICE}, {PIC2 + 1, VECTOR_DEVICE + 8}, {PIC1 + 1, 4}, {PIC2 + 1, 2},
                 {PIC1 + 1, 1}, {PIC2 + 1, 1}, {PIC1 + 1, 0xff}, {PIC2 + 1, 0xff}};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        io_out8(words[i].port, words[i].value);
}

void interrupt_init(unsigned pins)
{
    silence_pics();
    pin_count = pins;
}

bool interrupt_is_level(unsigned source)
{
    return source < pin_count && (routes[source].flags & ABI_INT_LEVEL);
}

/* A vector of the CPU that already is this source's, or a free one; 0 if there is none. */
static unsigned take_vector(struct cpu *cpu, unsigned source)
{
    struct route *r = &routes[source];
    if (r->vector && r->cpu == cpu->id)
        return r->vector;
    for (unsigned i = 0; i < VECTOR_DEVICE_COUNT; i++) {
        if (cpu->vector_source[i])
            continue;
        if (r->vector)
            cpu_of(r->cpu)->vector_source[r->vector - VECTOR_DEVICE] = 0;
        cpu->vector_source[i] = (uint16_t)(source + 1);
        return VECTOR_DEVICE + i;
    }
    return 0;
}

static enum abi_status route(unsigned source, struct cpu *cpu, unsigned flags, uint64_t *address, uint64_t *data)
{
    unsigned vector = take_vector(cpu, source);
    if (!vector)
        return ABI_BAD_DEVICE;
    routes[source] = (struct route){(uint8_t)vector, (uint8_t)flags, (uint16_t)cpu->id};
    *address = *data = 0;
    if (source >= pin_count) {
        *address = MSI_ADDRESS | cpu->apic_id << 12;
        *data = vector;
        return ABI_OK;
    }
    uint32_t rtl = vector | (flags & ABI_INT_LEVEL ? RTE_LEVEL : 0) | (flags & ABI_INT_LOW ? RTE_LOW : 0);
    return ioapic_set(source, rtl, cpu->apic_id) ? ABI_OK : ABI_BAD_DEVICE;
}

enum abi_status interrupt_route(unsigned source, unsigned cpu, unsigned flags, uint64_t *address, uint64_t *data)
{
    if (source >= pin_count + INTERRUPT_MSI_MAX)
        return ABI_BAD_DEVICE;
    /* Without remapping a destination has eight bits. */
    if (cpu >= cpu_count() || cpu_of(cpu)->apic_id > 0xff)
        return ABI_BAD_CPU;
    spinlock_lock(&route_lock);
    enum abi_status status = route(source, cpu_of(cpu), flags, address, data);
    spinlock_unlock(&route_lock);
    return status;
}

void interrupt_set_mask(unsigned source, bool masked)
{
    if (source >= pin_count || !routes[source].vector)
        return;
    spinlock_lock(&route_lock);
    ioapic_set_mask(source, masked);
    spinlock_unlock(&route_lock);
}

static void device_interrupt(unsigned vector)
{
    unsigned source = cpu_self()->vector_source[vector - VECTOR_DEVICE];
    if (source && interrupt_is_level(source - 1))
        interrupt_set_mask(source - 1, true);
    local_apic_eoi();
    if (source)
        interrupt_fired(source - 1);
}

static void dispatch(unsigned vector)
{
    if (vector < VECTOR_TIMER) {
        device_interrupt(vector);
        return;
    }
    if (vector == VECTOR_SPURIOUS)
        return;
    local_apic_eoi();
    if (vector == VECTOR_TIMER)
        timer_expired();
    else if (vector == VECTOR_RENDEZVOUS)
        rendezvous_serve();
    else if (vector == VECTOR_WAKE)
        wake_serve();
}

void interrupt_from_user(uint64_t vector, uint64_t error)
{
    if (vector < 32) {
        uint64_t cr2;
        __asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
        trap_exception(cpu_self()->current_ec, vector, error, cr2);
    }
    dispatch((unsigned)vector);
    trap_return();
}

void interrupt_from_kernel(struct frame *frame)
{
    if (frame->vector >= 32) {
        dispatch((unsigned)frame->vector);
        return;
    }
    for (const struct fixup *f = fixup_start; f < fixup_end; f++)
        if (f->fault == frame->rip) {
            frame->rip = f->resume;
            return;
        }
    interrupt_fatal(frame);
}

void interrupt_fatal(const struct frame *frame)
{
    uint64_t cr2;
    __asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
    panic("exception %lu error %lx rip %lx rsp %lx rflags %lx cr2 %lx rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx", frame->vector,
          frame->error, frame->rip, frame->rsp, frame->rflags, cr2, frame->rax, frame->rbx, frame->rcx, frame->rdx, frame->rsi,
          frame->rdi);
}
