/* SPDX-License-Identifier: MIT */
/*
 * The recompiler against the interpreter where addresses end: random blocks whose operands and stacks
 * are at the ends of pages, of the low and the high half and of 4 GiB, next to pages that are absent,
 * read-only, a device's, the other privilege's, code, or the same memory once more. Registers, faults,
 * all memory and the page tables have to agree.
 *
 * What a comparison does not see, the host's processor does: guest RAM that nothing is mapped to, and
 * 5 GiB on either side of RAM, cannot be touched on the host. An access there is an escape.
 *
 * A scene (tables, descriptors, data) is drawn from a number, and blocks for it, each run several times with other
 * registers and at other addresses. Arguments: scenes, first number; or "scene" and one number.
 */
#include "tests/cpu/ends.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/cpu/control.h"
#include "vmm/cpu/decode.h"
#include "vmm/cpu/deliver.h"
#include "vmm/cpu/disasm.h"
#include "vmm/engines/recompiler/recompiler.h"
#include "vmm/machine.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define SCENES 5000u
#define BLOCKS 12u   // of a scene
#define RUNS   4u    // of a block
#define STEPS  600u  // of a run; more is not compared
#define PAGE   4096u
#define SS     12
#define GP     13

#define REFERENCE  0
#define RECOMPILER 1

struct position {
    uint64_t scene;
    unsigned block, run;
    uint32_t omit;       // instructions of that block
};

static struct ends_machine machine[2];
static struct tlb *tlb; // the interpreter's
static struct ends_scene scene;
static struct ends_block block;
static struct position at, wanted = {.block = ~0u};
static struct cpu_state first;
static struct {
    uint8_t bytes[ENDS_BYTES];
    unsigned offset, length;
} code;
static bool quiet;
static uint64_t blocks, runs, skipped, faults[ENDS_KINDS][2], done[ENDS_KINDS][2];

/* --- One run --- */

static uint64_t draw_address(uint64_t *random)
{
    uint64_t to = scene.page[random_below(random, scene.count)].linear + random_below(random, 2) * PAGE;

    if (random_below(random, 8) == 0)
        return to + random_below(random, PAGE);
    to += random_below(random, 128) - 64;
    switch (random_below(random, 4)) {
    case 0:  return to & ~15ull;
    case 1:  return to & ~7ull;
    case 2:  return to & ~3ull;
    default: return to;
    }
}

static uint64_t draw_index(uint64_t *random)
{
    static const uint64_t values[] = {
        0, 1, 8, 64, 4096, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1ull << 47, 1ull << 61, 1ull << 62, 1ull << 63,
    };
    uint64_t value = values[random_below(random, sizeof(values) / sizeof(values[0]))];

    return random_below(random, 2) ? value : 0 - value;
}

static void draw_registers(uint64_t *random, struct cpu_state *s)
{
    uint64_t place = scene.code[random_below(random, scene.codes)];
    uint32_t high = scene.kind != ENDS_LONG && random_below(random, 4) == 0 ? (uint32_t)random_u64(random) : 0;

    for (unsigned i = 0; i < 16; i++)
        s->gpr[i] = random_below(random, 5) ? draw_address(random) : draw_index(random);
    if (random_below(random, 2))
        s->gpr[CPU_RCX] = random_below(random, 5);
    for (unsigned i = 0; i < block.count; i++) {
        const struct ends_insn *insn = &block.insn[i];

        if (insn->index != ENDS_NONE && random_below(random, 2))
            s->gpr[insn->index] = draw_index(random);
        if (insn->base != ENDS_NONE && random_below(random, 2) == 0)
            s->gpr[insn->base] = draw_address(random) - (uint64_t)(int64_t)insn->disp -
                                 (insn->index != ENDS_NONE ? s->gpr[insn->index] << insn->scale : 0);
    }
    if (random_below(random, 6) == 0) // one that pops run out of the address space with, or pushes
        s->gpr[CPU_RSP] = (scene.mode == 8 && random_below(random, 2) ? 1ull << (47 + random_below(random, 17)) : 0) +
                          4 * random_below(random, 16) - 48;
    for (unsigned i = 0; i < 16 && scene.mode == 4; i++)
        s->gpr[i] = (uint32_t)s->gpr[i] | (uint64_t)high << 32;
    s->rsp = scene.mode == 4 ? (uint32_t)s->gpr[CPU_RSP] : s->gpr[CPU_RSP];
    s->gpr[CPU_RSP] = s->rsp;
    s->rflags = RFLAGS_1 | (random_u64(random) & (RFLAGS_STATUS | RFLAGS_IF)) |
                (random_below(random, 6) ? 0 : RFLAGS_DF) | (random_below(random, 3) ? 0 : RFLAGS_AC);
    s->rip = place;
    ends_set_mode(&scene, s);
}

