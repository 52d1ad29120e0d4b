/* SPDX-License-Identifier: MIT */
/* Whole machines in processes of their own: console, input, every kind of end, the sandbox on. */
#include "hosts/linux/run.h"
#include "tests/linux/guest.h"
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct machine {
    pid_t process;
    int in, out, log;
};

static struct guest guest;
static const char *engine = "interpreter";

/* What `graft run` does with these words more. */
static int graft(const char *words)
{
    static struct options options;
    static char line[256];
    char error[200], *argv[16];
    int argc = 0;

    snprintf(line, sizeof(line), "graft run --memory=16M --engine=%s --kernel %s %s", engine,
             guest_file(&guest), words);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    if (!options_parse(&options, argc, argv))
        return RUN_USAGE;
    return run_machine(&options, engines_choose(options.engine, error, sizeof(error)));
}

/* The machine's process. input -1: through a pipe. */
static void begin(struct machine *machine, int input, const char *words)
{
    int in[2], out[2], log[2];

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(log, O_CLOEXEC) < 0)
        abort();
    machine->process = fork();
    if (machine->process == 0) {
        dup2(input >= 0 ? input : in[0], 0);
        dup2(out[1], 1);
        dup2(log[1], 2);
        close(in[1]);
        close(out[0]);
        _exit(graft(words));
    }
    close(in[0]);
    close(out[1]);
    close(log[1]);
    machine->in = in[1];
    machine->out = out[0];
    machine->log = log[0];
}

