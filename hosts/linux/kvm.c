/* SPDX-License-Identifier: MIT */
/* The KVM engine: set-up and operations. */
#include "hosts/linux/kvm_engine.h"

#include "hosts/linux/host.h"
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Three pages for a task state segment and one for page tables: some processors of Intel's need
 * them for real mode. In the hole below 4 GiB, where nothing else is.
 */
#define KVM_TSS      0xfffbd000ull
#define KVM_IDENTITY 0xfffbc000ull

#define TSC_TRIAL    (1ull << 40)

const uint32_t kvm_requests[KVM_REQUESTS] = {
    KVM_RUN, KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_MSRS, KVM_SET_MSRS, KVM_GET_DEBUGREGS,
    KVM_SET_DEBUGREGS, KVM_GET_XSAVE, KVM_SET_XSAVE, KVM_GET_XCRS, KVM_SET_XCRS,
    KVM_SET_DEVICE_ATTR,
};

__attribute__((format(printf, 3, 4)))
static bool refuse(char *error, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, size, format, arguments);
    va_end(arguments);
    return false;
}

/* --- MSRs --- */

/* SYSENTER, PAT, EFER and SYSCALL, segment bases. */
static const struct {
    uint32_t first, count;
} kept[] = {{0x174, 3}, {0x277, 1}, {0xc0000080, 5}, {0xc0000100, 3}};
#define KEPT (sizeof(kept) / sizeof(kept[0]))

bool kvm_keeps_msr(uint32_t index)
{
    for (unsigned i = 0; i < KEPT; i++)
        if (index - kept[i].first < kept[i].count)
            return true;
    return false;
}

static bool filter_msrs(struct engine *engine)
{
    static uint8_t all[8] = {0xff}; // KVM reads whole words of 64 bits
    struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_DENY};
    struct kvm_enable_cap exits = {
        .cap = KVM_CAP_X86_USER_SPACE_MSR,
        .args[0] = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
                   KVM_MSR_EXIT_REASON_FILTER,
    };

    for (unsigned i = 0; i < KEPT; i++)
        filter.ranges[i] = (struct kvm_msr_filter_range){
            .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, .nmsrs = kept[i].count,
            .base = kept[i].first, .bitmap = all,
        };
    return ioctl(engine->fd, KVM_ENABLE_CAP, &exits) == 0 &&
           ioctl(engine->fd, KVM_X86_SET_MSR_FILTER, &filter) == 0;
}

/* --- CPUID --- */

static bool read_supported(struct engine *engine)
{
    engine->supported = calloc(1, sizeof(*engine->supported) +
                                      KVM_CPUIDS * sizeof(struct kvm_cpuid_entry2));
    if (!engine->supported)
        return false;
    engine->supported->nent = KVM_CPUIDS;
    return ioctl(engine->kvm, KVM_GET_SUPPORTED_CPUID, engine->supported) == 0 &&
           engine->supported->nent <= KVM_CPUIDS;
}

void kvm_read_cpuid(void *context, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
    const struct engine *engine = context;

    *out = (struct cpuid_regs){0, 0, 0, 0};
    for (uint32_t i = 0; i < engine->supported->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &engine->supported->entries[i];

        if (e->function != leaf ||
            ((e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) && e->index != subleaf))
            continue;
        *out = (struct cpuid_regs){e->eax, e->ebx, e->ecx, e->edx};
        return;
    }
}

/* KVM itself puts in what changes while the guest runs: OSXSAVE, the size of the extended state. */
static void fill_cpuid(struct kvm_cpuid2 *to, const struct cpuid_table *table, unsigned vcpu)
{
    const struct cpuid_vcpu own = {.apic_id = vcpu, .xcr0 = 1, .apic_enabled = true};

    for (unsigned i = 0; i < table->count; i++) {
        const struct cpuid_entry *from = &table->entries[i];
        struct cpuid_regs regs;

        cpuid_query(table, &own, from->leaf, from->subleaf, &regs);
        to->entries[to->nent++] = (struct kvm_cpuid_entry2){
            .function = from->leaf, .index = from->subleaf,
            .flags = from->by_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = regs.eax, .ebx = regs.ebx, .ecx = regs.ecx, .edx = regs.edx,
        };
    }
}

bool kvm_set_cpuid(struct engine *engine, const struct cpuid_table *table)
{
    size_t size = sizeof(struct kvm_cpuid2) + CPUID_MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    struct kvm_cpuid2 *cpuid = malloc(size);
    bool good = cpuid != NULL;

    for (unsigned i = 0; i < engine->count && good; i++) {
        memset(cpuid, 0, size);
        fill_cpuid(cpuid, table, i);
        good = ioctl(engine->vcpu[i].fd, KVM_SET_CPUID2, cpuid) == 0;
    }
    free(cpuid);
    return good;
}