static void fill_vectors(uint64_t *random, uint8_t *xsave)
{
    static const uint16_t control = 0x37f;
    static const uint32_t mxcsr = 0x1f80;
    static const uint64_t all = 7;

    memset(xsave, 0, 1024);
    for (unsigned i = 160; i < 832; i += 8) {
        uint64_t value = random_u64(random);

        if (i < 416 || i >= 576)
            memcpy(xsave + i, &value, 8);
    }
    memcpy(xsave, &control, 2);
    memcpy(xsave + 24, &mxcsr, 4);
    memcpy(xsave + 512, &all, 8);
}

/*
 * A fault that may rightly be another's, or none: of a branch to an address that is not canonical (doc/cpu-engines.md, deviations); of
 * an operand behind the end of 4 GiB by its offset, not by its address, which is as the implementation likes (SDM volume 3, 5.3).
 */
static bool may_differ(const struct interp *interp)
{
    const struct insn *i = &interp->insn;

    if (interp->fault.vector != GP && interp->fault.vector != SS)
        return false;
    if (scene.mode == 4)
        return interp->fault.code == 0 && (i->segment == SEG_FS || i->segment == SEG_GS);
    return i->map == MAP_1 && (i->opcode == 0xc2 || i->opcode == 0xc3 || i->opcode == 0xe8 || i->opcode == 0xe9 ||
                               (i->opcode == 0xff && (i->modrm >> 3 & 7) >= 2 && (i->modrm >> 3 & 7) <= 5));
}

static void take_registers(struct cpu_state *to, const struct cpu_state *from)
{
    memcpy(to->gpr, from->gpr, sizeof(to->gpr));
    memcpy(to->xsave, from->xsave, 1024);
    to->rip = from->rip;
    to->rsp = from->rsp;
    to->rflags = from->rflags;
    ends_set_mode(&scene, to);
}

/* What writes to its own block needs flags that the translation has not kept; code of another size has no upper half of RSP. */
static bool is_itself(const struct cpu_state *s)
{
    return s->cs.sel == first.cs.sel && ends_has(&machine[REFERENCE], code.offset, code.bytes, code.length);
}

/* Anything else may leave flags undefined, or be what no two runs have in common. */
static bool in_block(uint64_t rip)
{
    for (unsigned i = 0; i < scene.codes; i++) {
        uint64_t from = scene.code[i] + code.offset;

        if ((scene.mode == 4 ? (uint32_t)(rip - from) : rip - from) < code.length)
            return true;
    }
    return false;
}

/* To HLT, its own or an exception's handler's. False: nothing to compare with. */
static bool run_reference(int *vector, bool *has_error)
{
    struct vcpu *vcpu = &machine[REFERENCE].vm->vcpu[0];
    struct interp *interp = vcpu_interp(vcpu);
    struct cpu_state *s = vcpu->state;
    unsigned left = 0; // the first fetch from elsewhere is one of the faults that are wanted

    s->valid = CPU_ALL;
    *vector = -1;
    for (unsigned i = 0; i < STEPS; i++) {
        if (*vector < 0 && (!is_itself(s) || (!in_block(s->rip) && left++)))
            return false;
        switch (interp_step(interp)) {
        case INTERP_DONE:
        case INTERP_AGAIN:
            break;
        case INTERP_FAULT:
            if (*vector >= 0 || may_differ(interp))
                return false;
            *vector = interp->fault.vector;
            *has_error = interp->fault.has_code;
            vcpu_fault(vcpu);
            if (interp_deliver(interp, s->event) != INTERP_DONE)
                return false;
            s->event = 0;
            break;
        case INTERP_EXIT:
            return s->reason == EXIT_HLT;
        default:
            return false;
        }
    }
    return false;
}

