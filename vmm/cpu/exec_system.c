/* SPDX-License-Identifier: MIT */
/* Handlers: system instructions (SDM volume 2; volume 3, 2.8). */
#include "vmm/cpu/debug.h"
#include "vmm/cpu/xstate.h"

#include "vmm/engine.h"

static enum interp_status privileged(struct interp *c)
{
    return c->cpl ? exec_gp0(c) : INTERP_DONE;
}

/* What the vCPU does: checks first, then the exit that a hardware engine would report. */
static enum interp_status exit_privileged(struct interp *c, uint32_t reason, uint64_t q0)
{
    TRY(privileged(c));
    return exec_exit(c, reason, q0, 0);
}

enum interp_status exec_cpuid(struct interp *c)  { return exec_exit(c, EXIT_CPUID, 0, 0); }
enum interp_status exec_hlt(struct interp *c)    { return exit_privileged(c, EXIT_HLT, 0); }
enum interp_status exec_rdmsr(struct interp *c)  { return exit_privileged(c, EXIT_MSR, 0); }
enum interp_status exec_wrmsr(struct interp *c)  { return exit_privileged(c, EXIT_MSR, 1); }
enum interp_status exec_invd(struct interp *c)   { return exit_privileged(c, EXIT_CACHE, 0); }
enum interp_status exec_wbinvd(struct interp *c) { return exit_privileged(c, EXIT_CACHE, 1); }
enum interp_status exec_vmcall(struct interp *c) { return exec_exit(c, EXIT_HYPERCALL, 0, 0); }
enum interp_status exec_svm(struct interp *c)    { return exec_exit(c, EXIT_SVM, 0, 0); }
enum interp_status exec_xsetbv(struct interp *c)
{
    if (!(c->state->cr4 & CR4_OSXSAVE))
        return exec_fault(c, EXCEPTION_UD);
    return exit_privileged(c, EXIT_XSETBV, 0);
}

/* MONITOR and MWAIT are undefined above CPL 0 (APM volume 3, MONITOR); no hints in ECX are known. */
static enum interp_status monitor_allowed(struct interp *c)
{
    if (c->cpl)
        return exec_fault(c, EXCEPTION_UD);
    return c->monitors && (uint32_t)c->state->gpr[CPU_RCX] ? exec_gp0(c) : INTERP_DONE;
}

/* It is a load of a byte; that it is armed is the engine's to do. */
enum interp_status exec_monitor(struct interp *c)
{
    static const uint64_t masks[] = {[2] = 0xffff, [4] = 0xffffffff, [8] = ~0ull};
    struct access a;

    TRY(monitor_allowed(c));
    if (!c->monitors)
        return exec_exit(c, EXIT_MWAIT, 0, 0);
    TRY(exec_linear(c, c->insn.segment, c->state->gpr[CPU_RAX] & masks[c->insn.addrsize], 1, 0,
                    &c->monitored));
    return exec_prepare(c, c->monitored, 1, 0, &a);
}

enum interp_status exec_mwait(struct interp *c)
{
    TRY(monitor_allowed(c));
    return exec_exit(c, EXIT_MWAIT, 1, 0);
}

static enum interp_status tsc_exit(struct interp *c, uint64_t which)
{
    if ((c->state->cr4 & CR4_TSD) && c->cpl)
        return exec_gp0(c);
    return exec_exit(c, EXIT_TSC, which, 0);
}

enum interp_status exec_rdtsc(struct interp *c)  { return tsc_exit(c, 0); }
enum interp_status exec_rdtscp(struct interp *c) { return tsc_exit(c, 1); }

enum interp_status exec_rdpmc(struct interp *c)
{
    if (!(c->state->cr4 & CR4_PCE) && c->cpl)
        return exec_gp0(c);
    return exec_exit(c, EXIT_PMC, 0, 0);
}

/* The TLB is flushed whole; a hardware engine that intercepts it has engine_ops.invalidate. */
static void flush(struct interp *c)
{
    if (c->tlb)
        tlb_flush(c->tlb);
}

enum interp_status exec_invlpg(struct interp *c)
{
    uint64_t address = exec_address(c);

    TRY(privileged(c));
    if (c->mode != 8)
        c->invalidated = (uint32_t)(exec_segment(c, c->insn.segment)->base + address);
    else
        c->invalidated = address + (c->insn.segment >= SEG_FS ? exec_segment(c, c->insn.segment)->base : 0);
    flush(c);
    return INTERP_DONE;
}

