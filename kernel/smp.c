/* SPDX-License-Identifier: MIT */
/* Starting the other CPUs. */
#include "kernel/boot.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/local_apic.h"
#include "kernel/paging.h"
#include "kernel/timer.h"
#include "lib/string.h"

#define ICR_INIT    0x4500u
#define ICR_STARTUP 0x4600u
#define STACK_TOP   0x5000u // in the area: kernel/cpu.h
#define COME_UP_MS  200u

extern char trampoline[], trampoline_end[];
extern uint64_t ap_stack;  // boot.S: taken by the CPU that starts, 0 if it is too late

_Noreturn void boot_main_ap(void); // boot.S comes here

/* For the CPU that is being started. */
static struct {
    unsigned id;
    uint32_t apic_id;
    uint64_t area_phys;
} starting;
static uint32_t released;
static unsigned count = 1;

unsigned cpu_count(void)
{
    return count;
}

static void delay_us(uint64_t us)
{
    for (uint64_t end = tsc_now() + us * timer_khz() / 1000; tsc_now() < end;)
        cpu_pause();
}

static bool start(uint32_t page)
{
    struct cpu *cpu = cpu_of(starting.id);
    __atomic_store_n(&ap_stack, CPU_BASE + starting.id * (uint64_t)CPU_STRIDE + STACK_TOP, __ATOMIC_RELEASE);
    local_apic_command(starting.apic_id, ICR_INIT);
    delay_us(10000);
    for (unsigned i = 0; i < 2 && __atomic_load_n(&ap_stack, __ATOMIC_ACQUIRE); i++) {
        local_apic_command(starting.apic_id, ICR_STARTUP | page);
        delay_us(200);
    }
    for (unsigned ms = 0; ms < COME_UP_MS && !__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE); ms++)
        delay_us(1000);
    /* It has taken its stack: then it is on its way and will come. */
    if (__atomic_exchange_n(&ap_stack, 0, __ATOMIC_ACQ_REL))
        return false;
    while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
        cpu_pause();
    return true;
}

void smp_start(const uint32_t *apic_id, unsigned others, uint64_t trampoline_page, uint64_t areas_phys)
{
    memcpy(boot_map(trampoline_page, 4096), trampoline, (size_t)(trampoline_end - trampoline));
    for (unsigned i = 0; i < others; i++) {
        starting.id = count;
        starting.apic_id = apic_id[i];
        starting.area_phys = areas_phys + count * (uint64_t)CPU_STRIDE;
        if (start((uint32_t)(trampoline_page >> 12)))
            count++;
        else
            print("CPU with APIC id %u does not come up\n", apic_id[i]);
    }
}

void boot_main_ap(void)
{
    cpu_init(starting.id, starting.apic_id, starting.area_phys);
    __atomic_store_n(&cpu_self()->online, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
        cpu_pause();
    tlb_flush_local();
    kernel_main_ap();
}

void smp_release(void)
{
    __atomic_store_n(&released, 1, __ATOMIC_RELEASE);
}
