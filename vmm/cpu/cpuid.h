/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells the guest (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).
 *
 * cpuid_build() makes a machine's table once: each leaf is what the processor underneath says,
 * ANDed with what this VM process virtualizes, plus what it adds itself (topology of one package
 * with one thread a core, local APIC, hypervisor leaves). The table is read only afterwards and
 * shared by all vCPUs; cpuid_query() puts in what differs from one vCPU or moment to the next.
 * Settings can overrule any register of any leaf. Vendor, family and brand pass through.
 *
 * Hypervisor leaves: the KVM signature with its clock at 0x40000000, and frequencies at 0x40000010,
 * so that Linux calibrates nothing.
 */
#ifndef VMM_CPU_CPUID_H
#define VMM_CPU_CPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUID_MAX_ENTRIES 64u
#define CPUID_LEAVES      0x22u // of each range that this table can hold

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

/* The processor underneath, as its CPUID tells it. */
typedef void cpuid_read_fn(void *arg, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

/* The processor that runs this code. */
void cpuid_read_native(void *arg, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

enum cpuid_hypervisor {
    CPUID_HYPERVISOR_KVM,
    CPUID_HYPERVISOR_NONE, // and no hypervisor bit
};

/* A setting's last word on one register: (value & keep) | set. */
struct cpuid_override {
    uint32_t leaf, subleaf;
    uint8_t  reg; // 0 EAX, 1 EBX, 2 ECX, 3 EDX
    uint32_t keep, set;
};

struct cpuid_config {
    cpuid_read_fn *read;
    void          *read_arg;
    unsigned       cpus;      // 1 to 64
    uint64_t       tsc_khz;   // exact frequency of the guest's TSC; 0 if unknown
    uint64_t       apic_khz;  // of the local APIC timer before its divider
    uint64_t       xcr0;      // extended state that the engine switches; 0: no XSAVE
    bool           tsc_aux;   // the engine switches TSC_AUX
    bool           monitor;   // MONITOR and MWAIT wait for writes
    enum cpuid_hypervisor hypervisor;
    const struct cpuid_override *overrides;
    size_t         override_count;
};

struct cpuid_entry {
    uint32_t leaf, subleaf;
    bool     by_subleaf; // else ECX is not looked at
    struct cpuid_regs regs;
};

struct cpuid_table {
    struct cpuid_entry entries[CPUID_MAX_ENTRIES];
    unsigned count;
    uint8_t  first[3][CPUID_LEAVES]; // by range and leaf: its first entry, or count
    uint32_t max_basic, max_hypervisor, max_extended;
    bool     intel; // a leaf out of range reads as the highest basic one, not as zero
};

/* The vCPU's part of an answer. */
struct cpuid_vcpu {
    uint32_t apic_id;
    uint64_t xcr0;
    uint64_t cr4;
    bool     apic_enabled; // IA32_APIC_BASE bit 11: clear hides the local APIC
};

/* False if the table has no room: an error of this code, found by its test. */
bool cpuid_build(struct cpuid_table *t, const struct cpuid_config *config);
void cpuid_query(const struct cpuid_table *t, const struct cpuid_vcpu *vcpu, uint32_t leaf,
                 uint32_t subleaf, struct cpuid_regs *out);

/* Feature tests over a built table, for the other policies. */
bool cpuid_has(const struct cpuid_table *t, uint32_t leaf, uint32_t subleaf, unsigned reg,
               unsigned bit);
uint64_t cpuid_xcr0(const struct cpuid_table *t); // bits of XCR0 that there are
unsigned cpuid_physical_bits(const struct cpuid_table *t);
bool cpuid_is_amd(const struct cpuid_table *t); // or Hygon, which is the same in what differs from Intel

/* Bits that others ask for. */
#define CPUID_1_ECX_MONITOR      3u
#define CPUID_1_ECX_X2APIC       21u
#define CPUID_1_ECX_TSC_DEADLINE 24u
#define CPUID_1_ECX_XSAVE        26u
#define CPUID_1_ECX_OSXSAVE      27u
#define CPUID_1_ECX_HYPERVISOR   31u
#define CPUID_1_EDX_APIC         9u
#define CPUID_1_EDX_HTT          28u
#define CPUID_7_EBX_TSC_ADJUST   1u
#define CPUID_7_ECX_RDPID        22u
#define CPUID_8_EDX_RDTSCP       27u // of leaf 80000001h
#define CPUID_7_EDX_ARCH_CAPABILITIES 29u
#define CPUID_KVM_SIGNATURE      0x40000000u
#define CPUID_KVM_FEATURES       0x40000001u
#define CPUID_KVM_CLOCK          0u  // MSRs 0x11 and 0x12
#define CPUID_KVM_NO_IO_DELAY    1u
#define CPUID_KVM_CLOCK2         3u  // MSRs 0x4b564d00 and 0x4b564d01
#define CPUID_KVM_CLOCK_STABLE   24u // the clocks of all vCPUs agree

#endif