/* INVPCID: the type in a register, PCID and address in memory (SDM volume 2). */
enum interp_status exec_invpcid(struct interp *c)
{
    uint64_t type, words[2];
    struct access a;

    TRY(privileged(c));
    TRY(exec_access(c, c->insn.segment, exec_address(c), 16, 0, &a));
    exec_load_bytes(c, &a, (uint8_t *)words);
    type = exec_get_reg(c, c->insn.reg, c->mode == 8 ? 8 : 4);
    if (type > 3 || words[0] >> 12)
        return exec_gp0(c);
    if (type < 2 && words[0] && !(c->state->cr4 & CR4_PCIDE))
        return exec_gp0(c);
    if (type == 0 && (uint64_t)((int64_t)(words[1] << 16) >> 16) != words[1])
        return exec_gp0(c);
    flush(c);
    return INTERP_DONE;
}

enum interp_status exec_xgetbv(struct interp *c)
{
    uint64_t value;

    if (!(c->state->cr4 & CR4_OSXSAVE))
        return exec_fault(c, EXCEPTION_UD);
    if ((uint32_t)c->state->gpr[CPU_RCX] > 1)
        return exec_gp0(c);
    exec_need(c, CPU_XSTATE);
    value = c->state->xcr0;
    if ((uint32_t)c->state->gpr[CPU_RCX] == 1) { // those not in their initial state
        value &= xstate_used(c->state->xsave);
        if (xstate_mxcsr(c) != MXCSR_INIT)
            value |= c->state->xcr0 & XSTATE_SSE;
    }
    c->state->gpr[CPU_RAX] = (uint32_t)value;
    c->state->gpr[CPU_RDX] = value >> 32;
    return INTERP_DONE;
}

/* UMIP keeps SGDT, SIDT, SLDT, STR and SMSW from user code. */
static enum interp_status umip(struct interp *c)
{
    return c->cpl && (c->state->cr4 & CR4_UMIP) ? exec_gp0(c) : INTERP_DONE;
}

static enum interp_status store_table(struct interp *c, const struct cpu_segment *table)
{
    unsigned size = c->mode == 8 ? 8 : 4;
    uint64_t address = exec_address(c);

    TRY(umip(c));
    exec_need(c, CPU_TABLES);
    TRY(exec_write(c, c->insn.segment, (address + 2) & alu_mask(c->insn.addrsize), size,
                   table->base));
    return exec_write(c, c->insn.segment, address, 2, table->limit);
}

enum interp_status exec_sgdt(struct interp *c) { return store_table(c, &c->state->gdtr); }
enum interp_status exec_sidt(struct interp *c) { return store_table(c, &c->state->idtr); }

/* A 16-bit operand size loads 24 bits of the base. */
static enum interp_status load_table(struct interp *c, struct cpu_segment *table)
{
    unsigned size = c->mode == 8 ? 8 : 4;
    uint64_t address = exec_address(c), limit, base;

    TRY(privileged(c));
    TRY(exec_read(c, c->insn.segment, address, 2, &limit));
    TRY(exec_read(c, c->insn.segment, (address + 2) & alu_mask(c->insn.addrsize), size, &base));
    if (c->mode != 8 && c->insn.opsize == 2)
        base &= 0xffffff;
    if (c->mode == 8 && (uint64_t)((int64_t)(base << 16) >> 16) != base)
        return exec_gp0(c);
    exec_change(c, CPU_TABLES);
    table->limit = (uint32_t)limit;
    table->base = base;
    return INTERP_DONE;
}

enum interp_status exec_lgdt(struct interp *c) { return load_table(c, &c->state->gdtr); }
enum interp_status exec_lidt(struct interp *c) { return load_table(c, &c->state->idtr); }

/* SLDT, STR, SMSW: 16 bits to memory whatever the operand size. */
static enum interp_status store_word(struct interp *c, uint64_t value)
{
    TRY(umip(c));
    if (c->insn.memory)
        return exec_write(c, c->insn.segment, exec_address(c), 2, value & 0xffff);
    return exec_set(c, 0, value);
}

enum interp_status exec_sldt(struct interp *c)
{
    if (!exec_protected(c))
        return exec_fault(c, EXCEPTION_UD);
    exec_need(c, CPU_TRLDTR);
    return store_word(c, c->state->ldtr.sel);
}

