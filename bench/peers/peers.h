/* SPDX-License-Identifier: MIT */
/*
 * A row of the benchmark: one kind of work, done a number of times. Every run of a row does the same and returns the same
 * checksum, which is compared with the one written here, so a wrong result anywhere is an error and not a time.
 */
#ifndef BENCH_PEERS_PEERS_H
#define BENCH_PEERS_PEERS_H

#include <stddef.h>
#include <stdint.h>

struct row {
    const char *name;
    unsigned runs;               // for about 50 ms natively
    unsigned operations;         // in each run: times are printed for one operation
    uint64_t expected;           // what run() returns
    uint64_t (*run)(void *memory);
    size_t memory;               // bytes of touched memory, cleared, that run() gets; 0: NULL
    void (*prepare)(void *memory); // before the first run, not timed; may be NULL
};

/* Each table ends with a row without name. */
extern const struct row integer_rows[], float_rows[], memory_rows[], text_rows[], system_rows[], thread_rows[];

#define ROW_FAILED 0xbadbadbadbadu // returned by run() where something of the system did not work

/* The path of this program, for the row that executes it. With the argument "nothing" it ends with status NOTHING_STATUS. */
extern const char *program_path;
#define NOTHING_STATUS 42

/* Not inlined, nor specialised for its arguments. */
#if defined(__has_attribute) && __has_attribute(noipa)
#define ROW_CALL __attribute__((noipa))
#else
#define ROW_CALL __attribute__((noinline))
#endif

#endif
