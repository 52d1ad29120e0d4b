/* SPDX-License-Identifier: MIT */
/* The 8042 keyboard controller, its keyboard and its mouse. */
#include "vmm/devices/i8042.h"

enum { KEYBOARD = 0, MOUSE = 1 };

#define STATUS_OBF  0x01u
#define STATUS_SYS  0x04u
#define STATUS_CMD  0x08u
#define STATUS_KEYLOCK 0x10u // not locked
#define STATUS_AUX  0x20u
#define CONFIG_SYS  0x04u
#define CONFIG_TRANSLATE 0x40u
#define OUTPUT_RESET 0x01u   // high: not in reset
#define OUTPUT_A20  0x02u

#define ACK    0xfau
#define RESEND 0xfeu

#define FIELD(member, value) DEVICE_FIELD(struct i8042, member, value)
static const struct device_field fields[] = {
    FIELD(config, 0x65), FIELD(status, STATUS_SYS | STATUS_KEYLOCK), FIELD(output, 0),
    FIELD(output_port, 0xcf), FIELD(expects, 0), DEVICE_ARRAY(struct i8042, ram, 32, 0),
    {"port", offsetof(struct i8042, port), 1, 2 * sizeof(struct i8042_port), 0, false},
};

static void set_defaults(struct i8042_port *port)
{
    port->enabled = 0;
    port->rate = 100;
    port->resolution = 2;
    port->scaling = 0;
    port->scan_set = 2;
}

static uint8_t disable_bit(unsigned which)
{
    return which == MOUSE ? 0x20 : 0x10;
}

static void update_irq(struct i8042 *kbc)
{
    bool full = kbc->status & STATUS_OBF;
    bool aux = kbc->status & STATUS_AUX;

    irq_set(&kbc->irq[KEYBOARD], full && !aux && (kbc->config & 1));
    irq_set(&kbc->irq[MOUSE], full && aux && (kbc->config & 2));
}

static void set_output(struct i8042 *kbc, uint8_t byte, bool aux)
{
    kbc->output = byte;
    kbc->status = (uint8_t)((kbc->status & ~STATUS_AUX) | STATUS_OBF | (aux ? STATUS_AUX : 0));
    update_irq(kbc);
}

/* Translation of what a keyboard says outside scan codes: only its identifier changes. */
static uint8_t translate(const struct i8042 *kbc, uint8_t byte)
{
    return (kbc->config & CONFIG_TRANSLATE) && byte == 0x83 ? 0x41 : byte;
}

/* Moves a byte that waits at a port into the output buffer, if that is free. */
static void pump(struct i8042 *kbc)
{
    for (unsigned which = KEYBOARD; which <= MOUSE && !(kbc->status & STATUS_OBF); which++) {
        struct i8042_port *port = &kbc->port[which];
        uint8_t byte;

        if (!port->count || (kbc->config & disable_bit(which)))
            continue;
        byte = port->queue[port->first % I8042_QUEUE];
        port->first = (uint8_t)((port->first + 1) % I8042_QUEUE);
        port->count--;
        set_output(kbc, which == KEYBOARD ? translate(kbc, byte) : byte, which == MOUSE);
    }
}

static void say(struct i8042_port *port, uint8_t byte)
{
    if (port->count == I8042_QUEUE)
        return;
    port->queue[(port->first + port->count) % I8042_QUEUE] = byte;
    port->count++;
    port->last = byte;
}

static void flush(struct i8042_port *port)
{
    port->first = 0;
    port->count = 0;
}

static void keyboard_argument(struct i8042_port *port, uint8_t command, uint8_t value)
{
    say(port, ACK);
    if (command == 0xed)
        port->leds = value & 7;
    else if (command == 0xf0 && value == 0)
        say(port, port->scan_set);
    else if (command == 0xf0 && value <= 3)
        port->scan_set = value;
}