static bool run_recompiler(void)
{
    struct ends_machine *m = &machine[RECOMPILER];
    struct cpu_state *s = m->ops->state(m->engine, 0);

    do {
        if (!m->ops->run(m->engine, 0))
            return false;
    } while (s->reason == EXIT_RECALL);
    return s->reason == EXIT_HLT;
}

/* The status flags of an exception's frame are what they are (doc/cpu-engines.md, deviations). */
static void forget_flags(const struct ends_machine *m, struct cpu_state *s, bool has_error)
{
    unsigned size = scene.kind >= ENDS_PAE ? 4 : 8;
    uint64_t flags = s->rsp + (has_error + 2u) * size;

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *byte = ends_at(m, &scene, size == 4 ? (uint32_t)(flags + i) : flags + i);

        if (byte)
            *byte &= (uint8_t)~(RFLAGS_STATUS >> 8 * i);
    }
    s->rflags &= ~RFLAGS_STATUS;
}

static bool same_vectors(const uint8_t *a, const uint8_t *b)
{
    return !memcmp(a, b, 5) && !memcmp(a + 24, b + 24, 4) && !memcmp(a + 32, b + 32, 384) && !memcmp(a + 576, b + 576, 256);
}

static const char *difference(const struct cpu_state *a, const struct cpu_state *b)
{
    uint64_t mask = scene.mode == 4 ? 0xffffffff : ~0ull;

    for (unsigned i = 0; i < 16; i++)
        if (i != CPU_RSP && ((a->gpr[i] ^ b->gpr[i]) & mask) && (scene.mode == 8 || i < 8))
            return "not the same registers";
    if (a->rip != b->rip)
        return "not the same end";
    if ((a->rsp ^ b->rsp) & mask)
        return "not the same stack pointer";
    if (a->rflags != b->rflags)
        return "not the same flags";
    if (a->cr2 != b->cr2)
        return "not the same CR2";
    if (memcmp(&a->cs, &b->cs, 6 * sizeof(a->cs)))
        return "not the same segments";
    if (!same_vectors(a->xsave, b->xsave))
        return "not the same vector registers";
    return ends_differ(&machine[0], &machine[1]) == ~0ull ? NULL : "not the same memory";
}

/* --- Reports --- */

static void show_block(void)
{
    uint8_t bytes[ENDS_BYTES];
    unsigned length = ends_assemble(&block, at.omit, bytes);
    struct insn insn;

    for (unsigned offset = 0; offset < length; offset += insn.length) {
        char text[96], hex[48] = "";

        if (decode(bytes + offset, length - offset, scene.mode, &insn) != DECODE_OK)
            break;
        disasm(&insn, scene.mode, first.rip + offset, text, sizeof(text));
        for (unsigned i = 0; i < insn.length; i++)
            snprintf(hex + 3 * i, 4, "%02x ", bytes[offset + i]);
        tap_note("    %8lx  %-36s %s", first.rip + offset, hex, text);
    }
}

