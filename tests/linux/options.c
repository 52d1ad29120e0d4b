/* SPDX-License-Identifier: MIT */
/* The command line of `graft`. */
#include "hosts/linux/options.h"
#include "vmm/trace.h"
#include "tests/unit/tap.h"

#include <string.h>

static struct options options;

/* Parses a line of words that are separated by spaces. */
static bool parse(const char *line)
{
    static char text[512];
    char *words[32];
    int count = 0;

    strcpy(text, line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        words[count++] = word;
    return options_parse(&options, count, words);
}

static void refuses(const char *line, const char *error)
{
    bool good = parse(line);

    if (!ok(!good && strstr(options.error, error), "refused: %s", line))
        tap_note("%s, '%s'", good ? "taken" : "refused", options.error);
}

static void defaults(void)
{
    ok(parse("graft run --kernel k"), "a kernel is enough");
    is_str(options.kernel, "k", "kernel");
    ok(!options.initrd && !options.append && !options.exec, "no initrd, no command line");
    is_u64(options.memory, 256ull << 20, "256 MiB");
    is_u64(options.cpus, 1, "one CPU");
    ok(options.engine == ENGINE_AUTO && !options.end_on_reset && !options.no_sandbox,
       "engine auto, resets restart, sandbox on");
    ok(!options.watchdog_ms && !options.timeout_s && !options.debug_exit && !options.hpet &&
       !options.stats && !options.verbose && !options.test_device, "everything else is off");
}

static void all(void)
{
    ok(parse("graft run --kernel=k --initrd i --append=a=b,c --memory 3G --cpus 4 --engine "
             "interpreter --hpet --watchdog 500 --debug-exit 0xf4 --on-reset end --stats "
             "--timeout 60 --verbose --no-sandbox --test-device"), "every option");
    is_str(options.initrd, "i", "initrd");
    is_str(options.append, "a=b,c", "a value with = in it");
    is_u64(options.memory, 3ull << 30, "memory");
    is_u64(options.cpus, 4, "cpus");
    ok(options.engine == ENGINE_INTERPRETER, "engine");
    is_u64(options.watchdog_ms, 500, "watchdog");
    is_u64(options.debug_exit, 0xf4, "debug-exit");
    is_u64(options.timeout_s, 60, "timeout");
    ok(options.hpet && options.end_on_reset && options.stats && options.verbose &&
       options.no_sandbox && options.test_device, "those without a value");
}

static void bios(void)
{
    ok(parse("graft run --bios b --post-port 0x190"), "a ROM is enough");
    is_str(options.bios, "b", "bios");
    is_u64(options.post_port, 0x190, "post-port");
    refuses("graft run --bios b --kernel k", "without --kernel");
    refuses("graft run --bios b --append a", "without --kernel");
    refuses("graft run --bios b --post-port 0", "1 to 65535");
}

static void modules(void)
{
    ok(parse("graft run --kernel k --module a --initrd i --module=b"), "modules");
    ok(options.module_count == 2 && !strcmp(options.modules[0], "a") && !strcmp(options.modules[1], "b"), "in their order");
    refuses("graft run --bios b --module a", "without --kernel");
    ok(parse("graft run --kernel k") && options.slow == 1, "the clock is not slowed down");
    ok(parse("graft run --kernel k --slow-clock 64") && options.slow == 64, "but if wanted");
    ok(options.engine == ENGINE_RECOMPILER, "which KVM would not heed");
    refuses("graft run --kernel k --slow-clock 0", "1 to 1000");
    refuses("graft run --kernel k --slow-clock 2 --engine kvm", "engine in software");
    ok(parse("graft run --kernel k --module 1 --module 2 --module 3 --module 4 --module 5 --module 6 --module 7 --module 8"), "eight");
    refuses("graft run --kernel k --module 1 --module 2 --module 3 --module 4 --module 5 --module 6 --module 7 --module 8 --module 9",
            "more than 8 times");
}

static void command(void)
{
    ok(parse("graft run --kernel k --trace exits,msr:f:g") && options.trace == (TRACE_EXITS | TRACE_MSR), "a trace");
    is_str(options.trace_file, "f:g", "and its file");
    ok(parse("graft run --kernel k --trace all") && !options.trace_file && options.trace == 31, "all of it");
    refuses("graft run --kernel k --trace all:", "file");
    refuses("graft run --kernel k --trace exits,,msr", "exits,,msr");
    ok(parse("graft run --kernel k --initrd i --exec reboot"), "a command");
    is_str(options.exec, "reboot", "exec");
    is_str(options.append, "console=ttyS0 quiet", "its command line");
    ok(parse("graft run --kernel k --initrd i --exec a --append b"), "another command line");
    is_str(options.append, "b", "stays as it is");
    refuses("graft run --kernel k --exec a", "--initrd");
    refuses("graft run --bios b --exec a", "--initrd");
}

static void commands(void)
{
    ok(parse("graft --help") && options.command == COMMAND_HELP, "--help");
    ok(parse("graft --version") && options.command == COMMAND_VERSION, "--version");
    ok(parse("graft run --help") && options.command == COMMAND_RUN_HELP, "run --help");
    refuses("graft", "command");
    refuses("graft walk", "'walk'");
    refuses("graft --version x", "alone");
}

static void wrong(void)
{
    refuses("graft run", "--kernel");
    refuses("graft run --kernel", "value");
    refuses("graft run --kernel k --kernel l", "twice");
    refuses("graft run --kernel k --kern l", "--kern");
    refuses("graft run --kernel k stray", "stray");
    refuses("graft run --kernel k --hpet=yes", "no value");
    refuses("graft run --kernel k --memory lots", "512M");
    refuses("graft run --kernel k --memory 15M", "16 MiB");
    refuses("graft run --kernel k --memory 1T", "512 GiB");
    refuses("graft run --kernel k --memory 16777217", "4 KiB");
    refuses("graft run --kernel k --cpus 0", "1 to 64");
    refuses("graft run --kernel k --cpus 65", "1 to 64");
    refuses("graft run --kernel k --cpus -1", "'-1'");
    refuses("graft run --kernel k --engine tcg", "auto, kvm, recompiler or interpreter");
    refuses("graft run --kernel k --on-reset stop", "restart or end");
    refuses("graft run --kernel k --debug-exit 65536", "1 to 65535");
    refuses("graft run --kernel k --timeout 1s", "number");
    refuses("graft run --kernel k --watchdog 99999999999999999999", "number");
}

int main(void)
{
    defaults();
    all();
    bios();
    modules();
    command();
    commands();
    wrong();
    return tap_done();
}
