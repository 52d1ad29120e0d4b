/* SPDX-License-Identifier: MIT */
/* The 16550A serial port. */
#include "vmm/devices/uart.h"

#include "lib/string.h"

enum { RBR_THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

#define IER_RX    0x01u
#define IER_TX    0x02u
#define IER_LINE  0x04u
#define IER_MODEM 0x08u
#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_CLEAR_TX 0x04u
#define LCR_DLAB  0x80u
#define MCR_DTR   0x01u
#define MCR_RTS   0x02u
#define MCR_OUT1  0x04u
#define MCR_OUT2  0x08u
#define MCR_LOOP  0x10u
#define LSR_DR    0x01u
#define LSR_OE    0x02u
#define LSR_ERRORS 0x1eu
#define LSR_THRE  0x20u
#define LSR_TEMT  0x40u
#define MSR_CTS   0x10u
#define MSR_DSR   0x20u
#define MSR_RI    0x40u
#define MSR_DCD   0x80u

#define IIR_NONE    0x01u
#define IIR_MODEM   0x00u
#define IIR_TX      0x02u
#define IIR_RX      0x04u
#define IIR_LINE    0x06u
#define IIR_TIMEOUT 0x0cu

#define INPUT_HZ 115200u // 1.8432 MHz / 16

#define FIELD(member, value) DEVICE_FIELD(struct uart, member, value)
static const struct device_field fields[] = {
    FIELD(ier, 0), FIELD(fcr, 0), FIELD(lcr, 0), FIELD(mcr, 0), FIELD(lsr, LSR_THRE | LSR_TEMT),
    FIELD(msr, MSR_CTS | MSR_DSR | MSR_DCD), FIELD(scr, 0), FIELD(divisor, 12),
    FIELD(thre_pending, 0), FIELD(timeout_pending, 0),
    DEVICE_ARRAY(struct uart, rx, UART_FIFO, 0), FIELD(rx_first, 0), FIELD(rx_count, 0),
    DEVICE_ARRAY(struct uart, tx, UART_FIFO, 0), FIELD(tx_count, 0),
};

static uint8_t identify(const struct uart *uart)
{
    static const uint8_t triggers[4] = {1, 4, 8, 14};
    uint8_t trigger = uart->fcr & FCR_ENABLE ? triggers[uart->fcr >> 6] : 1;

    if ((uart->ier & IER_LINE) && (uart->lsr & LSR_ERRORS))
        return IIR_LINE;
    if ((uart->ier & IER_RX) && uart->rx_count >= trigger)
        return IIR_RX;
    if ((uart->ier & IER_RX) && uart->timeout_pending)
        return IIR_TIMEOUT;
    if ((uart->ier & IER_TX) && uart->thre_pending)
        return IIR_TX;
    if ((uart->ier & IER_MODEM) && (uart->msr & 0x0f))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update(struct uart *uart)
{
    bool connected = (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    irq_set(&uart->irq, connected && identify(uart) != IIR_NONE);
}

static unsigned room(const struct uart *uart)
{
    return (uart->fcr & FCR_ENABLE ? UART_FIFO : 1) - uart->rx_count;
}

/*
 * Four characters of start bit, data, parity and stop bits without a read or a new byte (data
 * sheet 8.6.1).
 */
static void start_timeout(struct uart *uart)
{
    unsigned bits = 1 + 5 + (uart->lcr & 3) + ((uart->lcr >> 3) & 1) + 1 + ((uart->lcr >> 2) & 1);
    uint64_t divisor = uart->divisor ? uart->divisor : 0x10000;

    uart->timeout_pending = 0;
    if (!(uart->fcr & FCR_ENABLE) || !uart->rx_count) {
        if (clock_timer_deadline(uart->clock, &uart->timeout) != CLOCK_NEVER)
            clock_timer_set(uart->clock, &uart->timeout, CLOCK_NEVER);
        return;
    }
    clock_timer_set(uart->clock, &uart->timeout, clock_now(uart->clock) +
                    clock_from_count(uart->clock, 4 * bits * divisor, INPUT_HZ));
}

static void timed_out(void *device)
{
    struct uart *uart = device;

    if (clock_timer_deadline(uart->clock, &uart->timeout) != CLOCK_NEVER || !uart->rx_count)
        return;
    uart->timeout_pending = 1;
    update(uart);
}

static void receive(struct uart *uart, uint8_t byte)
{
    if (!room(uart)) {
        uart->lsr |= LSR_OE;
        if (!(uart->fcr & FCR_ENABLE))
            uart->rx[uart->rx_first] = byte; // the register is overwritten, a FIFO is not
        return;
    }
    uart->rx[(uart->rx_first + uart->rx_count) % UART_FIFO] = byte;
    uart->rx_count++;
    uart->lsr |= LSR_DR;
}

size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t n)
{
    size_t taken = 0;

    if (!(uart->mcr & MCR_LOOP))
        while (taken < n && room(uart))
            receive(uart, bytes[taken++]);
    if (taken) {
        start_timeout(uart);
        update(uart);
    }
    uart->refused = taken < n;
    return taken;
}

static void offer_room(struct uart *uart)
{
    if (!uart->refused || !room(uart) || (uart->mcr & MCR_LOOP))
        return;
    uart->refused = 0;
    host_console_resume(uart->host, uart->console);
}

static void transmitter_empty(struct uart *uart)
{
    uart->lsr |= LSR_THRE | LSR_TEMT;
    uart->thre_pending = 1;
}

void uart_ready(struct uart *uart)
{
    size_t taken;

    if (!uart->tx_count)
        return;
    taken = host_console_write(uart->host, uart->console, uart->tx, uart->tx_count);
    if (taken > uart->tx_count)
        taken = uart->tx_count;
    memmove(uart->tx, uart->tx + taken, uart->tx_count - taken);
    uart->tx_count -= (uint8_t)taken;
    if (!uart->tx_count)
        transmitter_empty(uart);
    update(uart);
}

static void transmit(struct uart *uart, uint8_t byte)
{
    unsigned size = uart->fcr & FCR_ENABLE ? UART_FIFO : 1;

    uart->thre_pending = 0;
    if (uart->mcr & MCR_LOOP) {
        receive(uart, byte);
        start_timeout(uart);
        transmitter_empty(uart);
        return;
    }
    if (!uart->tx_count && host_console_write(uart->host, uart->console, &byte, 1) == 1) {
        transmitter_empty(uart);
        return;
    }
    if (uart->tx_count < size)
        uart->tx[uart->tx_count++] = byte;
    uart->lsr &= (uint8_t)~(LSR_THRE | LSR_TEMT);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    if ((value ^ uart->fcr) & FCR_ENABLE)
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    if (value & FCR_CLEAR_RX) {
        uart->rx_count = 0;
        uart->rx_first = 0;
        uart->lsr &= (uint8_t)~LSR_DR;
    }
    if ((value & FCR_CLEAR_TX) && uart->tx_count) {
        uart->tx_count = 0;
        transmitter_empty(uart);
    }
    uart->fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
    start_timeout(uart);
}

/* Status inputs: what is connected, or in loop-back the modem control outputs. */
static void update_modem(struct uart *uart)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD;
    uint8_t changed;

    if (uart->mcr & MCR_LOOP)
        lines = (uint8_t)((uart->mcr & MCR_RTS) << 3 | (uart->mcr & MCR_DTR) << 5 |
                          (uart->mcr & MCR_OUT1) << 4 | (uart->mcr & MCR_OUT2) << 4);
    changed = (uart->msr ^ lines) & 0xf0;
    if (lines & MSR_RI)
        changed &= (uint8_t)~MSR_RI; // only its falling edge counts
    uart->msr = lines | (uart->msr & 0x0f) | (changed >> 4);
}

static void uart_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct uart *uart = device;
    uint8_t byte = (uint8_t)value;
    bool latch = uart->lcr & LCR_DLAB;

