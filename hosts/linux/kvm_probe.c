/* SPDX-License-Identifier: MIT */
/* The probe guest: what a machine's KVM has to show before a guest is entrusted to it. */
#include "hosts/linux/kvm_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define RAM      0x200000u  // one page of 2 MiB; the next one is mapped for the guest and is no RAM
#define GDT      0x1000u
#define IDT      0x2000u
#define PML4     0x3000u
#define PDPT     0x4000u
#define PD       0x5000u
#define STACK    0x8000u
#define CODE     0x9000u
#define RESULT   0xa000u
#define HANDLER  0xb000u
#define PORT     0x510u
#define VECTOR   0x30u
#define LOOPS    10000u     // 10 us of a processor, 5 ms of an emulator in the kernel
#define LOOP_US  1500u

#define CR0_LONG 0x80000033ull // PG, NE, ET, MP, PE
#define CR4_LONG 0x20ull       // PAE
#define EFER_ON  0x500ull      // LMA, LME
#define ENTRY    0x83u         // present, writable, 2 MiB

/* What the guest leaves at RESULT. */
struct result {
    struct cpuid_regs cpuid; // leaf 1
    uint64_t tsc;
    uint64_t constant;
    uint32_t port, device;
    uint64_t handled;
};
#define CONSTANT 0x1122334455667788ull
#define FROM_PORT   0x5au
#define FROM_DEVICE 0xc0ffee11u

static const uint8_t code[] = {
    0xbf, 0x00, 0xa0, 0x00, 0x00,                               // mov edi, RESULT
    0xb8, 0x01, 0x00, 0x00, 0x00,                               // mov eax, 1
    0x0f, 0xa2,                                                 // cpuid
    0x89, 0x07, 0x89, 0x5f, 0x04, 0x89, 0x4f, 0x08, 0x89, 0x57, 0x0c, // mov [rdi + ...], ...
    0x0f, 0x31,                                                 // rdtsc
    0x89, 0x47, 0x10, 0x89, 0x57, 0x14,                         // mov [rdi + 10h], edx:eax
    0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // mov rax, CONSTANT
    0x48, 0x89, 0x47, 0x18,                                     // mov [rdi + 18h], rax
    0x66, 0xba, 0x10, 0x05, 0xb0, 0x33, 0xee,                   // mov dx, PORT; mov al, 33h; out
    0x31, 0xc0, 0xec, 0x89, 0x47, 0x20,                         // in; mov [rdi + 20h], eax
    0xc7, 0x04, 0x25, 0x10, 0x00, 0x20, 0x00, 0x44, 0x33, 0x22, 0x11, // mov dword [RAM + 10h], ...
    0x8b, 0x04, 0x25, 0x20, 0x00, 0x20, 0x00,                   // mov eax, [RAM + 20h]
    0x89, 0x47, 0x24,                                           // mov [rdi + 24h], eax
    0xb9, 0x10, 0x27, 0x00, 0x00,                               // mov ecx, LOOPS
    0xff, 0xc9, 0x75, 0xfc,                                     // dec ecx; jnz back
    0xf4,                                                       // hlt
    0xfb, 0xf4,                                                 // sti; hlt
};
static const uint8_t handler[] = {
    0x48, 0xff, 0x04, 0x25, 0x28, 0xa0, 0x00, 0x00, // inc qword [RESULT + 28h]
    0x48, 0xcf,                                     // iretq
};
_Static_assert(offsetof(struct result, handled) == 0x28 && LOOPS == 0x2710, "as the code has it");

struct probe {
    struct engine engine;
    struct kvm_vcpu *vcpu;
    struct kvm_run *run;
    uint8_t *ram;
    struct cpuid_table table;
    bool poor;
    char error[160];
};

/* --- The guest --- */

static void put(struct probe *p, unsigned at, uint64_t value)
{
    memcpy(p->ram + at, &value, sizeof(value));
}

static void fill_ram(struct probe *p)
{
    put(p, GDT + 8, 0x00af9b000000ffff);  // code, 64 bits
    put(p, GDT + 16, 0x00cf93000000ffff); // data
    put(p, PML4, PDPT | 3);
    put(p, PDPT, PD | 3);
    put(p, PD, 0 | ENTRY);
    put(p, PD + 8, RAM | ENTRY);
    put(p, IDT + 16 * VECTOR, 0x00008e0000080000ull | (HANDLER & 0xffff)); // interrupt gate
    memcpy(p->ram + CODE, code, sizeof(code));
    memcpy(p->ram + HANDLER, handler, sizeof(handler));
}

