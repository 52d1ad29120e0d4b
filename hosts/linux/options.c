/* SPDX-License-Identifier: MIT */
/* The command line of `graft`. */
#include "hosts/linux/options.h"

#include "hosts/linux/trace.h"
#include "lib/text.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char options_usage[] =
    "usage: graft run --kernel FILE [options]   run a virtual machine\n"
    "       graft run --bios FILE [options]     the same from a ROM\n"
    "       graft run --help                    its options\n"
    "       graft --version\n"
    "       graft --help\n";

const char options_run_usage[] =
    "usage: graft run --kernel FILE [options]\n"
    "Runs a PC with the terminal as its first serial port. Ctrl-A x ends it, Ctrl-A h lists more.\n"
    "\n"
    "  --kernel FILE      what is booted: bzImage, or ELF by Multiboot 1, Multiboot 2 or PVH\n"
    "  --bios FILE        a ROM of 64 KiB to 16 MiB instead of a kernel, from its reset vector\n"
    "  --initrd FILE      its initial RAM disk, or the first module\n"
    "  --module 'FILE WORDS'  a further module with its command line, for Multiboot and PVH;\n"
    "                     up to 8\n"
    "  --append STRING    its command line, such as 'console=ttyS0'\n"
    "  --exec 'COMMAND'   run COMMAND in the guest, print its output, exit with its status, or\n"
    "                     with 125 and a message if it was not run to its end. --initrd must\n"
    "                     be Graft's own (tools/guest.sh initrd), whose init runs it. Without\n"
    "                     --append: 'console=ttyS0 quiet'; console=ttyS0 must be there.\n"
    "                     --verbose: the console goes to standard error. No input; a reset ends\n"
    "                     the machine\n"
    "  --memory SIZE      such as 512M or 2G (default 256M)\n"
    "  --cpus N           1 to 64 (default 1)\n"
    "  --engine NAME      auto, kvm, recompiler or interpreter (default auto)\n"
    "  --hpet             with an HPET\n"
    "  --watchdog MS      report a CPU that makes no progress for so many milliseconds\n"
    "  --debug-exit PORT  a device that ends the machine when the guest writes to it\n"
    "  --test-device      with the device that hypervisor test suites use (QEMU's pc-testdev)\n"
    "  --post-port PORT   where self test codes come (default 0x80); --verbose shows a ROM's\n"
    "  --on-reset WHAT    restart or end (default restart)\n"
    "  --timeout SECONDS  end the machine after that time, with status 124\n"
    "  --lockstep         compare every block of the recompiler with the interpreter (for its\n"
    "                     developers: very slow, one CPU)\n"
    "  --slow-clock N     the guest's clock is N times slower, so that the timers of one that\n"
    "                     is slow itself leave it time (an engine in software)\n"
    "  --record FILE      write down all that comes to the CPU from outside, up to 2 GiB, so that\n"
    "                     the run can be replayed (an engine in software, one CPU, no --exec)\n"
    "  --replay FILE      the interpreter does the recorded run again, with the recording's kernel,\n"
    "                     initrd and options: status 0 if all is the same, 106 and a report if not\n"
    "  --trace WHAT[:FILE]\n"
    "                     log what the guest does, to FILE or standard error, up to 64 MiB. WHAT:\n"
    "                     exits (accesses to devices), interrupts, faults, msr, blocks (what the\n"
    "                     recompiler translates), several with commas between, or all\n"
    "  --stats            at the end, say what it took\n"
    "  --verbose          say what is done, and what the guest writes to its debug port\n"
    "  --no-sandbox       for debugging only: a guest that breaks out has all rights of this user\n"
    "  --help\n"
    "\n"
    "Exit status: 0 power-off; with --debug-exit the value written * 2 + 1; 100 + N for another\n"
    "end (102 reset, 104 triple fault, 105 invalid state, 106 engine, 107 stopped, 108 boot);\n"
    "1 it could not be set up (with --exec: 125); 2 wrong usage; 124 time-out.\n";

__attribute__((format(printf, 2, 3)))
static bool fail(struct options *options, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(options->error, sizeof(options->error), format, arguments);
    va_end(arguments);
    return false;
}

static bool set_number(struct options *options, const char *name, const char *value, uint64_t low,
                       uint64_t high, uint32_t *number)
{
    uint64_t got;

    if (!text_to_u64(value, strlen(value), &got) || got < low || got > high)
        return fail(options, "%s wants a number from %lu to %lu, not '%s'", name, low, high, value);
    *number = (uint32_t)got;
    return true;
}

