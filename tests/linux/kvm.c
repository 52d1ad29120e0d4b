/* SPDX-License-Identifier: MIT */
/* The KVM engine's parts over this machine's /dev/kvm: probe, registers, events, MSRs that exit. */
#include "hosts/linux/kvm_engine.h"
#include "tests/unit/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define ROUNDS 200u
#define RAM    0x10000u

static struct engine engine;
static struct kvm_vcpu *vcpu;

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 17;
}

/* An address that is canonical. */
static uint64_t address(uint64_t *seed)
{
    return (uint64_t)((int64_t)(next(seed) << 17) >> 17);
}

/* KVM for AMD makes the granularity bit from the limit. */
static struct cpu_segment segment(uint64_t *seed, uint16_t attr)
{
    uint32_t limit = (uint32_t)next(seed);

    return (struct cpu_segment){
        .sel = (uint16_t)next(seed), .attr = attr, .base = address(seed),
        .limit = attr & CPU_SEG_G ? limit << 12 | 0x80000fff : limit & 0xfffff,
    };
}

/* A state of long mode that KVM has to accept. */
static void make_state(struct cpu_state *s, uint64_t *seed)
{
    memset(s, 0, sizeof(*s));
    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = next(seed) * 0x10001;
    s->rip = next(seed);
    s->rsp = next(seed);
    s->rflags = 2 | (next(seed) & 0x8d5);
    s->cs = segment(seed, CPU_SEG_G | CPU_SEG_L | 0x9b);
    s->ss = segment(seed, CPU_SEG_G | CPU_SEG_DB | 0x93);
    s->ds = segment(seed, CPU_SEG_G | CPU_SEG_DB | CPU_SEG_AVL | 0x93);
    s->es = segment(seed, CPU_SEG_G | 0xf3);
    s->fs = segment(seed, CPU_SEG_G | CPU_SEG_DB | 0x91);
    s->gs = segment(seed, CPU_SEG_G | CPU_SEG_DB | 0x93);
    s->tr = segment(seed, 0x8b);
    s->ldtr = segment(seed, 0x82);
    s->gdtr = (struct cpu_segment){.base = address(seed), .limit = next(seed) & 0xffff};
    s->idtr = (struct cpu_segment){.base = address(seed), .limit = next(seed) & 0xffff};
    s->cr0 = 0x80010033;
    s->cr2 = address(seed);
    s->cr3 = next(seed) & 0xf000;
    s->cr4 = 0x6a0; // PAE, PGE, OSFXSR, OSXMMEXCPT
    s->cr8 = next(seed) & 15;
    for (unsigned i = 0; i < 4; i++)
        s->dr[i] = next(seed);
    s->dr6 = 0xffff0ff0 | (next(seed) & 15);
    s->dr7 = 0x400 | (next(seed) & 0xff);
    s->efer = 0xd01; // NXE, LMA, LME, SCE
    s->star = next(seed) << 16;
    s->lstar = address(seed);
    s->cstar = address(seed);
    s->sfmask = next(seed) & 0xffffffff;
    s->kernel_gs_base = address(seed);
    s->sysenter_cs = next(seed) & 0xffff;
    s->sysenter_esp = next(seed) & 0xffffffff; // AMD's have 32 bits
    s->sysenter_eip = next(seed) & 0xffffffff;
    s->pat = 0x0007040600070406ull;
    s->xcr0 = 1;
    s->xsave[0] = 0x7f;
    s->xsave[1] = 3;
    for (unsigned i = 160; i < 416; i++)
        s->xsave[i] = (uint8_t)next(seed);
    s->xsave[24] = 0x80;
    s->xsave[25] = 0x1f;
    s->xsave[512] = 3;
    s->valid = s->dirty = CPU_ALL;
}

/* --- Registers --- */

static bool same_segment(const struct cpu_segment *a, const struct cpu_segment *b)
{
    return a->sel == b->sel && a->attr == b->attr && a->limit == b->limit && a->base == b->base;
}

static bool same_segments(const struct cpu_state *a, const struct cpu_state *b)
{
    const struct cpu_segment *x = &a->cs, *y = &b->cs;

    for (unsigned i = 0; i < 10; i++)
        if (!same_segment(x + i, y + i)) {
            tap_note("segment %u: %x %x %x %lx, not %x %x %x %lx", i, x[i].sel, x[i].attr,
                     x[i].limit, x[i].base, y[i].sel, y[i].attr, y[i].limit, y[i].base);
            return false;
        }
    return true;
}

/* dr[], CRs, EFER and MSRs lie one behind the other. */
static bool same_numbers(const struct cpu_state *a, const struct cpu_state *b)
{
    const uint64_t *x = &a->cr0, *y = &b->cr0;

    for (; x <= &a->xcr0; x++, y++)
        if (*x != *y) {
            tap_note("at %lu: %lx, not %lx", (uint64_t)((const uint8_t *)x - (const uint8_t *)a),
                     *x, *y);
            return false;
        }
    return true;
}

