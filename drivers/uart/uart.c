/* SPDX-License-Identifier: MIT */
/*
 * Driver for a PC's first 16550 UART (National Semiconductor PC16550D data sheet): serves one terminal session at 115200 8N1.
 *
 * One thread does everything; another turns interrupts into its signal. The transmitter is fed 16 bytes each time it is empty.
 */
#include "framework/component.h"
#include "framework/hypercall.h"
#include "framework/io.h"
#include "framework/session/device.h"
#include "framework/session/terminal.h"
#include "framework/slots.h"
#include "framework/thread.h"

#define UART_PORT 0x3f8u
#define UART_PIN  4u
#define UART_FIFO 16u

enum uart_register { UART_DATA = 0, UART_IER = 1, UART_IIR_FCR = 2, UART_LCR = 3, UART_MCR = 4, UART_LSR = 5 };

#define IER_RECEIVED    0x01u
#define IER_TRANSMITTER 0x02u
#define LCR_8N1         0x03u
#define LCR_DLAB        0x80u
#define FCR_ENABLE      0x07u // on, both FIFOs cleared, trigger at 1 byte
#define MCR_ON          0x0bu // DTR, RTS, OUT2: the interrupt line
#define LSR_READY       0x01u
#define LSR_THRE        0x20u

struct uart {
    uint32_t signal;      // what the main thread waits for
    uint32_t irq;         // SM of the interrupt
    struct terminal_peer peer;
    bool transmitting;    // THRE interrupts are on
    uint8_t held[UART_FIFO];
    unsigned held_count;  // received, but the client had no room
};

static uint8_t uart_in(enum uart_register r)
{
    return in8((uint16_t)(UART_PORT + r));
}

static void uart_out(enum uart_register r, uint8_t value)
{
    out8((uint16_t)(UART_PORT + r), value);
}

static void uart_setup(void)
{
    uart_out(UART_IER, 0);
    uart_out(UART_LCR, LCR_DLAB | LCR_8N1);
    uart_out(UART_DATA, 1); // 115200
    uart_out(UART_IER, 0);
    uart_out(UART_LCR, LCR_8N1);
    uart_out(UART_IIR_FCR, FCR_ENABLE);
    uart_out(UART_MCR, MCR_ON);
    uart_out(UART_IER, IER_RECEIVED);
}

static void wait_interrupts(void *argument)
{
    struct uart *uart = argument;

    while (hc_down(uart->irq, ABI_SM_ALL, 0) == ABI_OK && hc_up(uart->signal) == ABI_OK)
        ;
}

/* Bytes without a client are dropped; a client without room keeps them in the UART, whose sender waits or loses. */
static bool receive(struct uart *uart)
{
    bool any = false;

    if (uart->peer.id && uart->held_count) {
        size_t given = terminal_peer_give(&uart->peer, uart->held, uart->held_count);

        for (size_t i = given; i < uart->held_count; i++)
            uart->held[i - given] = uart->held[i];
        uart->held_count -= (unsigned)given;
        any = given != 0;
    }
    while (!uart->held_count && (uart_in(UART_LSR) & LSR_READY)) {
        uint8_t byte = uart_in(UART_DATA);

        if (!uart->peer.id)
            continue;
        if (terminal_peer_give(&uart->peer, &byte, 1))
            any = true;
        else
            uart->held[uart->held_count++] = byte;
    }
    return any;
}

static bool transmit(struct uart *uart)
{
    uint8_t bytes[UART_FIFO];
    size_t size = 0;
    bool any = false;

    while (uart->peer.id && (uart_in(UART_LSR) & LSR_THRE) &&
           (size = terminal_peer_take(&uart->peer, bytes, sizeof bytes)) != 0) {
        for (size_t i = 0; i < size; i++)
            uart_out(UART_DATA, bytes[i]);
        any = true;
    }
    bool more = uart->peer.id && ring_used(&uart->peer.output) != 0;
    if (more != uart->transmitting) {
        uart->transmitting = more;
        uart_out(UART_IER, (uint8_t)(IER_RECEIVED | (more ? IER_TRANSMITTER : 0)));
    }
    return any;
}

static void serve(struct uart *uart)
{
    struct session_request request;

    while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE) {
        if (request.kind == SESSION_REQUEST_CLOSE) {
            if (request.id == uart->peer.id)
                terminal_peer_close(&uart->peer);
        } else if (uart->peer.id) {
            (void)!service_answer(request.id, STATUS_OCCUPIED, NULL, NULL, 0);
            slots_remove(request.slots, SESSION_CLIENT_CAPS);
        } else if (terminal_peer_open(&uart->peer, &request, uart->signal) != STATUS_OK) {
            log_print("no memory for a session");
        }
    }
}

int main(void)
{
    static struct uart uart;
    static struct thread interrupts;
    struct thread_config config = {.function = wait_interrupts, .argument = &uart, .cpu = component_info()->cpu};
    struct session ports;
    struct irq irq;
    enum status status;

    uart.signal = slots_alloc(1);
    if (uart.signal == SEL_NONE || hc_create_sm(uart.signal, SEL_PD, 0) != ABI_OK)
        return 1;
    if ((status = io_port_open(&ports, UART_PORT, 8)) != STATUS_OK ||
        (status = irq_open(&irq, UART_PIN, ABI_INT_EDGE | ABI_INT_HIGH)) != STATUS_OK) {
        log_print("cannot have ports and interrupt: %s", status_name(status));
        return 1;
    }
    uart.irq = irq.sm;
    if ((status = thread_start(&interrupts, &config)) != STATUS_OK ||
        (status = service_announce(uart.signal)) != STATUS_OK) {
        log_print("cannot serve: %s", status_name(status));
        return 1;
    }
    uart_setup();
    while (hc_down(uart.signal, ABI_SM_ALL, 0) == ABI_OK) {
        (void)uart_in(UART_IIR_FCR); // takes the transmitter's interrupt back
        serve(&uart);
        bool changed = receive(&uart);
        if (transmit(&uart) || changed)
            terminal_peer_signal(&uart.peer);
    }
    return 1;
}