enum interp_status exec_str(struct interp *c)
{
    if (!exec_protected(c))
        return exec_fault(c, EXCEPTION_UD);
    exec_need(c, CPU_TRLDTR);
    return store_word(c, c->state->tr.sel);
}

enum interp_status exec_smsw(struct interp *c)
{
    return store_word(c, c->state->cr0);
}

static enum interp_status write_cr0(struct interp *c, uint64_t value)
{
    struct cpu_state *s = c->state;
    bool paging = value & CR0_PG, was = s->cr0 & CR0_PG;

    value = (value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW |
                      CR0_CD | CR0_PG)) |
            CR0_ET;
    if ((paging && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD)))
        return exec_gp0(c);
    if (paging && !was && (s->efer & EFER_LME)) {
        if (!(s->cr4 & CR4_PAE) || (s->cs.attr & CPU_SEG_L))
            return exec_gp0(c);
        exec_change(c, CPU_EFER);
        s->efer |= EFER_LMA;
    } else if (!paging && was) {
        if (c->mode == 8 || (s->cr4 & CR4_PCIDE))
            return exec_gp0(c);
        exec_change(c, CPU_EFER);
        s->efer &= ~EFER_LMA;
    }
    exec_change(c, CPU_CR);
    flush(c);
    s->cr0 = value;
    return INTERP_DONE;
}

static enum interp_status write_cr3(struct interp *c, uint64_t value)
{
    if (c->state->efer & EFER_LMA) {
        if (c->state->cr4 & CR4_PCIDE)
            value &= ~(1ull << 63); // no flush wanted; one too many is allowed
        if (value >> c->physical_bits)
            return exec_gp0(c);
    }
    exec_change(c, CPU_CR);
    flush(c);
    c->state->cr3 = value;
    return INTERP_DONE;
}

/* Bits that no guest is offered are reserved: 57-bit addresses, VMX, SMX, protection keys, CET. */
static enum interp_status write_cr4(struct interp *c, uint64_t value)
{
    uint64_t known =
        0x7ffull | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP;
    bool lma = c->state->efer & EFER_LMA;

    if ((value & ~known) || (lma && !(value & CR4_PAE)))
        return exec_gp0(c);
    if ((value & ~c->state->cr4 & CR4_PCIDE) && (!lma || (c->state->cr3 & 0xfff)))
        return exec_gp0(c);
    exec_change(c, CPU_CR);
    flush(c);
    c->state->cr4 = value;
    return INTERP_DONE;
}

enum interp_status exec_mov_to_cr(struct interp *c)
{
    uint64_t value;

    TRY(privileged(c));
    TRY(exec_get(c, 1, &value));
    switch (c->insn.reg) {
    case 0: return value >> 32 ? exec_gp0(c) : write_cr0(c, value);
    case 2: exec_change(c, CPU_CR); c->state->cr2 = value; return INTERP_DONE;
    case 3: return write_cr3(c, value);
    case 4: return write_cr4(c, value);
    case 8:
        if (value >> 4)
            return exec_gp0(c);
        c->state->cr8 = (uint8_t)value;
        return INTERP_DONE;
    default: return exec_fault(c, EXCEPTION_UD);
    }
}

enum interp_status exec_mov_from_cr(struct interp *c)
{
    const struct cpu_state *s = c->state;

    TRY(privileged(c));
    switch (c->insn.reg) {
    case 0: return exec_set(c, 0, s->cr0);
    case 2: return exec_set(c, 0, s->cr2);
    case 3: return exec_set(c, 0, s->cr3);
    case 4: return exec_set(c, 0, s->cr4);
    case 8: return exec_set(c, 0, s->cr8);
    default: return exec_fault(c, EXCEPTION_UD);
    }
}

/* LMSW changes CR0 3:0 and cannot clear PE. */
enum interp_status exec_lmsw(struct interp *c)
{
    uint64_t value;

    TRY(privileged(c));
    TRY(exec_get(c, 0, &value));
    return write_cr0(c, (c->state->cr0 & ~0xeull) | (value & 0xf));
}

enum interp_status exec_clts(struct interp *c)
{
    TRY(privileged(c));
    exec_change(c, CPU_CR);
    c->state->cr0 &= ~CR0_TS;
    return INTERP_DONE;
}

/*
 * DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them undefined; DR7.GD traps every access (SDM
 * volume 3, 17.2).
 */
