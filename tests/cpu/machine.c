/* SPDX-License-Identifier: MIT */
/* A machine of one vCPU around a few pages of the test's own. */
#include "tests/cpu/machine.h"

#include "hosts/linux/code_memory.h"
#include "hosts/linux/traps.h"
#include "tests/vmm/fake_host.h"
#include "vmm/cpu/control.h"
#include "vmm/engines/interpreter.h"
#include "vmm/engines/recompiler/recompiler.h"
#include "vmm/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE       4096u
#define RAM        (MACHINE_USER + (16u << 20))
#define CODE_CACHE (16u << 20)

/* Guest-physical and supervisor's linear addresses. */
#define TABLES   0x200000u // PML4, page directory pointers; directory and table of the user's pages, of the last page, of those above, of what follows
#define IDT      0x300000u
#define GDT      0x301000u
#define TSS      0x302000u
#define HANDLERS 0x303000u // HLT, one every 16 bytes
#define CODE     0x304000u // the guest's code page
#define STACK    0x310000u // top

#define ENTRY_P  1u
#define ENTRY_W  2u
#define ENTRY_U  4u
#define ENTRY_AD 0x60u
#define ENTRY_PS 0x80u

struct machine {
    enum machine_kind kind;
    const struct engine_ops *ops;
    struct engine *engine;
    struct vm *vm;
    struct host *host;
};

/* Behind all machines: the user's pages are of one file. */
static int ram_file = -1;

/* Multiboot 0.6.96, 3.1.1: a kernel that is loaded and never started. */
static const uint32_t image[16] = {
    0x1badb002, 0x00010000, 0u - 0x1badb002u - 0x00010000u, 0x100000, 0x100000, 0x100040, 0x100040,
    0x100020, 0xf4f4f4f4,
};

uint8_t *machine_pages(void)
{
    static const int rights[6] = {
        PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE,
        PROT_READ | PROT_WRITE, PROT_NONE,
    };
    uint8_t *base;

    ram_file = memfd_create("ram", MFD_CLOEXEC);
    if (ram_file < 0 || ftruncate(ram_file, RAM) < 0)
        return NULL;
    base = mmap((void *)(uintptr_t)MACHINE_USER, 6 * PAGE, PROT_NONE,
                MAP_SHARED | MAP_FIXED_NOREPLACE, ram_file, MACHINE_USER);
    if (base == MAP_FAILED)
        return NULL;
    for (unsigned i = 0; i < 6; i++)
        if (mprotect(base + i * PAGE, PAGE, rights[i]) < 0)
            return NULL;
    (void)*(volatile uint8_t *)(base + PAGE); // there from now on, for the error codes
    return base;
}

static uint8_t *ram(struct machine *m, uint64_t gpa)
{
    return memory_pointer(&m->vm->memory, gpa, PAGE);
}

static void put64(struct machine *m, uint64_t gpa, uint64_t value)
{
    memcpy(ram(m, gpa & ~(PAGE - 1ull)) + gpa % PAGE, &value, 8);
}

