/* SPDX-License-Identifier: MIT */
/* Recording what a vCPU meets. */
#include "vmm/record.h"

#include "lib/string.h"
#include "vmm/cpu/xstate.h"
#include "vmm/machine.h"

#define PAGE        4096ull
#define PAIRS       1024u // of page and hash in an entry
#define PRIME       0x9e3779b97f4a7c15ull
#define XSAVE_BYTES 832u

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * PRIME;
    return hash ^ hash >> 29;
}

static uint64_t hash_words(const void *words, size_t count, uint64_t hash)
{
    const uint8_t *at = words;

    for (size_t i = 0; i < count; i++) {
        uint64_t word;

        memcpy(&word, at + 8 * i, 8);
        hash = mix(hash, word);
    }
    return hash;
}

/* Four at a time, so that multiplications overlap. */
static uint64_t hash_page(const uint8_t *page)
{
    const uint64_t *word = (const uint64_t *)(const void *)page;
    uint64_t h[4] = {1, 2, 3, 4};

    for (unsigned i = 0; i < PAGE / 8; i += 4)
        for (unsigned k = 0; k < 4; k++)
            h[k] = mix(h[k], word[i + k]);
    return mix(mix(mix(h[0], h[1]), h[2]), h[3]);
}

void record_hash_all(struct record *r, void (*changed)(struct record *, uint64_t, uint64_t))
{
    const struct memory *memory = &r->vm->memory;
    uint64_t n = 0;

    for (unsigned i = 0; i < memory->count; i++)
        for (uint64_t at = 0; at < memory->piece[i].size; at += PAGE, n++) {
            uint64_t hash = hash_page(memory->piece[i].base + at);

            if (hash != r->page[n])
                changed(r, n, hash);
        }
}

static uint64_t hash_segment(const struct cpu_segment *s, uint64_t hash)
{
    return mix(mix(hash, s->sel | (uint64_t)s->attr << 16 | (uint64_t)s->limit << 32), s->base);
}

static uint64_t hash_others(const struct cpu_state *s)
{
    uint64_t hash = 0;

    hash = hash_segment(&s->cs, hash);
    hash = hash_segment(&s->ss, hash);
    hash = hash_segment(&s->ds, hash);
    hash = hash_segment(&s->es, hash);
    hash = hash_segment(&s->tr, hash_segment(&s->ldtr, hash));
    hash = mix(mix(hash, s->fs.sel), s->gs.sel);
    hash = mix(mix(hash, s->gdtr.base), s->gdtr.limit);
    hash = mix(mix(hash, s->idtr.base), s->idtr.limit);
    hash = mix(mix(mix(hash, s->cr0), s->cr4), s->efer);
    hash = mix(mix(mix(hash, s->star), s->lstar), s->sfmask);
    hash = mix(mix(hash, s->kernel_gs_base), s->xcr0);
    return mix(mix(hash, s->cr8), s->nmi_blocked);
}

static uint64_t hash_vectors(const uint8_t *image)
{
    uint8_t copy[XSAVE_BYTES];
    uint64_t hash = 0, low, word;

    memcpy(copy, image, sizeof(copy));
    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (!(image[XSAVE_BV] & bit))
            xstate_initialize(copy, bit);
    memcpy(&low, copy, 8);
    hash = mix(hash, low & 0xffffffffffull); // FCW, FSW, FTW
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&word, copy + XSAVE_ST + 16 * i + 8, 8);
        hash = mix(hash_words(copy + XSAVE_ST + 16 * i, 1, hash), word & 0xffff);
    }
    memcpy(&word, copy + XSAVE_MXCSR, 8);
    hash = mix(hash, (uint32_t)word);
    return hash_words(copy + XSAVE_YMMH, 32, hash_words(copy + XSAVE_XMM, 32, hash)) | 1;
}

void record_registers(struct vcpu *vcpu, struct record_regs *regs, bool vectors)
{
    const struct cpu_state *s = vcpu->state;

    memcpy(regs->gpr, s->gpr, sizeof(regs->gpr));
    regs->gpr[CPU_RSP] = s->rsp;
    regs->rip = s->rip;
    regs->rflags = s->rflags & ~(uint64_t)RFLAGS_RF;
    regs->cr2 = s->cr2;
    regs->cr3 = s->cr3;
    regs->fs_base = s->fs.base;
    regs->gs_base = s->gs.base;
    regs->others = hash_others(s);
    regs->vectors = vectors ? hash_vectors(s->xsave) : 0;
}

/* --- The log --- */

void record_flush(struct record *r)
{
    const struct vm_config *config = &r->vm->config;

    r->kicked = false;
    if (!r->used || r->replays)
        return;
    if (!r->over && !config->record_write(r->vm->host, r->buffer, r->used)) {
        r->over = true;
        vm_finish(r->vm, VM_END_STOPPED, 0, 0);
    }
    r->used = 0;
}

