/* SPDX-License-Identifier: MIT */
/* The small ports of a PC's board. */
#include "vmm/devices/board.h"

#include "lib/format.h"

static const struct device_field fields[] = {
    DEVICE_FIELD(struct board, post, 0), DEVICE_FIELD(struct board, fast_reset, 0),
};

static const struct device_class board_class = {
    .name = "board", .version = 1, DEVICE_TABLE(fields),
};

static uint64_t post_read(void *device, uint64_t offset, unsigned size)
{
    const struct board *board = device;

    (void)offset;
    (void)size;
    return board->post;
}

static void post_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct board *board = device;

    (void)offset;
    (void)size;
    if (board->log_post && board->post != (uint8_t)value) {
        char line[24];

        format_string(line, sizeof(line), "post: %02x", (unsigned)value & 0xff);
        host_log(board->host, line);
    }
    board->post = (uint8_t)value;
}

static uint64_t control_read(void *device, uint64_t offset, unsigned size)
{
    const struct board *board = device;

    (void)offset;
    (void)size;
    return (uint64_t)i8042_a20(board->kbc) << 1 | board->fast_reset;
}

static void control_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct board *board = device;
    bool rises = (value & 1) && !board->fast_reset;

    (void)offset;
    (void)size;
    board->fast_reset = value & 1;
    i8042_set_a20(board->kbc, value & 2);
    if (rises)
        board->reset(board->context);
}

/* Reading E9h tells a guest that the console is there. What the host cannot take is lost. */
static uint64_t debug_read(void *device, uint64_t offset, unsigned size)
{
    (void)device;
    (void)offset;
    (void)size;
    return 0xe9;
}

static void debug_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct board *board = device;
    uint8_t byte = (uint8_t)value;

    (void)offset;
    (void)size;
    (void)host_console_write(board->host, HOST_CONSOLE_DEBUG, &byte, 1);
}

static void exit_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct board *board = device;

    (void)size;
    if (offset == 0)
        board->debug_exit(board->context, (uint32_t)value);
}

enum vmm_status board_init(struct board *board, struct port_bus *ports, struct host_mutex *lock,
                           struct host *host, uint16_t exit_port)
{
    struct bus_range *ranges[] = {
        &board->post_range, &board->control_range, &board->debug_range[0], &board->debug_range[1],
        &board->exit_range,
    };
    enum vmm_status status = VMM_OK;

    board->device.class = &board_class;
    board->host = host;
    device_reset(&board->device);
    board->post_range = (struct bus_range){"post", 0x80, 1, 1, NULL, post_read, post_write, board};
    if (board->post_port)
        board->post_range.first = board->post_port;
    board->control_range = (struct bus_range){
        "port 92", 0x92, 1, 1, lock, control_read, control_write, board,
    };
    board->debug_range[0] = (struct bus_range){
        "debug", 0x402, 1, 1, NULL, debug_read, debug_write, board,
    };
    board->debug_range[1] = board->debug_range[0];
    board->debug_range[1].first = 0xe9;
    board->exit_range = (struct bus_range){
        "debug exit", exit_port, 4, 4, lock, NULL, exit_write, board,
    };
    for (unsigned i = 0; i < (exit_port ? 5u : 4u) && status == VMM_OK; i++)
        status = port_bus_add(ports, ranges[i]);
    return status;
}