    (void)size;
    switch (offset) {
    case RBR_THR:
        if (latch)
            uart->divisor = (uint16_t)((uart->divisor & 0xff00) | byte);
        else
            transmit(uart, byte);
        break;
    case IER:
        if (latch) {
            uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | byte << 8);
            break;
        }
        if ((byte & IER_TX) && !(uart->ier & IER_TX) && (uart->lsr & LSR_THRE))
            uart->thre_pending = 1;
        uart->ier = byte & 0x0f;
        break;
    case IIR_FCR: write_fcr(uart, byte); break;
    case LCR:     uart->lcr = byte; break;
    case MCR:
        uart->mcr = byte & 0x1f;
        update_modem(uart);
        offer_room(uart);
        break;
    case SCR:     uart->scr = byte; break;
    default:      return; // LSR and MSR are read-only outside the factory
    }
    update(uart);
}

static uint8_t read_rbr(struct uart *uart)
{
    uint8_t byte = uart->rx[uart->rx_first];

    if (!uart->rx_count)
        return 0;
    if (uart->fcr & FCR_ENABLE)
        uart->rx_first = (uint8_t)((uart->rx_first + 1) % UART_FIFO);
    if (!--uart->rx_count)
        uart->lsr &= (uint8_t)~LSR_DR;
    start_timeout(uart);
    offer_room(uart);
    return byte;
}