static void set_state(struct probe *p)
{
    struct cpu_state *s = p->vcpu->state;
    const struct cpu_segment data = {.sel = 16, .attr = 0xc93, .limit = 0xffffffff};

    s->rip = CODE;
    s->rsp = STACK;
    s->rflags = 2;
    s->cs = (struct cpu_segment){.sel = 8, .attr = 0xa9b, .limit = 0xffffffff};
    s->ss = s->ds = s->es = s->fs = s->gs = data;
    s->tr = (struct cpu_segment){.attr = 0x8b, .limit = 0x67};
    s->ldtr = (struct cpu_segment){.attr = 0x82};
    s->gdtr = (struct cpu_segment){.base = GDT, .limit = 23};
    s->idtr = (struct cpu_segment){.base = IDT, .limit = 0xfff};
    s->cr0 = CR0_LONG;
    s->cr3 = PML4;
    s->cr4 = CR4_LONG;
    s->efer = EFER_ON;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->pat = 0x0007040600070406ull;
    s->xcr0 = 1;
    s->xsave[0] = 0x7f;     // FCW
    s->xsave[1] = 3;
    s->xsave[24] = 0x80;    // MXCSR
    s->xsave[25] = 0x1f;
    s->xsave[512] = 3;
    s->tsc_offset = 0 - __rdtsc();
    s->valid = s->dirty = CPU_ALL;
}

/* --- What is expected of it --- */

#define EXPECT(condition, ...)                                          \
    do {                                                                \
        if (!(condition)) {                                             \
            snprintf(p->error, sizeof(p->error), __VA_ARGS__);          \
            return false;                                               \
        }                                                               \
    } while (0)

static bool enter(struct probe *p, uint32_t reason, const char *what)
{
    enum kvm_enter how = kvm_enter(p->vcpu);

    EXPECT(how == KVM_ENTER_EXIT, "%s: KVM_RUN fails: %s", what, strerror(errno));
    kvm_take(p->vcpu);
    EXPECT(p->run->exit_reason == reason, "%s: exit %u at %llx instead of %u", what,
           p->run->exit_reason, (unsigned long long)p->vcpu->state->rip, reason);
    return true;
}

static bool device_accesses(struct probe *p)
{
    struct kvm_run *run = p->run;
    uint32_t value = FROM_DEVICE;

    if (!enter(p, KVM_EXIT_IO, "OUT"))
        return false;
    EXPECT(run->io.port == PORT && run->io.size == 1 && run->io.direction == KVM_EXIT_IO_OUT &&
           ((uint8_t *)run)[run->io.data_offset] == 0x33, "OUT: another access");
    if (!enter(p, KVM_EXIT_IO, "IN"))
        return false;
    EXPECT(run->io.port == PORT && run->io.direction == KVM_EXIT_IO_IN, "IN: another access");
    ((uint8_t *)run)[run->io.data_offset] = FROM_PORT;
    if (!enter(p, KVM_EXIT_MMIO, "a store to a device"))
        return false;
    EXPECT(run->mmio.is_write && run->mmio.phys_addr == RAM + 0x10 && run->mmio.len == 4 &&
           memcmp(run->mmio.data, "\x44\x33\x22\x11", 4) == 0, "a store to a device: another one");
    if (!enter(p, KVM_EXIT_MMIO, "a load from a device"))
        return false;
    EXPECT(!run->mmio.is_write && run->mmio.phys_addr == RAM + 0x20 && run->mmio.len == 4,
           "a load from a device: another one");
    memcpy(run->mmio.data, &value, sizeof(value));
    return true;
}

/* Of this process: others may take the processor meanwhile. */
static uint64_t used_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* The first reason is the one that is told. */
__attribute__((format(printf, 2, 3)))
static void is_poor(struct probe *p, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (!p->poor)
        vsnprintf(p->error, sizeof(p->error), format, arguments);
    va_end(arguments);
    p->poor = true;
}

/* KVM also runs where the processor does not execute its guests, but an emulator in the kernel. */
static bool measure_loop(struct probe *p)
{
    uint64_t begun = used_us(), took;

    if (!enter(p, KVM_EXIT_HLT, "HLT"))
        return false;
    took = used_us() - begun;
    if (took > LOOP_US)
        is_poor(p, "its guests are not executed by the processor but emulated, %lu instructions a "
                   "millisecond", 2000ul * LOOPS / took);
    return true;
}

/* But for what KVM keeps up to date itself: MONITOR, OSXSAVE, APIC. */
static void compare_cpuid(struct probe *p, const struct cpuid_regs *seen)
{
    const struct cpuid_vcpu own = {.xcr0 = 1, .apic_enabled = true};
    struct cpuid_regs wanted;

    cpuid_query(&p->table, &own, 1, 0, &wanted);
    if (seen->eax != wanted.eax || ((seen->ecx ^ wanted.ecx) & ~0x08000008u) ||
        ((seen->edx ^ wanted.edx) & ~0x200u))
        is_poor(p, "its guests see another processor than they are given: CPUID 1 is %x %x %x, not "
                   "%x %x %x", seen->eax, seen->ecx, seen->edx, wanted.eax, wanted.ecx, wanted.edx);
}