static void make_tables(struct machine *m)
{
    const uint64_t all = ENTRY_P | ENTRY_W | ENTRY_AD, user = all | ENTRY_U;
    const uint64_t page[6] = {
        CODE | ENTRY_P | ENTRY_U | ENTRY_AD, (MACHINE_USER + PAGE) | ENTRY_P | ENTRY_U | ENTRY_AD,
        (MACHINE_USER + 2 * PAGE) | user, 0, (MACHINE_USER + 4 * PAGE) | user, 0,
    };

    put64(m, TABLES, (TABLES + PAGE) | user);
    put64(m, TABLES + PAGE, (TABLES + 2 * PAGE) | user);
    put64(m, TABLES + 2 * PAGE, (0x000000 | all | ENTRY_PS) & ~(uint64_t)ENTRY_W);
    put64(m, TABLES + 2 * PAGE + 8, (TABLES + 10 * PAGE) | all);
    for (uint64_t at = IDT; at < STACK; at += PAGE) // not the tables
        put64(m, TABLES + 10 * PAGE + (at - TABLES) / PAGE * 8, at | (at == STACK - PAGE ? all : ENTRY_P | ENTRY_AD));
    put64(m, TABLES + 2 * PAGE + 8 * (MACHINE_USER >> 21), (TABLES + 3 * PAGE) | user);
    for (unsigned i = 0; i < 6; i++)
        put64(m, TABLES + 3 * PAGE + 8 * i, page[i]);
    put64(m, TABLES + PAGE + 8 * 3, (TABLES + 4 * PAGE) | user);
    put64(m, TABLES + 4 * PAGE + 8 * 511, (TABLES + 5 * PAGE) | user);
    put64(m, TABLES + 5 * PAGE + 8 * 511, page[4]);
    put64(m, TABLES + PAGE + 8 * 4, (TABLES + 6 * PAGE) | user);
    put64(m, TABLES + 6 * PAGE + 8 * (MACHINE_USER >> 21), (TABLES + 7 * PAGE) | user);
    put64(m, TABLES + 7 * PAGE + 8 * 4, page[2]);
    put64(m, TABLES + PAGE + 8, (TABLES + 8 * PAGE) | user);
    put64(m, TABLES + 8 * PAGE + 8 * (MACHINE_USER >> 21), (TABLES + 9 * PAGE) | user);
    put64(m, TABLES + 9 * PAGE + 8 * 4, page[2]);
}

/* A handler for each exception, on a stack of the supervisor's (SDM volume 3, 6.14). */
static void make_handlers(struct machine *m)
{
    for (unsigned i = 0; i < 32; i++) {
        uint64_t to = HANDLERS + 16 * i;

        put64(m, IDT + 16 * i, (to & 0xffff) | 8ull << 16 | 0x8e01ull << 32 | (to >> 16) << 48); // IST 1
        put64(m, IDT + 16 * i + 8, 0);
        put64(m, to, 0xf4); // HLT
    }
    put64(m, GDT + 8, 0x00209b0000000000);  // 64-bit code
    put64(m, TSS + 36, STACK);              // IST 1
}

static bool make_engine(struct machine *m, struct host *host)
{
    struct recompiler_code code;

    if (m->kind == MACHINE_INTERPRETER) {
        m->ops = &engine_interpreter;
        m->engine = interpreter_create(host, 1);
        return m->engine;
    }
    /* FSGSBASE in user mode, and AVX for the state that it keeps. */
    if (!(getauxval(AT_HWCAP2) & 2) || !__builtin_cpu_supports("avx") ||
        !code_memory_create(&code, CODE_CACHE) || !traps_install())
        return false;
    m->ops = &engine_recompiler;
    m->engine = recompiler_create(host, 1, &code);
    return m->engine && traps_begin_thread(m->engine);
}

struct machine *machine_new(enum machine_kind kind)
{
    const struct vm_config config = {
        .memory = RAM, .vcpus = 1, .kernel = {(const uint8_t *)image, sizeof(image)},
        .command_line = "",
    };
    struct machine *m = calloc(1, sizeof(*m));
    struct host *host = fake_host_new(0);

    m->kind = kind;
    m->host = host;
    host->guest_size = RAM;
    host->guest = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram_file, 0);
    if (host->guest == MAP_FAILED || !make_engine(m, host))
        return NULL;
    m->vm = vm_create(host, m->ops, m->engine, &config);
    if (!m->vm || !(kind == MACHINE_INTERPRETER ? interpreter_attach(m->engine, m->vm)
                                                : recompiler_attach(m->engine, m->vm)))
        return NULL;
    make_tables(m);
    make_handlers(m);
    return m;
}

void machine_free(struct machine *machine)
{
    struct host *host = machine->host;

    vm_destroy(machine->vm);
    if (machine->kind == MACHINE_INTERPRETER)
        interpreter_destroy(machine->engine);
    else
        recompiler_destroy(machine->engine);
    munmap(host->guest, RAM);
    host->guest = NULL;
    fake_host_free(host);
    free(machine);
}

const char *machine_name(const struct machine *machine)
{
    return machine->ops->name;
}

void machine_put(struct machine *machine, unsigned offset, const void *bytes, unsigned length)
{
    struct memory *memory = &machine->vm->memory;

    memcpy(ram(machine, CODE) + offset, bytes, length);
    if (memory->watch.wrote)
        memory->watch.wrote(memory->watch.arg, CODE + offset, length);
}