static uint8_t read_iir(struct uart *uart)
{
    uint8_t source = identify(uart);

    if (source == IIR_TX)
        uart->thre_pending = 0;
    return source | (uart->fcr & FCR_ENABLE ? 0xc0 : 0);
}

static uint64_t uart_read(void *device, uint64_t offset, unsigned size)
{
    struct uart *uart = device;
    bool latch = uart->lcr & LCR_DLAB;
    uint8_t value;

    (void)size;
    switch (offset) {
    case RBR_THR:
        if (latch)
            return uart->divisor & 0xff;
        value = read_rbr(uart);
        break;
    case IER:
        return latch ? uart->divisor >> 8 : uart->ier;
    case IIR_FCR:
        value = read_iir(uart);
        break;
    case LCR:
        return uart->lcr;
    case MCR:
        return uart->mcr;
    case LSR:
        value = uart->lsr;
        uart->lsr &= (uint8_t)~LSR_ERRORS;
        if (!(value & LSR_ERRORS))
            return value;
        break;
    case MSR:
        value = uart->msr;
        uart->msr &= 0xf0;
        break;
    default:
        return uart->scr;
    }
    update(uart);
    return value;
}

static void reset(void *device)
{
    struct uart *uart = device;

    clock_timer_set(uart->clock, &uart->timeout, CLOCK_NEVER);
    offer_room(uart);
    update(uart);
}

static enum vmm_status loaded(void *device)
{
    struct uart *uart = device;

    if (uart->rx_first >= UART_FIFO || uart->rx_count > UART_FIFO || uart->tx_count > UART_FIFO)
        return VMM_BAD_IMAGE;
    start_timeout(uart);
    update(uart);
    return VMM_OK;
}

static const struct device_class uart_class = {
    .name = "uart", .version = 1, DEVICE_TABLE(fields), .reset = reset, .loaded = loaded,
};

enum vmm_status uart_init(struct uart *uart, struct port_bus *ports, struct host_mutex *lock,
                          struct clock *clock, struct irq_hub *hub, struct host *host,
                          enum host_console console, uint16_t port, unsigned irq)
{
    uart->device.class = &uart_class;
    uart->device.instance = (uint8_t)console;
    uart->clock = clock;
    uart->host = host;
    uart->console = console;
    clock_timer_init(&uart->timeout, lock, timed_out, uart);
    if (!irq_connect(hub, &uart->irq, irq))
        return VMM_NO_MEMORY;
    device_reset(&uart->device);
    uart->range = (struct bus_range){"uart", port, 8, 1, lock, uart_read, uart_write, uart};
    return port_bus_add(ports, &uart->range);
}
