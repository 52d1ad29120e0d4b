/* SPDX-License-Identifier: MIT */
/* graft: virtual machines as ordinary processes on Linux. */
#include "hosts/linux/command.h"
#include "hosts/linux/engines.h"
#include "hosts/linux/options.h"
#include "hosts/linux/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define VERSION "0.2"

/* A standard stream that we were started without must not become another file's number. */
static bool open_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

static int run(const struct options *options)
{
    char error[200];
    const struct engine_kind *engine = engines_choose(options->engine, error, sizeof(error));

    if (error[0] && (!engine || options->verbose || options->engine == ENGINE_KVM))
        fprintf(stderr, "graft: %s\n", error);
    if (!engine)
        return options->exec ? COMMAND_BROKEN : RUN_SETUP;
    return run_machine(options, engine);
}

/* Text that was asked for; a reader that has gone is an error. */
static int print(const char *text)
{
    return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? RUN_SETUP : 0;
}

int main(int argc, char **argv)
{
    struct options options;

    if (!open_streams())
        return RUN_SETUP;
    if (!options_parse(&options, argc, argv)) {
        fprintf(stderr, "graft: %s; see graft %s\n", options.error,
                argc > 1 && argv[1][0] == 'r' ? "run --help" : "--help");
        return RUN_USAGE;
    }
    switch (options.command) {
    case COMMAND_HELP:
        return print(options_usage);
    case COMMAND_RUN_HELP:
        return print(options_run_usage);
    case COMMAND_VERSION:
        return print("graft " VERSION "\n");
    case COMMAND_RUN:
        break;
    }
    return run(&options);
}