static void keyboard_command(struct i8042_port *port, uint8_t byte)
{
    if (port->argument && byte < 0xed) {
        uint8_t command = port->argument;

        port->argument = 0;
        keyboard_argument(port, command, byte);
        return;
    }
    port->argument = 0;
    switch (byte) {
    case 0xed: // LEDs
    case 0xf0: // scan code set
    case 0xf3: // repeat rate
        port->argument = byte;
        say(port, ACK);
        break;
    case 0xee: // echo
        say(port, 0xee);
        break;
    case 0xf2: // identify: MF2 keyboard
        say(port, ACK);
        say(port, 0xab);
        say(port, 0x83);
        break;
    case 0xf4: // enable
        port->enabled = 1;
        say(port, ACK);
        break;
    case 0xf5: // defaults and disable
    case 0xf6: // defaults
        set_defaults(port);
        port->enabled = byte == 0xf6;
        say(port, ACK);
        break;
    case 0xfe:
        say(port, port->last);
        break;
    case 0xff: // reset and self test
        flush(port);
        set_defaults(port);
        port->enabled = 1;
        say(port, ACK);
        say(port, 0xaa);
        break;
    default:
        say(port, RESEND);
        break;
    }
}

static void mouse_status(struct i8042_port *port)
{
    say(port, ACK);
    say(port, (uint8_t)(port->enabled << 5 | port->scaling << 4));
    say(port, port->resolution);
    say(port, port->rate);
}

static void mouse_command(struct i8042_port *port, uint8_t byte)
{
    if (port->argument) {
        if (port->argument == 0xf3)
            port->rate = byte;
        else
            port->resolution = byte & 3;
        port->argument = 0;
        say(port, ACK);
        return;
    }
    switch (byte) {
    case 0xe6: // scaling 1:1
    case 0xe7: // scaling 2:1
        port->scaling = byte & 1;
        say(port, ACK);
        break;
    case 0xe8: // resolution
    case 0xf3: // sample rate
        port->argument = byte;
        say(port, ACK);
        break;
    case 0xe9:
        mouse_status(port);
        break;
    case 0xeb: // read data: nothing has moved
        say(port, ACK);
        say(port, 0x08);
        say(port, 0);
        say(port, 0);
        break;
    case 0xea: // stream mode
    case 0xec: // leave wrap mode
    case 0xf0: // remote mode
        say(port, ACK);
        break;
    case 0xf2: // identify: standard mouse
        say(port, ACK);
        say(port, 0x00);
        break;
    case 0xf4:
    case 0xf5:
        port->enabled = byte == 0xf4;
        say(port, ACK);
        break;
    case 0xf6:
        set_defaults(port);
        say(port, ACK);
        break;
    case 0xfe:
        say(port, port->last);
        break;
    case 0xff:
        flush(port);
        set_defaults(port);
        say(port, ACK);
        say(port, 0xaa);
        say(port, 0x00);
        break;
    default:
        say(port, RESEND);
        break;
    }
}

/* The machine is told of the A20 gate. */
static void tell_gate(struct i8042 *kbc)
{
    if (kbc->gate)
        kbc->gate(kbc->context, kbc->output_port & OUTPUT_A20);
}

static void set_output_port(struct i8042 *kbc, uint8_t value)
{
    bool changes = (value ^ kbc->output_port) & OUTPUT_A20;

    kbc->output_port = value;
    if (changes)
        tell_gate(kbc);
}

static void write_output_port(struct i8042 *kbc, uint8_t value)
{
    set_output_port(kbc, value);
    if (!(value & OUTPUT_RESET))
        kbc->reset(kbc->context);
}

/* Data for a command that the controller got before. */
static void command_data(struct i8042 *kbc, uint8_t command, uint8_t byte)
{
    switch (command) {
    case 0xd1: write_output_port(kbc, byte); break;
    case 0xd2: set_output(kbc, byte, false); break;
    case 0xd3: set_output(kbc, byte, true); break;
    case 0xd4: mouse_command(&kbc->port[MOUSE], byte); break;
    default:   // 60h to 7fh: write controller memory
        if (command == 0x60) {
            kbc->config = byte;
            kbc->status = (uint8_t)((kbc->status & ~STATUS_SYS) | (byte & CONFIG_SYS));
        }
        kbc->ram[command & 0x1f] = byte;
        update_irq(kbc);
        break;
    }
}