/* What does not fit any more is the end of the recording: it is kicked long before. */
static void put(struct vcpu *vcpu, struct record_entry entry, const void *follow)
{
    struct record *r = vcpu->vm->record;

    if (r->over)
        return;
    if (RECORD_BUFFER - r->used < sizeof(entry) + entry.follow) {
        r->over = true;
        vm_finish(r->vm, VM_END_ENGINE, 0, 0);
        return;
    }
    memcpy(r->buffer + r->used, &entry, sizeof(entry));
    if (entry.follow)
        memcpy(r->buffer + r->used + sizeof(entry), follow, entry.follow);
    r->used += sizeof(entry) + entry.follow;
    r->entries++;
    if (r->used >= RECORD_BUFFER / 4 && !r->kicked) {
        r->kicked = true;
        vcpu->ops->kick(vcpu->engine, vcpu->id);
    }
}

void record_access(struct vcpu *vcpu, enum record_kind kind, uint64_t where, uint64_t *value,
                   uint64_t *extra)
{
    if (vcpu->vm->record->replays)
        replay_access(vcpu, kind, where, value, extra);
    else
        put(vcpu, (struct record_entry){kind, 0, where, *value, *extra}, NULL);
}

static void put_registers(struct vcpu *vcpu, enum record_kind kind, uint64_t where, bool vectors)
{
    struct record_regs regs;

    record_registers(vcpu, &regs, vectors);
    put(vcpu, (struct record_entry){kind, sizeof(regs), where, 0, 0}, &regs);
}

/* A page of RAM is not what it was at the last check. */
static void page_changed(struct record *r, uint64_t n, uint64_t hash)
{
    const uint64_t pair[2] = {n, hash};

    if (RECORD_BUFFER - r->used < RECORD_BUFFER / 2)
        record_flush(r);
    r->page[n] = hash;
    put(&r->vm->vcpu[0], (struct record_entry){RECORD_PAGES, sizeof(pair), 0, 0, 0}, pair);
}

static void check_ram(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;

    record_hash_all(r, page_changed);
    put(vcpu, (struct record_entry){RECORD_RAM_CHECK, 0, r->checks++, 0, 0}, NULL);
}

void record_event(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;

    put_registers(vcpu, RECORD_EVENT, vcpu->state->event, true);
    if (++r->events % RECORD_CHECK == 0)
        check_ram(vcpu);
    record_flush(r);
}

void record_fault(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;

    r->faults++;
    if (r->replays)
        replay_fault(vcpu);
    else
        put_registers(vcpu, RECORD_FAULT, vcpu->state->event, false);
}

/* A device has written to RAM, in the vCPU's thread. */
static void device_wrote(void *arg, uint64_t gpa, uint64_t size)
{
    struct record *r = arg;

    for (uint64_t at = 0; at < size; at += RECORD_CHUNK) {
        uint8_t bytes[RECORD_CHUNK];
        uint64_t part = size - at < RECORD_CHUNK ? size - at : RECORD_CHUNK;

        memset(bytes + (part & ~7ull), 0, part & 7 ? 8 : 0);
        if (!memory_read(&r->vm->memory, gpa + at, bytes, part))
            break;
        if (RECORD_BUFFER - r->used < RECORD_BUFFER / 2)
            record_flush(r);
        put(&r->vm->vcpu[0],
            (struct record_entry){RECORD_RAM, (uint32_t)((part + 7) & ~7ull), gpa + at, 0, part}, bytes);
    }
    if (r->watch.wrote)
        r->watch.wrote(r->watch.arg, gpa, size);
}

/* --- Begin and end --- */

void record_begin(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;
    struct memory *memory = &vcpu->vm->memory;

    if (r->replays)
        return;
    put(vcpu, (struct record_entry){RECORD_START, 0, memory->size, RECORD_MAGIC, 0}, NULL);
    check_ram(vcpu);
    record_flush(r);
    r->watch = memory->watch;
    memory->watch = (struct memory_watch){device_wrote, r};
}

void record_end(struct vcpu *vcpu)
{
    struct record *r = vcpu->vm->record;

    if (r->replays)
        return;
    put_registers(vcpu, RECORD_END, vm_end(vcpu->vm).reason, true);
    check_ram(vcpu);
    record_flush(r);
    vm_log(vcpu->vm, "recorded: %lu entries, %lu interrupts, %lu exceptions, %lu checks of all RAM",
           r->entries, r->events, r->faults, r->checks);
}

enum vmm_status record_create(struct vm *vm)
{
    const struct vm_config *config = &vm->config;
    struct record *r;

    if (!config->record_write && !config->replay.size)
        return VMM_OK;
    r = host_alloc(vm->host, sizeof(*r), 64);
    if (!r)
        return VMM_NO_MEMORY;
    vm->record = r;
    r->vm = vm;
    r->replays = config->replay.size;
    r->log = config->replay.data;
    r->size = config->replay.size;
    r->pages = vm->memory.size / PAGE;
    r->page = host_alloc(vm->host, r->pages * sizeof(*r->page), 64);
    r->buffer = host_alloc(vm->host, RECORD_BUFFER, 64);
    return r->page && r->buffer ? VMM_OK : VMM_NO_MEMORY;
}

void record_destroy(struct vm *vm)
{
    struct record *r = vm->record;

    if (!r)
        return;
    if (r->page)
        host_free(vm->host, r->page);
    if (r->buffer)
        host_free(vm->host, r->buffer);
    host_free(vm->host, r);
}