static void set_mode(struct cpu_state *s, unsigned mode)
{
    const uint16_t level = mode & MACHINE_SUPERVISOR ? 0 : CPU_SEG_DPL;
    const uint16_t data = CPU_SEG_G | CPU_SEG_DB | CPU_SEG_P | CPU_SEG_S | 0x3;
    const uint16_t code = CPU_SEG_P | CPU_SEG_S | 0xb | level;

    mode &= ~MACHINE_SUPERVISOR;
    s->ss = (struct cpu_segment){level ? 0x2b : 0, data | level, 0xffffffff, 0};
    s->ds = s->es = s->ss;
    s->fs = s->gs = (struct cpu_segment){0};
    s->cs = (struct cpu_segment){
        !level ? 8 : mode == 8 ? 0x33 : 0x23, code | (mode == 8 ? CPU_SEG_L : CPU_SEG_DB | CPU_SEG_G),
        0xffffffff, 0,
    };
    s->tr = (struct cpu_segment){0x10, CPU_SEG_P | 0xb, 0x67, TSS};
    s->ldtr = (struct cpu_segment){0, CPU_SEG_P | 2, 0, 0};
    s->gdtr = (struct cpu_segment){0, 0, 0xf, GDT};
    s->idtr = (struct cpu_segment){0, 0, 0x1ff, IDT};
    s->cr0 = CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG;
    s->cr3 = TABLES;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
    s->efer = EFER_LME | EFER_LMA | EFER_NXE;
    s->xcr0 = 7;
    s->event = 0;
    s->shadow = 0;
    s->requests = 0;
}

/* The frame of the exception, from the supervisor's stack. */
static void take_frame(struct machine *m, struct cpu_state *state, const struct cpu_state *s,
                       struct machine_end *end)
{
    uint64_t frame[6];

    end->has_error = STACK - s->rsp == 48;
    memcpy(frame, ram(m, STACK - PAGE) + PAGE - 48, 48);
    end->error = end->has_error ? frame[0] : 0;
    end->cr2 = s->cr2;
    memcpy(state->gpr, s->gpr, sizeof(state->gpr));
    memcpy(state->xsave, s->xsave, sizeof(state->xsave));
    state->rip = frame[1];
    state->rflags = frame[3];
    state->rsp = state->gpr[CPU_RSP] = frame[4];
}

bool machine_run(struct machine *machine, unsigned mode, struct cpu_state *state,
                 struct machine_end *end)
{
    struct cpu_state *s = machine->ops->state(machine->engine, 0);

    memcpy(s->gpr, state->gpr, sizeof(s->gpr));
    memcpy(s->xsave, state->xsave, sizeof(s->xsave));
    s->rip = state->rip;
    s->rsp = state->rsp;
    s->rflags = state->rflags;
    set_mode(s, mode);
    do {
        if (!machine->ops->run(machine->engine, 0))
            return false;
    } while (s->reason == EXIT_RECALL);
    if (s->reason != EXIT_HLT || s->rip < HANDLERS || s->rip >= HANDLERS + 16 * 32)
        return false;
    end->vector = (unsigned)(s->rip - HANDLERS) / 16;
    take_frame(machine, state, s, end);
    return true;
}

#define DATA_ENTRY (TABLES + 3 * PAGE + 8 * 2)

static uint64_t data_entry(struct machine *m)
{
    uint64_t value;

    memcpy(&value, ram(m, DATA_ENTRY & ~(PAGE - 1)) + DATA_ENTRY % PAGE, 8);
    return value;
}

void machine_unmark(struct machine *machine)
{
    put64(machine, DATA_ENTRY, data_entry(machine) & ~(uint64_t)ENTRY_AD);
    machine->ops->invalidate(machine->engine, 0);
}

unsigned machine_marks(struct machine *machine)
{
    return (unsigned)(data_entry(machine) & ENTRY_AD);
}

uint64_t machine_interpreted(const struct machine *machine)
{
    return machine->kind == MACHINE_RECOMPILER ? recompiler_stats(machine->engine).interpreted : 0;
}
