/* SPDX-License-Identifier: MIT */
/*
 * The command line of `graft`.
 *
 * Both `--name VALUE` and `--name=VALUE`. Texts point into argv. An unknown option, a value out of
 * its range and an option given twice (but --module) are errors: a misspelt limit must not become
 * no limit.
 */
#ifndef HOSTS_LINUX_OPTIONS_H
#define HOSTS_LINUX_OPTIONS_H

#include "vmm/vm.h"

#include <stdbool.h>
#include <stdint.h>

enum options_command { COMMAND_RUN, COMMAND_HELP, COMMAND_RUN_HELP, COMMAND_VERSION };
enum options_engine { ENGINE_AUTO, ENGINE_KVM, ENGINE_RECOMPILER, ENGINE_INTERPRETER };

struct options {
    enum options_command command;
    const char *kernel;       // NULL: bios is there
    const char *bios;         // NULL: kernel is there
    const char *initrd;       // NULL: none
    const char *modules[VM_MODULES_MAX]; // a path each, and words behind a space
    unsigned module_count;
    const char *append;       // NULL: no command line
    const char *exec;         // NULL: no command for the guest's init
    uint64_t memory;          // bytes, a multiple of 4 KiB
    uint32_t cpus;
    enum options_engine engine;
    uint32_t watchdog_ms;     // 0: none
    uint32_t timeout_s;       // 0: none
    uint32_t slow;            // by how much the guest's clock is slowed down; 1: not at all
    uint32_t trace;           // TRACE_* (vmm/trace.h); 0: none
    const char *record, *replay; // files; NULL: neither
    const char *trace_file;   // NULL: standard error
    uint16_t debug_exit;      // port; 0: none
    uint16_t post_port;       // 0: the usual one
    bool hpet, end_on_reset, stats, verbose, no_sandbox, lockstep, test_device;
    uint32_t given;           // the parser's: which options were there
    char error[256];
};

/* False: `error` says what is wrong, what was expected and what came. */
bool options_parse(struct options *options, int argc,
                   char *const *argv) __attribute__((warn_unused_result));

extern const char options_usage[];     // graft --help
extern const char options_run_usage[]; // graft run --help

#endif