static bool set_memory(struct options *options, const char *name, const char *value)
{
    uint64_t size;

    if (!text_to_size(value, strlen(value), &size))
        return fail(options, "%s wants a size such as 512M or 2G, not '%s'", name, value);
    if (size < MEMORY_MIN || size > MEMORY_MAX || size % 4096)
        return fail(options, "%s wants %lu MiB to %lu GiB in multiples of 4 KiB, not '%s'", name,
                    (uint64_t)MEMORY_MIN >> 20, (uint64_t)MEMORY_MAX >> 30, value);
    options->memory = size;
    return true;
}

static bool set_choice(struct options *options, const char *name, const char *value,
                       const char *const *words, unsigned count, unsigned *choice)
{
    char list[96] = "";
    size_t used = 0;

    for (unsigned i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            *choice = i;
            return true;
        }
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
                                 i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
    }
    return fail(options, "%s is %s, not '%s'", name, list, value);
}

static bool set_engine(struct options *options, const char *name, const char *value)
{
    static const char *const words[] = {"auto", "kvm", "recompiler", "interpreter"};
    unsigned choice = 0;
    bool good = set_choice(options, name, value, words, 4, &choice);

    options->engine = (enum options_engine)choice;
    return good;
}

static bool set_reset(struct options *options, const char *name, const char *value)
{
    static const char *const words[] = {"restart", "end"};
    unsigned choice = 0;
    bool good = set_choice(options, name, value, words, 2, &choice);

    options->end_on_reset = choice == 1;
    return good;
}

static bool set_port(struct options *options, const char *name, const char *value,
                     uint16_t *result)
{
    uint32_t port = 0;
    bool good = set_number(options, name, value, 1, 0xffff, &port);

    *result = (uint16_t)port;
    return good;
}

static bool set_trace(struct options *options, const char *name, const char *value)
{
    const char *colon = strchr(value, ':'), *end = colon ? colon : value + strlen(value);

    options->trace = trace_kinds(value, end);
    options->trace_file = colon ? colon + 1 : NULL;
    if (!options->trace)
        return fail(options, "%s wants exits, interrupts, faults, msr, blocks or all, with commas "
                             "between, not '%.*s'", name, (int)(end - value), value);
    return !colon || colon[1] || fail(options, "%s wants a file behind the colon", name);
}

enum option {
    OPTION_KERNEL, OPTION_INITRD, OPTION_APPEND, OPTION_MEMORY, OPTION_CPUS, OPTION_ENGINE,
    OPTION_WATCHDOG, OPTION_DEBUG_EXIT, OPTION_ON_RESET, OPTION_TIMEOUT,
    OPTION_MODULE, OPTION_SLOW_CLOCK, OPTION_BIOS, OPTION_POST_PORT, OPTION_EXEC, OPTION_TRACE, OPTION_RECORD, OPTION_REPLAY,
    OPTION_HPET, OPTION_STATS, OPTION_VERBOSE, OPTION_NO_SANDBOX, // from here on: without a value
    OPTION_LOCKSTEP, OPTION_TEST_DEVICE, OPTION_HELP, OPTION_COUNT
};

static const char *const option_names[OPTION_COUNT] = {
    "--kernel", "--initrd", "--append", "--memory", "--cpus", "--engine", "--watchdog",
    "--debug-exit", "--on-reset", "--timeout", "--module", "--slow-clock", "--bios", "--post-port", "--exec", "--trace", "--record",
    "--replay", "--hpet",
    "--stats", "--verbose", "--no-sandbox", "--lockstep", "--test-device", "--help",
};

static bool add_module(struct options *options, const char *name, const char *value)
{
    if (options->module_count == VM_MODULES_MAX)
        return fail(options, "%s is there more than %u times", name, VM_MODULES_MAX);
    options->modules[options->module_count++] = value;
    return true;
}