static void registers(void)
{
    static struct cpu_state wanted;
    bool put = true, got = true, segments = true, numbers = true, vectors = true;
    uint64_t seed = 1;

    for (unsigned i = 0; i < ROUNDS; i++) {
        make_state(&wanted, &seed);
        *vcpu->state = wanted;
        put &= kvm_put(vcpu);
        memset(&vcpu->state->cs, 0xcc, sizeof(*vcpu->state) - offsetof(struct cpu_state, cs));
        memset(&vcpu->state->gdtr, 0, 2 * sizeof(struct cpu_segment));
        vcpu->state->valid = 0;
        got &= kvm_get(vcpu, CPU_ALL);
        segments &= same_segments(vcpu->state, &wanted);
        numbers &= same_numbers(vcpu->state, &wanted);
        vectors &= memcmp(vcpu->state->xsave + 160, wanted.xsave + 160, 256) == 0;
    }
    ok(put, "KVM takes %u states", ROUNDS);
    ok(got && vcpu->state->valid == CPU_ALL, "and gives them back");
    ok(segments, "the same segments and tables");
    ok(numbers, "the same control, debug and model-specific registers");
    ok(vectors, "the same vector registers");
}

/* What is changed and what is not here go together. */
static void partial(void)
{
    static struct cpu_state wanted;
    uint64_t seed = 7;

    make_state(&wanted, &seed);
    *vcpu->state = wanted;
    if (!kvm_put(vcpu))
        tap_note("KVM refuses the state");
    vcpu->state->valid = vcpu->state->dirty = CPU_CR;
    wanted.cr2 = vcpu->state->cr2 = 0x1234567000;
    memset(&vcpu->state->cs, 0xcc, 8 * sizeof(struct cpu_segment));
    ok(kvm_put(vcpu) && vcpu->state->dirty == 0, "one group of the segments' is changed");
    vcpu->state->valid = 0;
    ok(kvm_get(vcpu, CPU_CSSS | CPU_FSGS | CPU_TRLDTR | CPU_DSES | CPU_TABLES | CPU_CR) &&
       same_segments(vcpu->state, &wanted) && vcpu->state->cr2 == wanted.cr2,
       "the others are as they were");
}

/* --- Events: as KVM_RUN would take them and give them back --- */

static void one_event(uint64_t event, uint8_t shadow, const char *name)
{
    struct cpu_state *s = vcpu->state;

    s->dirty = 0;
    s->event = event;
    s->shadow = shadow;
    s->nmi_blocked = 0;
    s->rflags = 0x202;
    vcpu->event = ~event; // so that it is put
    if (!kvm_put(vcpu))
        tap_note("KVM refuses the registers");
    s->event = 0;
    s->shadow = 9;
    s->gpr[CPU_R13] = s->rip = 0;
    kvm_take(vcpu);
    ok(s->event == event && s->shadow == shadow && s->rflags == 0x202, "%s: %lx", name, s->event);
}

static void events(void)
{
    uint64_t seed = 3;

    make_state(vcpu->state, &seed);
    one_event(CPU_EVENT_VALID | CPU_EVENT_INTR | 0x41, 0, "an interrupt");
    one_event(CPU_EVENT_VALID | CPU_EVENT_SOFT | 0x80, 0, "INT n");
    one_event(CPU_EVENT_VALID | CPU_EVENT_NMI | 2, 0, "NMI");
    one_event(CPU_EVENT_VALID | CPU_EVENT_EXCEPTION | 6, 0, "an exception");
    one_event(CPU_EVENT_VALID | CPU_EVENT_EXCEPTION | CPU_EVENT_ERROR | 14 | 7ull << 32, 0,
              "an exception with a code");
    one_event(0, 1, "none, in a shadow");
    vcpu->state->requests = CPU_REQUEST_NMIWINDOW;
    ok(kvm_put(vcpu) && vcpu->state->requests == 0 && vcpu->run->s.regs.events.nmi.pending,
       "an NMI that waits for its window is handed over");
}

static void msrs(void)
{
    static const uint32_t kept[] = {0x174, 0x176, 0x277, 0xc0000080, 0xc0000084, 0xc0000100,
                                    0xc0000102};
    static const uint32_t ours[] = {0x10, 0x1b, 0x3b, 0x173, 0x177, 0x6e0, 0x808, 0x4b564d00,
                                    0xc000007f, 0xc0000085, 0xc0000103};
    bool good = true;

    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        good &= kvm_keeps_msr(kept[i]);
    for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        good &= !kvm_keeps_msr(ours[i]);
    ok(good, "KVM keeps the MSRs of the state, and no others");
}

static void probe(void)
{
    char error[160] = "";
    enum kvm_fitness fitness = kvm_probe(error, sizeof(error));

    ok(fitness == KVM_FIT ? !error[0] : error[0] != 0, "the probe: %s",
       fitness == KVM_FIT ? "fit" : "a reason");
    tap_note("%s", error[0] ? error : "KVM is fit");
}

int main(void)
{
    char error[160];
    uint8_t *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    msrs();
    probe();
    if (!kvm_open(&engine, 1, error, sizeof(error))) {
        ok(error[0] != 0, "a reason why not");
        ok(true, "registers # SKIP no KVM: %s", error);
        ok(true, "events # SKIP no KVM");
    } else {
        vcpu = &engine.vcpu[0];
        ok(ram != MAP_FAILED && kvm_map(&engine, 0, ram, RAM, true), "guest RAM");
        registers();
        partial();
        events();
    }
    kvm_close(&engine);
    return tap_done();
}
