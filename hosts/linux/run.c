/* SPDX-License-Identifier: MIT */
/* One machine: set-up, sandbox, threads, end. */
#include "hosts/linux/run.h"

#include "hosts/linux/command.h"
#include "hosts/linux/host.h"
#include "hosts/linux/image.h"
#include "hosts/linux/sandbox.h"
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define JOIN_SECONDS 10 // for a vCPU that does not leave the guest

struct run;

struct run_vcpu {
    struct run *run;
    unsigned id;
    pthread_t thread;
};

struct run {
    const struct options *options;
    const struct engine_kind *kind;
    struct engine *engine;
    struct host host;
    struct command command; // --exec
    struct vm_config config;
    char *module_paths[VM_MODULES_MAX]; // NULL: none; free
    struct run_vcpu vcpu[VM_VCPUS_MAX];
    /* All vCPUs and the main thread meet here twice: before the filter, and behind it. */
    pthread_barrier_t gate;
    uint64_t begun, entered; // host_ns(): process, first guest instruction
    int landlock;
    char error[320];
};

static bool load_rom(struct run *run)
{
    const struct options *o = run->options;
    struct image rom;

    if (!image_load(o->bios, &rom, run->error, sizeof(run->error))) {
        host_log(&run->host, run->error);
        return false;
    }
    close(rom.fd);
    run->config.bios = rom.copy;
    if (rom_size_valid(rom.copy.size))
        return true;
    host_say(&run->host, "cannot use %s: a ROM has 64 KiB to 16 MiB in multiples of 4 KiB, not "
                         "%zu bytes", o->bios, rom.copy.size);
    return false;
}

/* What the guest is told of the path: its last part, as one word. */
static const char *kernel_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    return *name && !strchr(name, ' ') ? name : "kernel";
}

/* The n-th --module: a path, and a command line behind the first space. */
static bool load_module(struct run *run, unsigned n)
{
    const char *option = run->options->modules[n];
    size_t length = strcspn(option, " ");
    struct vm_module *m = &run->config.modules[n];
    char *path = run->module_paths[n] = strndup(option, length);

    if (!path) {
        snprintf(run->error, sizeof(run->error), "no memory for --module %s", option);
        return false;
    }
    if (!image_load(path, &run->host.modules[n], run->error, sizeof(run->error)))
        return false;
    m->image = run->host.modules[n].copy;
    m->name = kernel_name(path);
    m->command_line = option[length] ? option + length + 1 : NULL;
    run->config.module_count = n + 1;
    return true;
}

static bool load_images(struct run *run)
{
    const struct options *o = run->options;
    struct host *host = &run->host;
    bool loaded;

    if (o->bios)
        return load_rom(run);
    loaded = image_load(o->kernel, &host->kernel, run->error, sizeof(run->error)) &&
             (!o->initrd || image_load(o->initrd, &host->initrd, run->error, sizeof(run->error)));
    for (unsigned i = 0; loaded && i < o->module_count; i++)
        loaded = load_module(run, i);
    if (loaded)
        return true;
    host_log(host, run->error);
    return false;
}

static bool make_command(struct run *run)
{
    const struct options *o = run->options;

    if (!command_init(&run->command, &run->host, o->exec, o->verbose, &run->host.initrd)) {
        host_log(&run->host, "no memory for the initrd with the command, or no random bytes");
        return false;
    }
    run->host.output.take = command_take;
    run->host.output.take_context = &run->command;
    return true;
}

static void trace_line(struct host *host, const char *line)
{
    trace_put(&host->trace, line);
}

static bool start_trace(struct run *run)
{
    const struct options *o = run->options;

    if (!o->trace)
        return true;
    if (!trace_open(&run->host.trace, o->trace_file)) {
        host_say(&run->host, "cannot write the trace to %s: %s", o->trace_file, strerror(errno));
        return false;
    }
    run->config.trace = o->trace;
    run->config.trace_line = trace_line;
    return true;
}

/* The recording goes on, or ends with the machine. */
static bool record_write(struct host *host, const void *bytes, size_t size)
{
    return record_file_write(&host->record, host, bytes, size);
}

static bool start_record(struct run *run)
{
    const struct options *o = run->options;
    struct image log;

    if (o->replay) {
        if (!image_load(o->replay, &log, run->error, sizeof(run->error))) {
            host_log(&run->host, run->error);
            return false;
        }
        close(log.fd);
        run->config.replay = log.copy;
    }
    if (!o->record)
        return true;
    if (!record_file_open(&run->host.record, o->record)) {
        host_say(&run->host, "cannot write the recording to %s: %s", o->record, strerror(errno));
        return false;
    }
    run->config.record_write = record_write;
    return true;
}