static enum interp_status debug_register(struct interp *c, unsigned *n)
{
    exec_need(c, CPU_DR);
    *n = c->insn.reg;
    if (*n >= 8 || ((*n == 4 || *n == 5) && (c->state->cr4 & CR4_DE)))
        return exec_fault(c, EXCEPTION_UD);
    TRY(privileged(c));
    if (*n == 4 || *n == 5)
        *n += 2;
    if (c->state->dr7 & DR7_GD) {
        exec_change(c, CPU_DR);
        debug_report(c->state, DR6_BD);
        return exec_fault(c, EXCEPTION_DB);
    }
    return INTERP_DONE;
}

enum interp_status exec_mov_from_dr(struct interp *c)
{
    unsigned n;

    TRY(debug_register(c, &n));
    return exec_set(c, 0, n < 4 ? c->state->dr[n] : n == 6 ? c->state->dr6 : c->state->dr7);
}

enum interp_status exec_mov_to_dr(struct interp *c)
{
    uint64_t value;
    unsigned n;

    TRY(debug_register(c, &n));
    TRY(exec_get(c, 1, &value));
    if (n >= 6 && value >> 32)
        return exec_gp0(c);
    exec_change(c, CPU_DR);
    if (n < 4)
        c->state->dr[n] = value;
    else if (n == 6)
        c->state->dr6 = (value & 0xe00f) | 0xffff0ff0u;
    else
        c->state->dr7 = (value & 0xffff2bffu) | 0x400;
    return INTERP_DONE;
}

/* Whether CR4.SMAP is set does not matter (SDM volume 2, CLAC). */
static enum interp_status set_ac(struct interp *c, bool value)
{
    if (c->cpl)
        return exec_fault(c, EXCEPTION_UD);
    c->state->rflags = value ? c->state->rflags | RFLAGS_AC : c->state->rflags & ~RFLAGS_AC;
    return INTERP_DONE;
}

enum interp_status exec_clac(struct interp *c) { return set_ac(c, false); }
enum interp_status exec_stac(struct interp *c) { return set_ac(c, true); }

enum interp_status exec_swapgs(struct interp *c)
{
    struct cpu_state *s = c->state;
    uint64_t base;

    TRY(privileged(c));
    exec_change(c, CPU_FSGS | CPU_SYSCALL);
    base = s->gs.base;
    s->gs.base = s->kernel_gs_base;
    s->kernel_gs_base = base;
    return INTERP_DONE;
}

static enum interp_status read_base(struct interp *c, unsigned segment)
{
    if (!(c->state->cr4 & CR4_FSGSBASE))
        return exec_fault(c, EXCEPTION_UD);
    return exec_set(c, 0, exec_segment(c, segment)->base);
}

static enum interp_status write_base(struct interp *c, unsigned segment)
{
    uint64_t value;

    if (!(c->state->cr4 & CR4_FSGSBASE))
        return exec_fault(c, EXCEPTION_UD);
    TRY(exec_get(c, 0, &value));
    if ((uint64_t)((int64_t)(value << 16) >> 16) != value)
        return exec_gp0(c);
    exec_change(c, CPU_FSGS);
    exec_segment(c, segment)->base = value;
    return INTERP_DONE;
}

enum interp_status exec_rdfsbase(struct interp *c) { return read_base(c, SEG_FS); }
enum interp_status exec_rdgsbase(struct interp *c) { return read_base(c, SEG_GS); }
enum interp_status exec_wrfsbase(struct interp *c) { return write_base(c, SEG_FS); }
enum interp_status exec_wrgsbase(struct interp *c) { return write_base(c, SEG_GS); }

/* The flat segments that the fast system calls load. */
static void set_flat(struct cpu_segment *s, unsigned selector, unsigned attr)
{
    *s = (struct cpu_segment){
        .sel = (uint16_t)selector, .attr = (uint16_t)attr, .limit = 0xffffffffu};
}

#define FLAT_CODE64 0xa9bu // P S code readable accessed, L, G
#define FLAT_CODE32 0xc9bu
#define FLAT_DATA   0xc93u
#define FLAT_USER   0x060u

/*
 * Single stepping goes by TF as SYSCALL and SYSRET leave it, not as they find it: a mask with TF
 * keeps the trap off the system's entry, and the one after SYSRET is at its target.
 */
static enum interp_status step_by_result(struct interp *c)
{
    c->software = true;
    if (c->state->rflags & RFLAGS_TF)
        c->hits |= DR6_BS;
    return INTERP_DONE;
}

