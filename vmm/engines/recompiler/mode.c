/* SPDX-License-Identifier: MIT */
/* What a vCPU is in, as far as translations depend on it. */
#include "vmm/engines/recompiler/memory.h"
#include "vmm/engines/recompiler/mode.h"

static bool flat(const struct cpu_segment *s)
{
    return s->base == 0 && s->limit == 0xffffffffu && (s->attr & CPU_SEG_P);
}

static bool flat_data(const struct cpu_segment *s)
{
    return flat(s) && (s->attr & 0xe) == 2; // writable, expands up
}

static bool flat_limit(const struct cpu_segment *s)
{
    return s->limit == 0xffffffffu && (s->attr & CPU_SEG_P) && (s->attr & 0xe) == 2;
}

/* 32-bit code: flat, or not for us. FS and GS may have a base; a null one is never used. */
static bool flat_code(const struct cpu_state *s)
{
    return (s->cr0 & CR0_PE) && (s->cs.attr & CPU_SEG_DB) && (s->ss.attr & CPU_SEG_DB) &&
           flat(&s->cs) && (s->cs.attr & 2) && flat_data(&s->ss) && flat_data(&s->ds) &&
           flat_data(&s->es);
}

uint32_t mode_of(const struct cpu_state *s)
{
    uint32_t mode = 0;
    bool user = (s->ss.attr & CPU_SEG_DPL) == CPU_SEG_DPL;

    if (!user && (s->ss.attr & CPU_SEG_DPL) && (s->cr0 & CR0_PE))
        return REC_MODE_NONE; // neither user nor privileged
    if ((s->rflags & (RFLAGS_TF | RFLAGS_VM)) || (s->dr7 & 0xff))
        return REC_MODE_NONE;
    if (user && (s->rflags & RFLAGS_AC) && (s->cr0 & CR0_AM))
        return REC_MODE_NONE;
    if ((s->efer & EFER_LMA) && (s->cs.attr & CPU_SEG_L)) {
        mode |= REC_MODE_64;
    } else {
        if (!flat_code(s))
            return REC_MODE_NONE;
        if (flat_limit(&s->fs))
            mode |= REC_MODE_FS;
        if (flat_limit(&s->gs))
            mode |= REC_MODE_GS;
    }
    if (user)
        mode |= REC_MODE_USER;
    else if (s->cr4 & CR4_SMAP)
        mode |= REC_MODE_SMAP;
    if (!user || !(s->cr4 & CR4_TSD))
        mode |= REC_MODE_CLOCK;
    if (s->cr4 & CR4_FSGSBASE)
        mode |= REC_MODE_BASES;
    if (!(s->cr0 & (CR0_EM | CR0_TS))) {
        mode |= REC_MODE_X87;
        if (s->cr4 & CR4_OSFXSR)
            mode |= REC_MODE_SSE;
        if ((s->cr4 & CR4_OSXSAVE) && (s->xcr0 & 6) == 6)
            mode |= REC_MODE_AVX;
    }
    return mode;
}

#define CR0_PAGING (CR0_PE | CR0_WP | CR0_PG)
#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_LA57)

/* What the guest changed of its mode; anything but CR3 empties the views. MOV to CR3 has been seen to already; task switches have not. */
void mode_look(struct rec_cpu *cpu)
{
    const struct cpu_state *s = &cpu->state;

    if (((s->cr0 ^ cpu->cr0) & CR0_PAGING) || ((s->cr4 ^ cpu->cr4) & CR4_PAGING) ||
        s->efer != cpu->efer) {
        cpu->cr4 = s->cr4;
        cpu->cr3 = s->cr3;
        memory_flush_all(cpu);
    }
    if (s->cr3 != cpu->cr3)
        memory_loaded_cr3(cpu, s->cr3);
    cpu->cr0 = s->cr0;
    cpu->cr3 = s->cr3;
    cpu->cr4 = s->cr4;
    cpu->efer = s->efer;
    cpu->mode = mode_of(s);
    if (!(cpu->mode & REC_MODE_64)) // its upper half is no part of an address there (SDM volume 1, 3.4.1.1), and is in R13's sums
        cpu->state.rsp = (uint32_t)s->rsp;
    cpu->walk.cr0 = s->cr0;
    cpu->walk.cr3 = s->cr3;
    cpu->walk.cr4 = s->cr4;
    cpu->walk.efer = s->efer;
    cpu->walk.rflags = s->rflags;
    if (cpu->mode != REC_MODE_NONE)
        memory_choose_view(cpu);
}