/* --- Opening --- */

static bool has(const struct engine *engine, long capability)
{
    return ioctl(engine->kvm, KVM_CHECK_EXTENSION, capability) > 0;
}

static bool open_device(struct engine *engine, char *error, size_t size)
{
    engine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (engine->kvm >= 0)
        return true;
    if (errno == EACCES || errno == EPERM)
        return refuse(error, size, "/dev/kvm is not for this user: let root run 'adduser USER kvm' "
                                   "and log in again");
    if (errno == ENOENT)
        return refuse(error, size, "there is no /dev/kvm: switch virtualization on in the "
                                   "firmware, load kvm_intel or kvm_amd, or give the container "
                                   "that device");
    return refuse(error, size, "/dev/kvm cannot be opened: %s", strerror(errno));
}

static bool check_device(struct engine *engine, char *error, size_t size)
{
    static const struct {
        long number;
        const char *name;
    } wanted[] = {
        {KVM_CAP_USER_MEMORY, "user memory"}, {KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
        {KVM_CAP_SYNC_REGS, "synchronous registers"}, {KVM_CAP_XSAVE, "XSAVE"},
        {KVM_CAP_XCRS, "XCR0"}, {KVM_CAP_DEBUGREGS, "debug registers"},
        {KVM_CAP_X86_USER_SPACE_MSR, "MSR exits"}, {KVM_CAP_X86_MSR_FILTER, "MSR filters"},
        {KVM_CAP_VCPU_ATTRIBUTES, "the TSC offset"}, {KVM_CAP_GET_TSC_KHZ, "the TSC frequency"},
    };

    if (ioctl(engine->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return refuse(error, size, "/dev/kvm has another interface than version %d",
                      KVM_API_VERSION);
    for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (!has(engine, wanted[i].number))
            return refuse(error, size, "this kernel's KVM lacks %s: it takes Linux 5.16 or later",
                          wanted[i].name);
    return true;
}

static bool make_vm(struct engine *engine)
{
    struct kvm_enable_cap failures = {.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 1};
    uint64_t identity = KVM_IDENTITY;

    engine->fd = ioctl(engine->kvm, KVM_CREATE_VM, 0);
    return engine->fd >= 0 && fcntl(engine->fd, F_SETFD, FD_CLOEXEC) == 0 &&
           (!has(engine, KVM_CAP_SET_IDENTITY_MAP_ADDR) ||
            ioctl(engine->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) == 0) &&
           (!has(engine, KVM_CAP_SET_TSS_ADDR) ||
            ioctl(engine->fd, KVM_SET_TSS_ADDR, KVM_TSS) == 0) &&
           (!has(engine, KVM_CAP_EXIT_ON_EMULATION_FAILURE) ||
            ioctl(engine->fd, KVM_ENABLE_CAP, &failures) == 0) &&
           filter_msrs(engine);
}

static bool make_vcpu(struct engine *engine, unsigned n)
{
    int size = ioctl(engine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_vcpu *v = &engine->vcpu[n];

    v->fd = -1;
    v->run = MAP_FAILED;
    if (size < (int)sizeof(struct kvm_run))
        return false;
    v->run_size = (size_t)size;
    v->state = aligned_alloc(4096, sizeof(*v->state));
    v->fd = ioctl(engine->fd, KVM_CREATE_VCPU, (unsigned long)n);
    if (!v->state || v->fd < 0)
        return false;
    memset(v->state, 0, sizeof(*v->state));
    v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    return v->run != MAP_FAILED;
}

/*
 * The guest's TSC is moved by an offset, not scaled. Some KVM takes the offset and does nothing;
 * where Linux does not trust the TSC, KVM changes the offset as it likes.
 */
static bool check_tsc(struct engine *engine, char *error, size_t size)
{
    uint64_t offset = 0;
    struct kvm_device_attr attr = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset,
    };
    int khz = ioctl(engine->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);

    if (khz <= 0 || !kvm_set_tsc(&engine->vcpu[0], TSC_TRIAL) ||
        ioctl(engine->vcpu[0].fd, KVM_GET_DEVICE_ATTR, &attr) < 0)
        return refuse(error, size, "this KVM cannot move the guest's TSC");
    if (offset != TSC_TRIAL && offset != 0)
        return refuse(error, size, "Linux does not trust this machine's TSC (see 'dmesg | grep -i "
                                   "tsc'), and guests have no other clock");
    engine->tsc_khz = (uint32_t)khz;
    engine->tsc_moves = offset == TSC_TRIAL;
    return true;
}

bool kvm_open(struct engine *engine, unsigned vcpus, char *error, size_t size)
{
    engine->kvm = engine->fd = -1;
    engine->vcpu = calloc(vcpus, sizeof(*engine->vcpu));
    if (!engine->vcpu)
        return refuse(error, size, "too little memory for KVM");
    if (!open_device(engine, error, size) || !check_device(engine, error, size))
        return false;
    if (!read_supported(engine))
        return refuse(error, size, "KVM does not say what processor it has: %s", strerror(errno));
    if (!make_vm(engine))
        return refuse(error, size, "KVM does not make a virtual machine: %s", strerror(errno));
    while (engine->count < vcpus)
        if (!make_vcpu(engine, engine->count++))
            return refuse(error, size, "KVM does not make CPU %u: %s", engine->count - 1,
                          strerror(errno));
    return check_tsc(engine, error, size);
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void kvm_close(struct engine *engine)
{
    for (unsigned i = 0; i < engine->count; i++) {
        struct kvm_vcpu *v = &engine->vcpu[i];

        if (v->run != MAP_FAILED)
            munmap(v->run, v->run_size);
        close_file(&v->fd);
        free(v->state);
    }
    close_file(&engine->fd);
    close_file(&engine->kvm);
    free(engine->vcpu);
    free(engine->supported);
}

bool kvm_map(void *context, uint64_t gpa, uint8_t *base, uint64_t size, bool writable)
{
    struct engine *engine = context;
    struct kvm_userspace_memory_region region = {
        .slot = engine->slots++, .flags = writable ? 0 : KVM_MEM_READONLY,
        .guest_phys_addr = gpa, .memory_size = size, .userspace_addr = (uintptr_t)base,
    };

    return ioctl(engine->fd, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

/* --- The engine --- */

static struct cpu_state *kvm_state(struct engine *engine, unsigned vcpu)
{
    return engine->vcpu[vcpu].state;
}

static void kvm_kick(struct engine *engine, unsigned vcpu)
{
    struct kvm_vcpu *v = &engine->vcpu[vcpu];
    int32_t thread;

    atomic_store(&v->kicked, 1);
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    thread = atomic_load(&v->thread);
    if (thread)
        syscall(SYS_tgkill, getpid(), thread, KVM_KICK_SIGNAL);
}

/* Of a vCPU that is there, KVM refuses none. */
static void kvm_fetch(struct engine *engine, unsigned vcpu, uint32_t groups)
{
    if (!kvm_get(&engine->vcpu[vcpu], groups))
        engine->broken = true;
}

static void kvm_invalidate(struct engine *engine, unsigned vcpu)
{
    engine->vcpu[vcpu].flush = true;
}

const struct engine_ops engine_kvm = {
    .name       = "kvm",
    .xcr0       = 0xe7, // of it, what KVM offers
    .cpuid      = kvm_read_cpuid,
    .state      = kvm_state,
    .run        = kvm_engine_run,
    .kick       = kvm_kick,
    .fetch      = kvm_fetch,
    .invalidate = kvm_invalidate,
};

static void kicked(int number)
{
    (void)number; // KVM_RUN has come back for it
}

/* Threads inherit that; whoever started us may have blocked the signal. */
static bool take_kicks(void)
{
    struct sigaction action = {.sa_handler = kicked, .sa_flags = SA_RESTART};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, KVM_KICK_SIGNAL);
    return sigaction(KVM_KICK_SIGNAL, &action, NULL) == 0 &&
           sigprocmask(SIG_UNBLOCK, &set, NULL) == 0;
}

struct engine *kvm_create(struct host *host, unsigned vcpus)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    char error[160] = "no signal for the CPUs";

    if (!engine)
        return NULL;
    engine->host = host;
    if (!kvm_open(engine, vcpus, error, sizeof(error)) || !take_kicks()) {
        host_say(host, "%s", error);
        kvm_close(engine);
        free(engine);
        return NULL;
    }
    host->tsc_khz = engine->tsc_khz;
    host->map = kvm_map;
    host->map_context = engine;
    return engine;
}

bool kvm_attach(struct engine *engine, struct vm *vm)
{
    engine->vm = vm;
    engine->broken = !kvm_set_cpuid(engine, &vm->cpuid);
    if (engine->broken)
        vm_log(vm, "KVM: CPUID refused: error %d", errno);
    /* The vCPUs hold the VM. */
    close_file(&engine->fd);
    close_file(&engine->kvm);
    return true;
}

void kvm_destroy(struct engine *engine)
{
    kvm_close(engine);
    free(engine);
}

unsigned kvm_files(const struct engine *engine, int *fd)
{
    for (unsigned i = 0; i < engine->count; i++)
        fd[i] = engine->vcpu[i].fd;
    return engine->count;
}