static bool make_machine(struct run *run)
{
    const struct options *o = run->options;
    struct host *host = &run->host;

    run->config.memory = o->memory;
    run->config.vcpus = o->cpus;
    run->config.kernel_name = o->kernel ? kernel_name(o->kernel) : NULL;
    run->config.command_line = o->append;
    run->config.hpet = o->hpet;
    run->config.end_on_reset = o->end_on_reset || o->exec || o->record || o->replay;
    run->config.fw_cfg = true;
    run->config.testdev = o->test_device;
    run->config.debug_exit_port = o->debug_exit;
    run->config.post_port = o->post_port;
    run->config.log_post = o->bios && o->verbose;
    run->config.watchdog_ms = o->watchdog_ms;
    if (!load_images(run) || (o->exec && !make_command(run)) || !host_memory(host, o->memory))
        return false;
    run->config.kernel = host->kernel.copy;
    run->config.initrd = host->initrd.copy;
    run->config.images = host_images;
    host->slow = o->slow;
    run->engine = run->kind->create(host, o->cpus);
    if (!run->engine) {
        host_log(host, "too little memory for the CPU engine");
        return false;
    }
    if (o->lockstep && (!run->kind->compare || o->cpus > 1 || !run->kind->compare(run->engine))) {
        host_log(host, "--lockstep is for the recompiler with one CPU (--engine recompiler --cpus 1)");
        return false;
    }
    host->vm = vm_create(host, run->kind->ops, run->engine, &run->config);
    if (!host->vm)
        return false;
    if (run->kind->attach(run->engine, host->vm))
        return true;
    host_log(host, "too little memory for the CPU engine");
    return false;
}

static void *vcpu_thread(void *argument)
{
    struct run_vcpu *vcpu = argument;
    struct run *run = vcpu->run;

    if (run->kind->begin_thread && !run->kind->begin_thread(run->engine))
        host_log(&run->host, "no memory for a signal stack: a trap ends the machine");
    pthread_barrier_wait(&vcpu->run->gate);
    pthread_barrier_wait(&vcpu->run->gate);
    vcpu_loop(vcpu->run->host.vm, vcpu->id);
    return NULL;
}

static bool start_vcpus(struct run *run)
{
    pthread_barrier_init(&run->gate, NULL, run->config.vcpus + 1);
    for (unsigned i = 0; i < run->config.vcpus; i++) {
        struct run_vcpu *vcpu = &run->vcpu[i];
        int status;

        vcpu->run = run;
        vcpu->id = i;
        status = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
        if (status != 0) {
            host_say(&run->host, "cannot start the thread of CPU %u: %s", i, strerror(status));
            return false;
        }
    }
    return true;
}

static bool restrict_process(struct run *run)
{
    int files[HOST_FILES + VM_VCPUS_MAX];
    unsigned count = host_files(&run->host, files);

    if (run->options->no_sandbox) {
        host_log(&run->host, "warning: without a sandbox; a guest that breaks out has all rights "
                             "of this user");
        return true;
    }
    if (run->kind->files)
        count += run->kind->files(run->engine, files + count);
    if (sandbox_restrict(files, count, &run->landlock, run->error, sizeof(run->error)))
        return true;
    host_say(&run->host, "the sandbox cannot be set up: %s (--no-sandbox goes without, for "
                         "debugging)", run->error);
    return false;
}

static bool filter_calls(struct run *run)
{
    if (run->options->no_sandbox)
        return true;
    if (!sandbox_filter(run->kind->requests, run->kind->request_count, run->error,
                        sizeof(run->error))) {
        host_say(&run->host, "the sandbox cannot be set up: %s (--no-sandbox goes without, for "
                             "debugging)", run->error);
        return false;
    }
    if (run->options->verbose)
        host_say(&run->host, "sandbox: no privileges, no files, seccomp filter, Landlock ABI %d%s",
                 run->landlock, run->landlock ? "" : " (this kernel has none)");
    return true;
}

/* Terminal, sandbox and threads; the vCPUs enter the guest. */
static bool start(struct run *run)
{
    if (run->options->verbose)
        host_say(&run->host, "%u CPUs by the %s, %lu MiB", run->config.vcpus, run->kind->ops->name,
                 run->config.memory >> 20);
    if (!terminal_start(&run->host.terminal, run->host.input)) {
        host_say(&run->host, "cannot make the terminal raw: %s", strerror(errno));
        return false;
    }
    if (!restrict_process(run) || !host_start_output(&run->host, STDOUT_FILENO) ||
        !start_vcpus(run))
        return false;
    pthread_barrier_wait(&run->gate);
    if (!filter_calls(run))
        return false;
    run->entered = host_ns();
    pthread_barrier_wait(&run->gate);
    return true;
}