/* Its status; 1000 + signal. What it said is in `said`, of `size` bytes. */
static int end(struct machine *machine, char *said, size_t size)
{
    int status = 0;
    size_t used = 0;
    ssize_t n;

    while ((n = read(machine->log, said + used, size - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = 0;
    waitpid(machine->process, &status, 0);
    close(machine->in);
    close(machine->out);
    close(machine->log);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static char log_text[8192];

/* Runs the guest to its end without input; output into `text`. */
static int play(char *text, size_t size, const char *words)
{
    struct machine machine;
    size_t used = 0;
    ssize_t n;
    int status;

    begin(&machine, -1, words);
    while (used < size - 1 && (n = read(machine.out, text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
    status = end(&machine, log_text, sizeof(log_text));
    tap_note("%s", strtok(log_text, "\n") ? log_text : "nothing in the log");
    return status;
}

static void say(const char *text)
{
    for (; *text; text++)
        guest_out(&guest, 0x3f8, 1, (uint8_t)*text);
}

static void powers_off(void)
{
    char text[64];

    guest_begin(&guest);
    say("Hello");
    guest_power_off(&guest);
    is_u64((uint64_t)play(text, sizeof(text), ""), 0, "power-off: status 0");
    is_str(text, "Hello", "its console");
    is_u64((uint64_t)play(text, sizeof(text), "--cpus=4 --stats"), 0,
           "with four CPUs");
    is_u64((uint64_t)play(text, sizeof(text), "--verbose --no-sandbox"), 0,
           "without the sandbox");
}

static void other_ends(void)
{
    char text[64];

    guest_begin(&guest);
    guest_out(&guest, 0xf4, 1, 0x15);
    is_u64((uint64_t)play(text, sizeof(text), "--debug-exit=0xf4"), 0x2b,
           "debug exit: its value * 2 + 1");
    guest_begin(&guest);
    guest_out(&guest, 0xcf9, 1, 0x06);
    is_u64((uint64_t)play(text, sizeof(text), "--on-reset=end"), 102, "reset");
    guest_begin(&guest);
    guest_emit(&guest, "\x0f\x01\x1d\x29\x00\x10\x00\x0f\x0b\0\0\0\0\0\0", 15); // LIDT; UD2; zeros
    is_u64((uint64_t)play(text, sizeof(text), ""), 104, "triple fault");
    guest_begin(&guest);
    guest_jump(&guest, 0xeb, 0);
    is_u64((uint64_t)play(text, sizeof(text), "--timeout=1"), 124, "time-out");
    guest.header[0] = 0;
    is_u64((uint64_t)play(text, sizeof(text), ""), 1, "no kernel: status 1");
    is_u64((uint64_t)play(text, sizeof(text), "--initrd=/nowhere"), 1, "no initrd");
    is_u64((uint64_t)play(text, sizeof(text), "--module=/nowhere"), 1, "no module");
}

/* MOV dword [address], value */
static void store(uint32_t address, uint32_t value)
{
    uint8_t code[10] = {0xc7, 0x05};

    memcpy(code + 2, &address, 4);
    memcpy(code + 6, &value, 4);
    guest_emit(&guest, code, sizeof(code));
}

/* The first CPU starts the second, in real mode at 8000h, and waits for what it stores at 9000h. */
static void starts_another(void)
{
    char text[64];

    guest_begin(&guest);
    store(0x8000, 0x900006c6);     // MOV byte [9000h], 1; HLT; JMP back
    store(0x8004, 0xfdebf401);
    store(0xfee000f0, 0x1ff);      // local APIC: on
    store(0xfee00310, 1u << 24);
    store(0xfee00300, 0x4500);     // INIT
    store(0xfee00300, 0x4608);     // start at 8000h
    guest_emit(&guest, "\x80\x3d\x00\x90\x00\x00\x01\x75\xf7", 9); // CMP; JNE back
    guest_power_off(&guest);
    is_u64((uint64_t)play(text, sizeof(text), "--cpus=2 --timeout=20"), 0,
           "one CPU starts another and sees it store");
}

static void killed(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    for (unsigned i = 0; i < 3; i++) {
        struct machine machine;
        char byte;

        guest_begin(&guest);
        say("x");
        begin(&machine, -1, "");
        ok(read(machine.out, &byte, 1) == 1, "a guest that halts for good");
        kill(machine.process, numbers[i]);
        is_u64((uint64_t)end(&machine, log_text, sizeof(log_text)), 107, "a signal stops it");
    }
}

/* A guest that sends back what it gets, and ends with an 'q'. */
static void make_echo(void)
{
    guest_begin(&guest);
    guest_receive(&guest);
    guest_send(&guest);
    guest_emit(&guest, "\x80\xfc" "q", 3); // CMP AH, 'q'
    guest_jump(&guest, 0x75, 0);           // JNZ
    guest_power_off(&guest);
}

static void fill(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('A' + i * 7 % 25);
    text[size - 1] = 'q';
}

static size_t read_all(int fd, char *text, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while (used < size && (n = read(fd, text + used, size - used)) > 0)
        used += (size_t)n;
    return used;
}

static void input(bool from_file)
{
    const char *kind = from_file ? "a file" : "a pipe";
    static char sent[20001], got[sizeof(sent) + 1];
    struct machine machine;
    FILE *file = tmpfile();

    make_echo();
    fill(sent, sizeof(sent));
    if (fwrite(sent, 1, sizeof(sent), file) != sizeof(sent) || fflush(file) || fseek(file, 0, 0))
        abort();
    begin(&machine, from_file ? fileno(file) : -1, "");
    if (!from_file && write(machine.in, sent, sizeof(sent)) != sizeof(sent))
        abort();
    close(machine.in);
    machine.in = -1;
    is_u64(read_all(machine.out, got, sizeof(got)), sizeof(sent), "as many bytes back as sent");
    ok(memcmp(sent, got, sizeof(sent)) == 0, "from %s: the same ones", kind);
    is_u64((uint64_t)end(&machine, log_text, sizeof(log_text)), 0, "and the guest's end");
    fclose(file);
}

/* A guest that writes without end; whoever reads it goes away. */
static void reader_goes(void)
{
    struct machine machine;
    char byte;

    guest_begin(&guest);
    guest_send(&guest);
    guest_jump(&guest, 0xeb, 0);
    begin(&machine, -1, "");
    ok(read(machine.out, &byte, 1) == 1, "a guest that writes for ever");
    close(machine.out);
    machine.out = -1;
    is_u64((uint64_t)end(&machine, log_text, sizeof(log_text)), 107, "ends when nobody reads it");
    ok(strstr(log_text, "nobody reads"), "and says why");
}

/* A reader that reads nothing for a while stops the guest's output, and neither timers nor end. */
static void reader_sleeps(void)
{
    static const struct timespec moment = {0, 300000000};
    struct machine machine;

    guest_begin(&guest);
    guest_send(&guest);
    guest_jump(&guest, 0xeb, 0);
    begin(&machine, -1, "");
    nanosleep(&moment, NULL);
    kill(machine.process, SIGTERM);
    nanosleep(&moment, NULL);
    kill(machine.process, SIGTERM); // no patience for the rest of the output
    is_u64((uint64_t)end(&machine, log_text, sizeof(log_text)), 107, "a full pipe holds nobody up");
}

/* The escape key on a terminal, behind more keys than the guest takes. */
static void escapes(void)
{
    struct termios before, after;
    struct machine machine;
    char byte, keys[1000];
    int master, slave;

    guest_begin(&guest);
    say("x");
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0 || tcgetattr(slave, &before) < 0)
        abort();
    begin(&machine, slave, "");
    ok(read(machine.out, &byte, 1) == 1, "a guest that does not look at its keyboard");
    memset(keys, 'k', sizeof(keys));
    ok(write(master, keys, sizeof(keys)) == sizeof(keys) && write(master, "\001h\001x", 4) == 4,
       "many keys, then Ctrl-A h and Ctrl-A x");
    is_u64((uint64_t)end(&machine, log_text, sizeof(log_text)), 107, "ends it");
    ok(strstr(log_text, "Ctrl-A p presses"), "after the help");
    ok(tcgetattr(slave, &after) == 0 && after.c_lflag == before.c_lflag &&
       after.c_oflag == before.c_oflag, "the terminal is as before");
    close(master);
    close(slave);
}

/* The engine may be named. */
int main(int argc, char **argv)
{
    if (argc > 1)
        engine = argv[1];
    signal(SIGPIPE, SIG_IGN);
    powers_off();
    other_ends();
    starts_another();
    killed();
    input(false);
    input(true);
    escapes();
    reader_goes();
    reader_sleeps();
    return tap_done();
}
