/* SPDX-License-Identifier: MIT */
/*
 * A command for the guest's init (tools/guest/init, --exec): on its way in a cpio archive behind
 * the initrd, and its output and status on their way back, framed on the console
 * (hosts/linux/frames.h).
 *
 * What the console says is the guest's word and may be anything: it can choose output and status,
 * nothing else. Set up before any thread is started; command_take() by the console's writer.
 */
#ifndef HOSTS_LINUX_COMMAND_H
#define HOSTS_LINUX_COMMAND_H

#include "hosts/linux/frames.h"
#include "hosts/linux/image.h"
#include "vmm/vm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_BROKEN 125 // exit status: the command was not run to its end
#define COMMAND_TAIL   8192u

struct host;

struct command {
    struct host *host;
    struct frames frames;
    bool show;    // the console goes to standard error
    bool lost;    // nobody reads standard output any more
    _Atomic uint32_t over;
    size_t tail_used;
    char tail[COMMAND_TAIL]; // what the console said last
};

/*
 * Begins a command with a random name for its frames, and puts an archive with its text (of any
 * length) behind the initrd. False: no memory or no random bytes.
 */
bool command_init(struct command *command, struct host *host, const char *text, bool show,
                  struct image *initrd) __attribute__((warn_unused_result));

/* Takes what the console says (context: the command). False: nobody reads the output any more. */
bool command_take(void *context, const uint8_t *bytes, size_t n);

/* After the end and the last command_take(): the exit status; says why if there is none. */
int command_status(struct command *command);

#endif