static void write_command(struct i8042 *kbc, uint8_t byte)
{
    kbc->expects = 0;
    if (byte >= 0x20 && byte < 0x40) {
        set_output(kbc, byte == 0x20 ? kbc->config : kbc->ram[byte & 0x1f], false);
        return;
    }
    if ((byte >= 0x60 && byte < 0x80) || (byte >= 0xd1 && byte <= 0xd4)) {
        kbc->expects = byte;
        return;
    }
    switch (byte) {
    case 0xa7: kbc->config |= disable_bit(MOUSE); break;
    case 0xa8: kbc->config &= (uint8_t)~disable_bit(MOUSE); break;
    case 0xa9: set_output(kbc, 0x00, false); break; // mouse interface test
    case 0xaa: // self test
        kbc->status |= STATUS_SYS;
        kbc->config |= CONFIG_SYS;
        set_output(kbc, 0x55, false);
        break;
    case 0xab: set_output(kbc, 0x00, false); break; // keyboard interface test
    case 0xad: kbc->config |= disable_bit(KEYBOARD); break;
    case 0xae: kbc->config &= (uint8_t)~disable_bit(KEYBOARD); break;
    case 0xc0: set_output(kbc, 0x80, false); break; // input port: keyboard not locked
    case 0xd0: set_output(kbc, kbc->output_port, false); break;
    case 0xdd: i8042_set_a20(kbc, false); break;
    case 0xdf: i8042_set_a20(kbc, true); break;
    case 0xe0: set_output(kbc, 0x00, false); break; // test inputs
    default:
        if (byte >= 0xf0 && !(byte & OUTPUT_RESET))
            kbc->reset(kbc->context); // pulses output bit 0
        break;
    }
}

static void write_data(struct i8042 *kbc, uint8_t byte)
{
    uint8_t command = kbc->expects;

    kbc->expects = 0;
    if (command) {
        command_data(kbc, command, byte);
        return;
    }
    kbc->config &= (uint8_t)~disable_bit(KEYBOARD); // writing to the keyboard enables it
    keyboard_command(&kbc->port[KEYBOARD], byte);
}

static void kbc_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *kbc = device;

    (void)offset;
    (void)size;
    kbc->status &= (uint8_t)~STATUS_CMD;
    write_data(kbc, (uint8_t)value);
    pump(kbc);
}

static uint64_t kbc_read(void *device, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = device;
    uint8_t byte = kbc->output;

    (void)offset;
    (void)size;
    kbc->status &= (uint8_t)~(STATUS_OBF | STATUS_AUX);
    update_irq(kbc);
    pump(kbc);
    return byte;
}

static void command_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *kbc = device;

    (void)offset;
    (void)size;
    kbc->status |= STATUS_CMD;
    write_command(kbc, (uint8_t)value);
    pump(kbc);
}

static uint64_t status_read(void *device, uint64_t offset, unsigned size)
{
    const struct i8042 *kbc = device;

    (void)offset;
    (void)size;
    return kbc->status;
}

void i8042_set_a20(struct i8042 *kbc, bool on)
{
    set_output_port(kbc, (uint8_t)((kbc->output_port & ~OUTPUT_A20) | (on ? OUTPUT_A20 : 0)));
}

bool i8042_a20(const struct i8042 *kbc)
{
    return kbc->output_port & OUTPUT_A20;
}

static void reset(void *device)
{
    struct i8042 *kbc = device;

    set_defaults(&kbc->port[KEYBOARD]);
    set_defaults(&kbc->port[MOUSE]);
    update_irq(kbc);
    tell_gate(kbc);
}

static enum vmm_status loaded(void *device)
{
    struct i8042 *kbc = device;

    for (unsigned i = 0; i < 2; i++)
        if (kbc->port[i].count > I8042_QUEUE || kbc->port[i].first >= I8042_QUEUE)
            return VMM_BAD_IMAGE;
    update_irq(kbc);
    tell_gate(kbc);
    return VMM_OK;
}

static const struct device_class i8042_class = {
    .name = "i8042", .version = 1, DEVICE_TABLE(fields), .reset = reset, .loaded = loaded,
};

enum vmm_status i8042_init(struct i8042 *kbc, struct port_bus *ports, struct host_mutex *lock,
                           struct irq_hub *hub, void (*reset_machine)(void *context), void *context)
{
    enum vmm_status status;

    kbc->device.class = &i8042_class;
    kbc->reset = reset_machine;
    kbc->context = context;
    if (!irq_connect(hub, &kbc->irq[KEYBOARD], 1) || !irq_connect(hub, &kbc->irq[MOUSE], 12))
        return VMM_NO_MEMORY;
    device_reset(&kbc->device);
    kbc->data_range = (struct bus_range){"i8042", 0x60, 1, 1, lock, kbc_read, kbc_write, kbc};
    kbc->command_range = (struct bus_range){
        "i8042", 0x64, 1, 1, lock, status_read, command_write, kbc,
    };
    status = port_bus_add(ports, &kbc->data_range);
    return status == VMM_OK ? port_bus_add(ports, &kbc->command_range) : status;
}
