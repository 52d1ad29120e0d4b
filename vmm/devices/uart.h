/* SPDX-License-Identifier: MIT */
/*
 * A 16550A serial port (National Semiconductor PC16550D data sheet).
 *
 * Under the machine lock. Transmission takes no time; when the host's stream is full, bytes wait
 * in the transmitter's FIFO and the guest sees it busy. Input is taken as long as the receiver
 * has room. The character time-out follows the programmed speed. OUT2 gates the interrupt, as on
 * a PC. Frame, parity and break errors cannot happen.
 */
#ifndef VMM_DEVICES_UART_H
#define VMM_DEVICES_UART_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/device.h"
#include "vmm/irq.h"

#define UART_FIFO 16u

struct uart {
    struct device device;
    /* State. */
    uint8_t  ier, fcr, lcr, mcr, lsr, msr, scr;
    uint16_t divisor;
    uint8_t  thre_pending, timeout_pending;
    uint8_t  rx[UART_FIFO], rx_first, rx_count;
    uint8_t  tx[UART_FIFO], tx_count;
    /* Wiring. */
    struct bus_range range;
    struct clock *clock;
    struct clock_timer timeout;
    struct irq_line irq;
    struct host *host;
    enum host_console console;
    uint8_t refused;        // input was refused: tell the host when there is room
};

enum vmm_status uart_init(struct uart *uart, struct port_bus *ports, struct host_mutex *lock,
                          struct clock *clock, struct irq_hub *hub, struct host *host,
                          enum host_console console, uint16_t port, unsigned irq) VMM_MUST_CHECK;
/*
 * From the stream, with the lock held: bytes to receive (returns how many were taken); there is
 * room again.
 */
size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t n);
void uart_ready(struct uart *uart);

#endif
