/* SPDX-License-Identifier: MIT */
/* The CPUID policy over made-up processors of both vendors, and over the one that runs the test. */
#include "vmm/cpu/cpuid.h"

#include "tests/unit/tap.h"

#include <string.h>

/* A processor with every feature bit set, so that what passes is what the policy lets through. */
struct processor {
    const char *vendor; // 12 characters, in the order EBX, EDX, ECX
    uint32_t    max_basic, max_extended;
};

static void read_processor(void *arg, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
    const struct processor *p = arg;

    *out = (struct cpuid_regs){ 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff };
    if (leaf == 0 || leaf == 0x80000000) {
        out->eax = leaf == 0 ? p->max_basic : p->max_extended;
        memcpy(&out->ebx, p->vendor, 4);
        memcpy(&out->edx, p->vendor + 4, 4);
        memcpy(&out->ecx, p->vendor + 8, 4);
    } else if (leaf == 0xd && subleaf >= 2) {
        *out = subleaf == 2 ? (struct cpuid_regs){ 256, 576, 0, 0 }
                            : (struct cpuid_regs){ 1024, 1088 + subleaf, 0, 0 };
    } else if (leaf == 0x80000008) {
        out->eax = 57 << 8 | 46;
    } else if (leaf == 4 || leaf == 0x8000001d) {
        out->eax = subleaf < 3 ? 0xfffffc01 | subleaf << 5 | 1u << 5 : 0;
    }
}

static const struct processor amd = { "AuthenticAMD", 0x10, 0x80000028 };
static const struct processor intel = { "GenuineIntel", 0x20, 0x80000008 };
static const struct processor old = { "AuthenticAMD", 1, 0x80000004 };

static struct cpuid_table table;
static struct cpuid_vcpu vcpu = { .apic_id = 2, .xcr0 = 3, .apic_enabled = true };

static struct cpuid_config config_of(const struct processor *p, unsigned cpus)
{
    return (struct cpuid_config){
        .read = read_processor,
        .read_arg = (void *)(uintptr_t)p,
        .cpus = cpus,
        .tsc_khz = 2994374,
        .apic_khz = 1000000,
        .xcr0 = 7,
    };
}

static struct cpuid_regs query(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    cpuid_query(&table, &vcpu, leaf, subleaf, &r);
    return r;
}

static void on_amd(void)
{
    struct cpuid_config c = config_of(&amd, 4);
    struct cpuid_regs r;

    ok(cpuid_build(&table, &c), "AMD, 4 vCPUs: built");
    is_u64(query(0, 0).ebx, 0x68747541, "the vendor passes");
    r = query(1, 0);
    is_u64(r.ebx, 0x0204ff00, "leaf 1: APIC identifier, 4 logical processors");
    is_u64(r.ecx, 0xf7fa3203 & ~(1u << 27),
           "leaf 1 ECX: no MONITOR, VMX; no OSXSAVE before CR4 has it");
    vcpu.cr4 = 1 << 18;
    ok(query(1, 0).ecx >> 27 & 1, "OSXSAVE follows CR4");
    vcpu.cr4 = 0;
    ok(r.edx >> 28 & 1 && r.edx >> 9 & 1, "HTT and APIC");
    vcpu.apic_enabled = false;
    ok(!(query(1, 0).edx >> 9 & 1), "no APIC while it is disabled");
    vcpu.apic_enabled = true;
    is_u64(query(7, 0).ebx >> 16 & 1, 0, "no AVX-512 without its state");
    is_u64(query(7, 1).eax, 0, "subleaf 1 of leaf 7 is empty");
    is_u64(query(0xd, 0).eax, 7, "XCR0: x87, SSE, AVX");
    is_u64(query(0xd, 0).ebx, 576, "size for the present XCR0");
    is_u64(query(0xd, 0).ecx, 832, "and at most");
    is_u64(query(0x80000008, 0).ecx, 0x2003, "4 cores, 2 bits of identifier");
    is_u64(query(0x80000008, 0).eax, 48 << 8 | 46, "no five-level paging");
    is_u64(query(0x80000001, 0).ecx >> 2 & 1, 0, "no SVM");
    is_u64(query(0x80000001, 0).edx >> 27 & 1, 0, "no RDTSCP without TSC_AUX");
    is_u64(query(0x8000001e, 0).eax, 2, "extended APIC identifier");
    is_u64(query(0x8000001d, 2).eax >> 14 & 0xfff, 3, "the last cache is shared by 4");
    is_u64(query(0x8000001d, 0).eax >> 14 & 0xfff, 0, "the first by none");
    is_u64(query(0x80000007, 0).edx, 1 << 8, "invariant TSC");
    is_u64(query(6, 0).eax, 4, "the APIC timer always runs");
    is_u64(query(0xb, 1).ebx, 4, "leaf 0xb: 4 cores");
    is_u64(query(0xb, 1).eax, 2, "2 bits");
    is_u64(query(0xb, 1).edx, 2, "own identifier");
    is_u64(query(0xb, 7).ecx, 7, "an invalid level is empty");
    is_u64(query(0x17, 0).eax | query(0x17, 0).ebx, 0, "beyond the last leaf: zero");
}