static bool right_result(struct probe *p)
{
    struct result r;
    uint64_t from = p->engine.tsc_moves ? 0 : 0 - p->vcpu->state->tsc_offset;
    uint64_t tsc = from + __rdtsc() + p->vcpu->state->tsc_offset;

    memcpy(&r, p->ram + RESULT, sizeof(r));
    compare_cpuid(p, &r.cpuid);
    EXPECT(r.tsc > from && r.tsc < tsc, "RDTSC: %lu, not between %lu and %lu", r.tsc, from, tsc);
    EXPECT(r.constant == CONSTANT, "a store: %lx", r.constant);
    EXPECT(r.port == FROM_PORT, "IN: %x", r.port);
    EXPECT(r.device == FROM_DEVICE, "a load from a device: %x", r.device);
    return true;
}

/* STI, HLT, then an interrupt that is injected, whose handler goes back to behind the HLT. */
static bool takes_interrupt(struct probe *p)
{
    struct cpu_state *s = p->vcpu->state;

    if (!enter(p, KVM_EXIT_HLT, "STI, HLT"))
        return false;
    EXPECT(s->rip == CODE + sizeof(code) && (s->rflags & 0x200), "HLT: RIP %lx, RFLAGS %lx", s->rip,
           s->rflags);
    s->rip--;
    s->event = CPU_EVENT_VALID | CPU_EVENT_INTR | VECTOR;
    EXPECT(kvm_put(p->vcpu), "an interrupt is refused: %s", strerror(errno));
    if (!enter(p, KVM_EXIT_HLT, "an interrupt"))
        return false;
    EXPECT(p->ram[RESULT + offsetof(struct result, handled)] == 1, "an interrupt is lost");
    EXPECT(s->rip == CODE + sizeof(code) && s->rsp == STACK && s->event == 0,
           "an interrupt comes back to %lx", s->rip);
    return true;
}

static bool set_up(struct probe *p)
{
    struct cpuid_config config = {.read = kvm_read_cpuid, .read_arg = &p->engine, .cpus = 1};

    if (!kvm_open(&p->engine, 1, p->error, sizeof(p->error)))
        return false;
    p->vcpu = &p->engine.vcpu[0];
    p->run = p->vcpu->run;
    p->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(p->ram != MAP_FAILED && kvm_map(&p->engine, 0, p->ram, RAM, true), "memory: %s",
           strerror(errno));
    config.tsc_khz = p->engine.tsc_khz;
    EXPECT(cpuid_build(&p->table, &config) && kvm_set_cpuid(&p->engine, &p->table), "CPUID: %s",
           strerror(errno));
    fill_ram(p);
    set_state(p);
    EXPECT(kvm_put(p->vcpu), "registers: %s", strerror(errno));
    return true;
}

static bool probe(struct probe *p)
{
    return set_up(p) && device_accesses(p) && measure_loop(p) && right_result(p) &&
           takes_interrupt(p);
}

/* --- In a process of its own --- */

struct verdict {
    enum kvm_fitness fitness;
    char error[160];
};

/* A signal, or nothing at all, is what a KVM that is broken may leave of the child. */
__attribute__((noreturn))
static void be_child(int out)
{
    static struct probe p;
    struct verdict v;

    memset(&v, 0, sizeof(v));
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    v.fitness = !probe(&p) ? KVM_UNFIT : p.poor ? KVM_POOR : KVM_FIT;
    memcpy(v.error, p.error, sizeof(v.error));
    _exit(write(out, &v, sizeof(v)) == sizeof(v) ? 0 : 1);
}

static bool receive(int in, struct verdict *v)
{
    struct pollfd p = {in, POLLIN, 0};

    return poll(&p, 1, KVM_PROBE_MS) == 1 && read(in, v, sizeof(*v)) == sizeof(*v);
}

enum kvm_fitness kvm_probe(char *error, size_t size)
{
    struct verdict v = {.fitness = KVM_UNFIT};
    int pipes[2];
    pid_t child;

    if (pipe2(pipes, O_CLOEXEC) < 0 || (child = fork()) < 0) {
        snprintf(error, size, "no process for a probe: %s", strerror(errno));
        return KVM_UNFIT;
    }
    if (child == 0)
        be_child(pipes[1]);
    close(pipes[1]);
    if (!receive(pipes[0], &v)) {
        v.fitness = KVM_UNFIT;
        snprintf(v.error, sizeof(v.error), "a probe guest does not come back in %u ms",
                 KVM_PROBE_MS);
        kill(child, SIGKILL); // and nobody waits for it: it may be stuck in the kernel
    } else {
        waitpid(child, NULL, 0);
    }
    close(pipes[0]);
    snprintf(error, size, "%s", v.error);
    return v.fitness;
}