static void show(const char *what)
{
    const struct cpu_state *a = machine[0].ops->state(machine[0].engine, 0), *b = machine[1].ops->state(machine[1].engine, 0);
    uint64_t where;

    tap_note("scene %lu, block %u, run %u, without %x (%s, %s): %s", at.scene, at.block, at.run, at.omit, ends_kind_name(scene.kind),
             scene.user ? "user" : "supervisor", what);
    show_block();
    for (unsigned i = 0; i < 16; i++)
        tap_note("    register %2u: %16lx at first, %16lx, %16lx%s", i, i == CPU_RSP ? first.rsp : first.gpr[i],
                 i == CPU_RSP ? a->rsp : a->gpr[i], i == CPU_RSP ? b->rsp : b->gpr[i], a->gpr[i] == b->gpr[i] ? "" : " *");
    tap_note("    rip %lx, %lx; flags %lx at first, %lx, %lx; cr2 %lx, %lx; fs %lx gs %lx; cr0 %lx cr4 %lx", a->rip, b->rip, first.rflags,
             a->rflags, b->rflags, a->cr2, b->cr2, scene.base[0], scene.base[1], scene.cr0, scene.cr4);
    where = ends_differ(&machine[0], &machine[1]);
    if (where != ~0ull)
        tap_note("    memory differs at %lx: %02x, %02x", where, machine[0].ram[where], machine[1].ram[where]);
    for (unsigned i = 0; i < scene.count; i++)
        if (where != ~0ull && scene.page[i].gpa == (where & ~(PAGE - 1ull)))
            tap_note("        seen at %lx", scene.page[i].linear);
}

static int run_scene(uint64_t number);

/* Both machines, and what the host's processor refuses. */
static bool open_both(void);