static void join_vcpus(struct run *run)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += JOIN_SECONDS;
    for (unsigned i = 0; i < run->config.vcpus; i++) {
        if (pthread_timedjoin_np(run->vcpu[i].thread, NULL, &until) == 0)
            continue;
        host_say(&run->host, "CPU %u does not leave the guest: the CPU engine is broken", i);
        terminal_stop(&run->host.terminal);
        _exit(VM_END_STATUS + VM_END_ENGINE);
    }
}

static void say_stats(struct run *run)
{
    struct host *host = &run->host;
    uint64_t now = host_ns();
    struct rusage usage;
    char line[160];

    getrusage(RUSAGE_SELF, &usage);
    host_say(host, "stats: set-up %lu us, guest %lu ms, CPU user %ld ms, CPU system %ld ms, "
                   "resident at most %ld KiB",
             (run->entered - run->begun) / 1000, (now - run->entered) / 1000000,
             usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000,
             usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000, usage.ru_maxrss);
    for (unsigned i = 0; i < run->config.vcpus; i++)
        if (run->kind->steps)
            host_say(host, "stats: CPU %u: %lu exits, %lu instructions by the %s", i,
                     host->vm->vcpu[i].exits, run->kind->steps(run->engine, i),
                     run->kind->ops->name);
        else
            host_say(host, "stats: CPU %u: %lu exits", i, host->vm->vcpu[i].exits);
    for (unsigned n = 0; run->kind->describe &&
                         run->kind->describe(run->engine, n, line, sizeof(line)); n++)
        host_say(host, "stats: %s", line);
}

/*
 * A huge page takes longer to get than the small ones that a guest needs of it while it starts, much
 * longer where the host is a virtual machine that gives up memory it does not use. What runs
 * afterwards is better off with huge pages.
 */
#define SMALL_PAGES_NS 1000000000ull

/* The device thread, until the machine has ended, or `until`. */
static bool attend_until(struct run *run, uint64_t until)
{
    uint64_t small = run->entered + (run->host.map ? 0 : SMALL_PAGES_NS); // KVM's page tables gain at once

    if (until > small) {
        if (host_run(&run->host, small))
            return true;
        guest_memory_use_huge_pages(&run->host.memory);
    }
    return host_run(&run->host, until);
}

/* From the first guest instruction to the end. */
static int attend(struct run *run)
{
    struct host *host = &run->host;
    uint32_t seconds = run->options->timeout_s;
    uint64_t until = seconds ? run->entered + seconds * 1000000000ull : HOST_FOREVER;
    bool late = !attend_until(run, until);
    int status;

    if (late) {
        host_say(host, "%u seconds are over: the machine ends", seconds);
        vm_stop(host->vm);
        (void)host_run(host, HOST_FOREVER);
    }
    join_vcpus(run);
    status = late ? RUN_TIMEOUT : vm_end_status(vm_end(host->vm));
    host_finish(host);
    if (run->options->exec && !late)
        status = command_status(&run->command);
    if (run->options->stats)
        say_stats(run);
    vm_destroy(host->vm);
    run->kind->destroy(run->engine);
    return status;
}

int run_machine(const struct options *options, const struct engine_kind *engine)
{
    struct run *run = calloc(1, sizeof(*run));
    int status = options->exec ? COMMAND_BROKEN : RUN_SETUP;
    int input = STDIN_FILENO;

    if (!run)
        return status;
    run->options = options;
    run->kind = engine;
    run->begun = host_ns();
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); // the guest's timers come when they are due
    if (options->exec)
        input = open("/dev/null", O_RDONLY | O_CLOEXEC); // the terminal stays the user's
    if (host_init(&run->host, input)) {
        run->host.verbose = options->verbose;
        if (!start_trace(run) || !start_record(run) || !make_machine(run) || !start(run)) {
            terminal_stop(&run->host.terminal);
            return status; // threads may wait at the gate
        }
        status = attend(run);
        if (!run->host.stuck) {
            host_release(&run->host);
            for (unsigned i = 0; i < VM_MODULES_MAX; i++)
                free(run->module_paths[i]);
            free(run);
        }
    }
    return status;
}