static void hypervisor(void)
{
    struct cpuid_config c = config_of(&amd, 1);
    struct cpuid_regs r;
    char signature[13] = { 0 };

    ok(cpuid_build(&table, &c), "built with the KVM signature");
    r = query(0x40000000, 0);
    memcpy(signature, &r.ebx, 4);
    memcpy(signature + 4, &r.ecx, 4);
    memcpy(signature + 8, &r.edx, 4);
    is_str(signature, "KVMKVMKVM", "signature");
    is_u64(r.eax, 0x40000010, "last hypervisor leaf");
    is_u64(query(0x40000001, 0).eax, 0x0100000b, "clock, clock 2, stable; no I/O delay");
    is_u64(query(0x40000010, 0).eax, 2994374, "TSC in kHz");
    is_u64(query(0x40000010, 0).ebx, 1000000, "APIC timer in kHz");
    is_u64(query(0x15, 0).ebx, 0, "leaf 0x15 is left out where guests would overflow");
    c.tsc_khz = 2500000;
    ok(cpuid_build(&table, &c), "built with 2.5 GHz");
    r = query(0x15, 0);
    is_u64(r.eax, 2, "leaf 0x15: denominator");
    is_u64(r.ebx, 5, "numerator");
    is_u64(r.ecx, 1000000000, "crystal");
    c.hypervisor = CPUID_HYPERVISOR_NONE;
    ok(cpuid_build(&table, &c), "built without");
    is_u64(query(1, 0).ecx >> 31, 0, "no hypervisor bit");
    is_u64(query(0x40000000, 0).ebx, 0, "no signature");
}

static void on_intel(void)
{
    struct cpuid_config c = config_of(&intel, 3);

    c.xcr0 = 0xe7;
    c.tsc_aux = true;
    ok(cpuid_build(&table, &c), "Intel, 3 vCPUs: built");
    is_u64(query(4, 2).eax >> 14 & 0xfff, 2, "leaf 4: the last cache is shared by 3");
    is_u64(query(4, 2).eax >> 26, 3, "room for 4 cores");
    is_u64(query(7, 0).ebx >> 16 & 1, 1, "AVX-512 with its state");
    is_u64(query(0xd, 0).eax, 0xe7, "XCR0");
    is_u64(query(0xa, 0).eax, 0, "no performance counters");
    is_u64(query(0x80000001, 0).edx >> 27 & 1, 1, "RDTSCP with TSC_AUX");
    is_u64(query(0x12345678, 0).eax, query(0x16, 0).eax, "beyond the last leaf: the last one");
    is_u64(query(0x80000008, 0).ecx, 0, "no AMD topology");
}

static void narrow(void)
{
    static const struct cpuid_override overrides[] = {
        { 1, 0, 2, ~(1u << 21), 0 },
        { 7, 0, 1, 0, 0 },
        { 0x19, 0, 0, 0, 1 },
    };
    struct cpuid_config c = config_of(&old, 64);

    c.overrides = overrides;
    c.override_count = 3;
    c.tsc_khz = 0;
    ok(cpuid_build(&table, &c), "an old processor, 64 vCPUs: built");
    is_u64(query(0x80000008, 0).eax, 48 << 8 | 36, "address sizes are made up");
    is_u64(query(0xd, 0).eax, 0, "no XSAVE leaf");
    is_u64(query(1, 0).ecx >> 21 & 1, 0, "a setting takes x2APIC away");
    is_u64(query(7, 0).ebx, 0, "and all of a register");
    is_u64(query(0x40000001, 0).eax, 2, "no clock without a known frequency");
    is_u64(query(0x15, 0).ebx, 0, "nor leaf 0x15");
    is_u64(cpuid_physical_bits(&table), 36, "36 physical bits");
    is_u64(query(1, 0).ecx >> 3 & 1, 0, "no MONITOR");
    c.monitor = true;
    ok(cpuid_build(&table, &c), "with an engine that has it");
    is_u64(query(1, 0).ecx >> 3 & 1, 1, "there is MONITOR");
    is_u64((uint64_t)query(5, 0).eax << 32 | query(5, 0).ebx, 64ull << 32 | 64, "for lines of 64 bytes");
    is_u64(query(5, 0).ecx | query(5, 0).edx, 0, "without hints");
    c.xcr0 = 0;
    ok(cpuid_build(&table, &c), "without extended state");
    is_u64(query(1, 0).ecx & (1u << 26 | 1u << 28), 0, "no XSAVE and no AVX");
}

static void native(void)
{
    struct cpuid_config c = config_of(NULL, 2);
    struct cpuid_regs real, ours;

    c.read = cpuid_read_native;
    ok(cpuid_build(&table, &c), "this machine's processor: built");
    cpuid_read_native(NULL, 1, 0, &real);
    ours = query(1, 0);
    is_u64(ours.eax, real.eax, "family and model pass");
    is_u64(ours.ecx & ~real.ecx & ~(1u << 21 | 1u << 24 | 1u << 31), 0, "no feature is made up");
    cpuid_read_native(NULL, 7, 0, &real);
    ours = query(7, 0);
    is_u64(ours.ebx & ~real.ebx & ~2u, 0, "nor in leaf 7");
}

int main(void)
{
    on_amd();
    hypervisor();
    on_intel();
    narrow();
    native();
    return tap_done();
}