/* In another process, from the beginning. */
static bool still_fails(uint32_t omit)
{
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        quiet = true;
        wanted = at;
        wanted.omit = omit;
        alarm(2);
        if (!open_both())
            _exit(0);
        _exit(run_scene(at.scene) != 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Leaves instructions out as long as it fails without them; then shows what is left. */
static void minimise(const char *what)
{
    uint32_t omit = 0;

    if (!still_fails(0)) {
        tap_note("not by itself:");
        show(what);
        return;
    }
    for (unsigned i = block.count; i-- > 0;)
        if (still_fails(omit | 1u << i))
            omit |= 1u << i;
    wanted = at;
    wanted.omit = omit;
    fflush(stdout);
    if (fork() == 0) {
        if (open_both())
            (void)run_scene(at.scene);
        fflush(stdout);
        _exit(0);
    }
    (void)wait(NULL);
    wanted.block = ~0u;
}

static void report(const char *what)
{
    if (quiet)
        return;
    if (wanted.block == ~0u)
        minimise(what);
    else
        show(what);
}

/* --- Escapes --- */

static sigjmp_buf before;
static char escape[64];
static struct sigaction next[2]; // of SIGSEGV and SIGBUS: a processor's refusal is the engine's

static void caught(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t pc = u->uc_mcontext.gregs[REG_RIP];

    if (number != SIGALRM && info->si_code == SI_KERNEL) {
        next[number == SIGBUS].sa_sigaction(number, info, context);
        if (u->uc_mcontext.gregs[REG_RIP] != pc)
            return;
    }
    if (number == SIGALRM)
        snprintf(escape, sizeof(escape), "it does not end");
    else if (info->si_code == SI_KERNEL)
        snprintf(escape, sizeof(escape), "an escape, to no address of the host's");
    else
        snprintf(escape, sizeof(escape), "an escape, at RAM's beginning + %lx",
                 (unsigned long)((uintptr_t)info->si_addr - (uintptr_t)machine[RECOMPILER].ram));
    siglongjmp(before, 1);
}

static bool open_both(void)
{
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (!ends_open(&machine[REFERENCE], false) || !ends_open(&machine[RECOMPILER], true))
        return false;
    tlb = vcpu_interp(&machine[REFERENCE].vm->vcpu[0])->tlb;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &next[0]);
    sigaction(SIGBUS, &action, &next[1]);
    return sigaction(SIGALRM, &action, NULL) == 0;
}

/* --- Scenes --- */

/* True: the same. */
static bool run_once(void)
{
    struct cpu_state *a = machine[0].ops->state(machine[0].engine, 0), *b = machine[1].ops->state(machine[1].engine, 0);
    bool has_error = false, ended;
    const char *what;
    int vector;

    take_registers(a, &first);
    if (!run_reference(&vector, &has_error)) {
        a->event = 0;
        skipped++;
        ends_copy(&machine[REFERENCE], &machine[RECOMPILER]);
        machine[REFERENCE].ops->invalidate(machine[REFERENCE].engine, 0); // it knows pages as dirty that are not again
        return true;
    }
    take_registers(b, &first);
    if (scene.mode == 4 && !(first.rflags & RFLAGS_AC))
        b->rsp |= scene.rubbish; // what 64-bit code has left in the upper half is no part of the stack pointer
    ended = run_recompiler();
    runs++;
    if (vector >= 0) {
        forget_flags(&machine[0], a, has_error);
        forget_flags(&machine[1], b, has_error);
    }
    faults[scene.kind][scene.user] += vector >= 0 && vector != GP;
    done[scene.kind][scene.user]++;
    ends_allow_marks(machine, scene.kind, vector == GP || vector == SS);
    what = ended ? difference(a, b) : "it ends in another way";
    if (what)
        report(what);
    return !what;
}

static bool run_block(uint64_t *random, const uint8_t vectors[1024])
{
    uint64_t own = random_u64(random), *r = &own;
    unsigned offset;

    ends_generate(r, scene.mode, true, &block);
    at.omit = at.block == wanted.block ? wanted.omit : 0;
    code.length = ends_assemble(&block, at.omit, code.bytes);
    offset = random_below(r, 3) ? 0x600 + 8 * (unsigned)random_below(r, 64) : PAGE - (unsigned)random_below(r, 200);
    code.offset = offset;
    ends_put(machine, offset, code.bytes, code.length);
    blocks++;
    for (at.run = 0; at.run < RUNS; at.run++) {
        if (random_below(r, 8) == 0)
            ends_remap(r, &scene, machine);
        draw_registers(r, &first);
        first.rip += offset;
        if (scene.mode == 4)
            first.rip = (uint32_t)first.rip;
        memcpy(first.xsave, vectors, 1024);
        if (!run_once())
            return false;
    }
    return true;
}

/* Returns how many blocks differ: the scene ends with the first. After an escape the machines are good for nothing. */
static int run_scene(uint64_t number)
{
    static uint8_t vectors[1024];
    uint64_t random = number;

    if (sigsetjmp(before, 1)) {
        report(escape);
        return -1;
    }
    at = (struct position){.scene = number};
    if (number & 1) // every translation from the tables, in half of the scenes
        vcpu_interp(&machine[REFERENCE].vm->vcpu[0])->tlb = NULL;
    else
        vcpu_interp(&machine[REFERENCE].vm->vcpu[0])->tlb = tlb;
    ends_draw_scene(&random, &scene, machine);
    fill_vectors(&random, vectors);
    for (at.block = 0; at.block < BLOCKS; at.block++)
        if (!run_block(&random, vectors))
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    bool one = argc > 2 && !strcmp(argv[1], "scene");
    uint64_t scenes = one ? 1 : argc > 1 ? strtoull(argv[1], NULL, 0) : SCENES, from = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned wrong = 0;

    if (!open_both()) {
        ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
        return tap_done();
    }
    for (uint64_t i = 0; i < scenes && wrong < 5; i++) {
        int result;

        alarm(10);
        result = run_scene(from + i);
        if (result < 0) {
            ok(false, "scene %lu: %s", from + i, escape);
            return tap_done();
        }
        wrong += (unsigned)result;
    }
    alarm(0);
    for (unsigned kind = 0; kind < ENDS_KINDS; kind++)
        for (unsigned user = 0; user < 2; user++)
            ok(done[kind][user] > scenes / 100 || one, "%s, %s: %lu runs, %lu of them to a fault but #GP",
               ends_kind_name((enum ends_kind)kind), user ? "user" : "supervisor", done[kind][user], faults[kind][user]);
    ok(wrong == 0, "%lu blocks at the ends of pages, %lu runs, %lu not compared: %u differ", blocks, runs, skipped, wrong);
    tap_note("%lu instructions translated, %lu left to the interpreter", recompiler_stats(machine[1].engine).insns,
             recompiler_stats(machine[1].engine).interpreted);
    ends_close(&machine[REFERENCE], false);
    ends_close(&machine[RECOMPILER], true);
    return tap_done();
}