/* APM volume 3, SYSCALL; SDM volume 2. */
static bool calls_quickly(const struct interp *c)
{
    return (c->state->efer & EFER_SCE) && exec_protected(c) && (c->mode == 8 || c->amd);
}

enum interp_status exec_syscall(struct interp *c)
{
    struct cpu_state *s = c->state;
    bool lma = s->efer & EFER_LMA;
    unsigned selector;

    if (!calls_quickly(c))
        return exec_fault(c, EXCEPTION_UD);
    exec_change(c, CPU_SYSCALL | CPU_CSSS);
    selector = (unsigned)(s->star >> 32) & 0xfffc;
    s->gpr[CPU_RCX] = c->next_rip;
    set_flat(&s->cs, selector, lma ? FLAT_CODE64 : FLAT_CODE32);
    set_flat(&s->ss, selector + 8, FLAT_DATA);
    if (lma) {
        s->gpr[CPU_R11] = s->rflags & ~RFLAGS_RF;
        c->next_rip = c->mode == 8 ? s->lstar : s->cstar;
        s->rflags &= ~(s->sfmask | RFLAGS_RF);
        s->rflags |= RFLAGS_1;
    } else {
        c->next_rip = (uint32_t)s->star;
        s->rflags &= ~(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
    }
    return step_by_result(c);
}

enum interp_status exec_sysret(struct interp *c)
{
    struct cpu_state *s = c->state;
    uint64_t target = s->gpr[CPU_RCX], keep = RFLAGS_RF | RFLAGS_VM;
    unsigned selector;
    bool wide = c->insn.opsize == 8;

    if (!calls_quickly(c))
        return exec_fault(c, EXCEPTION_UD);
    TRY(privileged(c));
    if (wide && (uint64_t)((int64_t)(target << 16) >> 16) != target)
        return exec_gp0(c);
    exec_change(c, CPU_SYSCALL | CPU_CSSS);
    selector = (unsigned)(s->star >> 48) | 3;
    set_flat(&s->cs, selector + (wide ? 16 : 0), (wide ? FLAT_CODE64 : FLAT_CODE32) | FLAT_USER);
    set_flat(&s->ss, selector + 8, FLAT_DATA | FLAT_USER);
    c->next_rip = wide ? target : (uint32_t)target;
    if (s->efer & EFER_LMA)
        s->rflags = (s->gpr[CPU_R11] & 0x3f7fd7 & ~keep) | RFLAGS_1;
    else
        s->rflags |= RFLAGS_IF;
    return step_by_result(c);
}

enum interp_status exec_sysenter(struct interp *c)
{
    struct cpu_state *s = c->state;
    bool lma = s->efer & EFER_LMA;

    exec_need(c, CPU_SYSENTER);
    if (!(s->cr0 & CR0_PE) || (s->sysenter_cs & 0xfffc) == 0)
        return exec_gp0(c);
    exec_change(c, CPU_CSSS);
    set_flat(&s->cs, (unsigned)s->sysenter_cs & 0xfffc, lma ? FLAT_CODE64 : FLAT_CODE32);
    set_flat(&s->ss, ((unsigned)s->sysenter_cs & 0xfffc) + 8, FLAT_DATA);
    s->rflags &= ~(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
    c->next_rip = lma ? s->sysenter_eip : (uint32_t)s->sysenter_eip;
    s->gpr[CPU_RSP] = lma ? s->sysenter_esp : (uint32_t)s->sysenter_esp;
    return INTERP_DONE;
}

enum interp_status exec_sysexit(struct interp *c)
{
    struct cpu_state *s = c->state;
    bool wide = c->insn.opsize == 8;
    unsigned selector;

    exec_need(c, CPU_SYSENTER);
    if (!exec_protected(c) || c->cpl || (s->sysenter_cs & 0xfffc) == 0)
        return exec_gp0(c);
    exec_change(c, CPU_CSSS);
    selector = ((unsigned)s->sysenter_cs & 0xfffc) + (wide ? 32 : 16);
    set_flat(&s->cs, selector | 3, (wide ? FLAT_CODE64 : FLAT_CODE32) | FLAT_USER);
    set_flat(&s->ss, (selector + 8) | 3, FLAT_DATA | FLAT_USER);
    c->next_rip = wide ? s->gpr[CPU_RDX] : (uint32_t)s->gpr[CPU_RDX];
    s->gpr[CPU_RSP] = wide ? s->gpr[CPU_RCX] : (uint32_t)s->gpr[CPU_RCX];
    return INTERP_DONE;
}
