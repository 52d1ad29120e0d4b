/* SPDX-License-Identifier: MIT */
/* One machine, from its options to its end. */
#ifndef HOSTS_LINUX_RUN_H
#define HOSTS_LINUX_RUN_H

#include "hosts/linux/engines.h"
#include "hosts/linux/options.h"

/* Exit statuses beside those of vm_end_status() (options_run_usage). */
#define RUN_SETUP   1
#define RUN_USAGE   2
#define RUN_TIMEOUT 124

/*
 * Runs the machine on standard input and output, in the sandbox. Returns the exit status. Once a
 * process: afterwards it can do little but end.
 */
int run_machine(const struct options *options, const struct engine_kind *engine);

#endif