/* value: NULL for those that have none. */
static bool set_option(struct options *options, enum option option, const char *value)
{
    const char *name = option_names[option];

    switch (option) {
    case OPTION_KERNEL:     options->kernel = value; return true;
    case OPTION_INITRD:     options->initrd = value; return true;
    case OPTION_SLOW_CLOCK: return set_number(options, name, value, 1, 1000, &options->slow);
    case OPTION_MODULE:     return add_module(options, name, value);
    case OPTION_APPEND:     options->append = value; return true;
    case OPTION_MEMORY:     return set_memory(options, name, value);
    case OPTION_CPUS:
        return set_number(options, name, value, 1, VM_VCPUS_MAX, &options->cpus);
    case OPTION_ENGINE:     return set_engine(options, name, value);
    case OPTION_WATCHDOG:
        return set_number(options, name, value, 0, 3600000, &options->watchdog_ms);
    case OPTION_DEBUG_EXIT: return set_port(options, name, value, &options->debug_exit);
    case OPTION_POST_PORT:  return set_port(options, name, value, &options->post_port);
    case OPTION_RECORD:     options->record = value; return true;
    case OPTION_REPLAY:     options->replay = value; return true;
    case OPTION_TRACE:      return set_trace(options, name, value);
    case OPTION_EXEC:       options->exec = value; return true;
    case OPTION_BIOS:       options->bios = value; return true;
    case OPTION_ON_RESET:   return set_reset(options, name, value);
    case OPTION_TIMEOUT:
        return set_number(options, name, value, 1, 1000000, &options->timeout_s);
    case OPTION_HPET:       options->hpet = true; return true;
    case OPTION_STATS:      options->stats = true; return true;
    case OPTION_LOCKSTEP:   options->lockstep = true; return true;
    case OPTION_TEST_DEVICE: options->test_device = true; return true;
    case OPTION_VERBOSE:    options->verbose = true; return true;
    case OPTION_NO_SANDBOX: options->no_sandbox = true; return true;
    case OPTION_HELP:       options->command = COMMAND_RUN_HELP; return true;
    default:                return false;
    }
}

/* One option at argv[*at], with its value; *at moves past both. */
static bool parse_one(struct options *options, int argc, char *const *argv, int *at)
{
    const char *word = argv[(*at)++], *equals = strchr(word, '='), *value = NULL;
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    unsigned option = 0;

    while (option < OPTION_COUNT && (strlen(option_names[option]) != length ||
                                     strncmp(word, option_names[option], length) != 0))
        option++;
    if (option == OPTION_COUNT)
        return fail(options, "graft run has no option '%.64s'", word);
    if ((options->given & 1u << option) && option != OPTION_MODULE)
        return fail(options, "%s is there twice", option_names[option]);
    options->given |= 1u << option;
    if (option >= OPTION_HPET) {
        if (equals)
            return fail(options, "%s takes no value", option_names[option]);
    } else if (equals) {
        value = equals + 1;
    } else if (*at < argc) {
        value = argv[(*at)++];
    } else {
        return fail(options, "%s wants a value", option_names[option]);
    }
    return set_option(options, (enum option)option, value);
}

/* What only engines in software can: those are chosen, and KVM is refused. */
static bool choose_software(struct options *options)
{
    const char *name = options->record ? "--record" : options->slow > 1 ? "--slow-clock" : NULL;

    if (name && options->engine == ENGINE_KVM)
        return fail(options, "%s wants an engine in software: recompiler or interpreter", name);
    if (name && options->engine == ENGINE_AUTO)
        options->engine = ENGINE_RECOMPILER;
    return true;
}

static bool parse_run(struct options *options, int argc, char *const *argv)
{
    for (int at = 2; at < argc;)
        if (!parse_one(options, argc, argv, &at))
            return false;
    if (options->command == COMMAND_RUN && !options->kernel && !options->bios)
        return fail(options, "--kernel is missing: which kernel shall be booted?");
    if (options->bios && (options->kernel || options->initrd || options->module_count || options->append))
        return fail(options, "--bios stands without --kernel, --initrd, --module and --append");
    if (options->exec && (options->bios || !options->initrd))
        return fail(options, "--exec wants an --initrd: Graft's own, whose init runs the command");
    if (options->record && options->replay)
        return fail(options, "--record and --replay exclude each other");
    if ((options->record || options->replay) && (options->exec || options->cpus > 1 || options->lockstep))
        return fail(options, "%s stands without --exec, --lockstep and more than one CPU",
                    options->record ? "--record" : "--replay");
    if (options->replay && options->engine != ENGINE_AUTO && options->engine != ENGINE_INTERPRETER)
        return fail(options, "--replay is done by the interpreter");
    if (options->replay)
        options->engine = ENGINE_INTERPRETER;
    if (!choose_software(options))
        return false;
    if (options->exec && !options->append)
        options->append = "console=ttyS0 quiet";
    return true;
}

bool options_parse(struct options *options, int argc, char *const *argv)
{
    *options = (struct options){.command = COMMAND_RUN, .memory = 256ull << 20, .cpus = 1, .slow = 1};
    if (argc < 2)
        return fail(options, "a command is missing, such as 'run'");
    if (strcmp(argv[1], "run") == 0)
        return parse_run(options, argc, argv);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        options->command = COMMAND_HELP;
    else if (strcmp(argv[1], "--version") == 0)
        options->command = COMMAND_VERSION;
    else
        return fail(options, "there is no command '%.64s'", argv[1]);
    return argc == 2 || fail(options, "%s stands alone", argv[1]);
}
