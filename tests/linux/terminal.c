/* SPDX-License-Identifier: MIT */
/* The terminal is raw while it should be, and as before after every kind of end. */
#include "hosts/linux/terminal.h"
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int master, slave;
static struct termios before;

static bool is_raw(void)
{
    struct termios now;

    return tcgetattr(slave, &now) == 0 && !(now.c_lflag & (ICANON | ECHO | ISIG));
}

static bool is_as_before(void)
{
    struct termios now;

    return tcgetattr(slave, &now) == 0 && now.c_lflag == before.c_lflag &&
           now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag &&
           memcmp(now.c_cc, before.c_cc, sizeof(now.c_cc)) == 0;
}

/* The keeper needs a moment. */
static bool comes_back(void)
{
    static const struct timespec moment = {0, 10000000};

    for (unsigned i = 0; i < 500 && !is_as_before(); i++)
        nanosleep(&moment, NULL);
    return is_as_before();
}

/* A process that makes the terminal raw and then waits to be killed, or ends in its own way. */
static pid_t start(int number)
{
    struct terminal terminal;
    int ready[2];
    char c;
    pid_t child;

    if (pipe(ready) < 0 || (child = fork()) < 0)
        return -1;
    if (child == 0) {
        if (!terminal_start(&terminal, slave) || write(ready[1], "", 1) != 1)
            _exit(1);
        if (number == 0)
            _exit(0);
        signal(number, SIG_DFL);
        raise(number);
        pause();
        _exit(2);
    }
    if (read(ready[0], &c, 1) != 1)
        child = -1;
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void ends(int number, const char *name)
{
    pid_t child = start(number);
    int status = 0;

    ok(child > 0, "%s: started", name);
    waitpid(child, &status, 0);
    ok(number ? WIFSIGNALED(status) && WTERMSIG(status) == number : WIFEXITED(status),
       "%s: ended by it", name);
    ok(comes_back(), "%s: the terminal is as before", name);
}

int main(void)
{
    struct terminal terminal;
    int null = open("/dev/null", O_RDWR);

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0 || tcgetattr(slave, &before) < 0)
        return 1;
    ok(terminal_start(&terminal, null) && !terminal.raw && terminal.keeper < 0,
       "what is no terminal is left alone");
    terminal_stop(&terminal);

    ok(terminal_start(&terminal, slave) && is_raw(), "raw");
    terminal_restore(&terminal);
    ok(is_as_before(), "restored for a stop");
    terminal_raw(&terminal);
    ok(is_raw(), "raw again");
    terminal_stop(&terminal);
    ok(is_as_before(), "as before at the end");
    terminal_raw(&terminal);
    ok(is_as_before(), "and for good");

    ends(SIGKILL, "SIGKILL");
    ends(SIGSEGV, "SIGSEGV");
    ends(SIGSYS, "SIGSYS, as the sandbox kills");
    ends(SIGABRT, "SIGABRT");
    ends(0, "exit without a word");
    close(master);
    close(slave);
    close(null);
    return tap_done();
}
