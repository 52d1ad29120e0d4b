/* SPDX-License-Identifier: MIT */
/*
 * The terminal multiplexer: several terminal sessions and the system log on one terminal.
 *
 * Screen 0 is the log. A session whose label ends in a digit from 1 to 9 has the screen of that number, others the first free one. Only
 * the screen in front is shown and gets the keys; what others have to show is kept. Until a key is pressed the lowest screen is in front.
 *
 * Keys: Ctrl-A then 0-9 a screen, n the next, h help, Ctrl-A that key itself.
 */
#include "services/terminal/screen.h"

#include "framework/component.h"
#include "framework/core.h"
#include "framework/hypercall.h"
#include "framework/session/syslog.h"
#include "framework/session/terminal.h"
#include "framework/slots.h"
#include "lib/format.h"
#include "lib/string.h"

#define SCREENS    10u
#define LOG_SCREEN 0u
#define SWITCH_KEY 0x01 // Ctrl-A

struct client {
    struct terminal_peer peer;
    bool used;
};

struct multiplexer {
    uint32_t signal;
    struct terminal line;                // the terminal that all share
    bool line_came_back;
    bool has_line;                       // else it has been asked for: its driver is not there, or not yet again
    const struct syslog_shared *log;
    uint64_t log_position;
    struct screen screen[SCREENS];
    struct client client[SCREENS];       // client[0] is unused
    unsigned front;
    bool command;                        // the switch key was pressed
    bool taken;                          // a session has taken the front from the log
    bool keyed;                          // a key was pressed: nothing comes to the front by itself any more but what was there
};

/* Output to the shared line: it takes what has room; the screens keep the rest. */
static void line_print(struct multiplexer *m, const char *text)
{
    if (m->has_line)
        terminal_write(&m->line, text, strlen(text));
}

static void show_front(struct multiplexer *m)
{
    static const char clear[] = "\r\n";
    char title[96];
    const char *label = m->front == LOG_SCREEN ? "log" : m->client[m->front].used ? m->client[m->front].peer.label : "nothing";

    line_print(m, clear);
    format_string(title, sizeof title, "--- %u: %s (Ctrl-A h for help) ---\r\n", m->front, label);
    line_print(m, title);
    screen_rewind(&m->screen[m->front]);
}

static void switch_to(struct multiplexer *m, unsigned screen)
{
    m->front = screen;
    show_front(m);
}

static void help(struct multiplexer *m)
{
    char text[128];

    line_print(m, "\r\nCtrl-A then: 0 the log, 1-9 a screen, n the next one, Ctrl-A that key itself\r\n");
    for (unsigned i = 1; i < SCREENS; i++) {
        if (!m->client[i].used)
            continue;
        format_string(text, sizeof text, "  %u %s%s\r\n", i, m->client[i].peer.label, i == m->front ? " (here)" : "");
        line_print(m, text);
    }
}

static void next_screen(struct multiplexer *m)
{
    unsigned screen = m->front;

    do
        screen = (screen + 1) % SCREENS;
    while (screen != LOG_SCREEN && !m->client[screen].used);
    switch_to(m, screen);
}

static void key_command(struct multiplexer *m, uint8_t key)
{
    if (key >= '0' && key <= '9')
        switch_to(m, key - '0');
    else if (key == 'n')
        next_screen(m);
    else
        help(m);
}

static void key(struct multiplexer *m, uint8_t byte)
{
    struct client *c = &m->client[m->front];

    if (m->command && byte != SWITCH_KEY) {
        m->command = false;
        key_command(m, byte);
    } else if (!m->command && byte == SWITCH_KEY) {
        m->command = true;
    } else {
        m->command = false;
        if (m->front != LOG_SCREEN && c->used)
            (void)terminal_peer_give(&c->peer, &byte, 1); // a full client loses keys, as on a real line
    }
}

/* The line's driver may end and come back; the clients notice nothing but the pause. */
static void check_line(struct multiplexer *m)
{
    enum status status;

    if (m->has_line && terminal_lost(&m->line)) {
        m->has_line = false;
        m->line_came_back = true;
        terminal_close(&m->line);
        log_print("the line is gone");
        if (terminal_request(&m->line, "line", m->signal) != STATUS_OK)
            log_print("and cannot be asked for again");
    }
    if (m->has_line || !m->line.session.id)
        return;
    status = terminal_poll(&m->line);
    if (status == STATUS_PENDING)
        return;
    m->has_line = status == STATUS_OK;
    if (m->has_line && m->line_came_back)
        show_front(m);
    if (!m->has_line)
        log_print("no line: %s", status_name(status));
}

static void read_line(struct multiplexer *m)
{
    uint8_t bytes[64];
    size_t size;
    bool any = false;

    while (m->has_line && (size = terminal_read(&m->line, bytes, sizeof bytes)) != 0) {
        m->keyed = true;
        for (size_t i = 0; i < size; i++)
            key(m, bytes[i]);
        any = true;
    }
    if (any && m->client[m->front].used)
        terminal_peer_signal(&m->client[m->front].peer);
}

/* What clients and the log have written goes to their screens, as far as those take it without losing what is not yet shown. */
static void collect(struct multiplexer *m)
{
    char bytes[512];
    size_t size;
    uint64_t lost;

    while ((size = syslog_read(m->log, &m->log_position, bytes, sizeof bytes, &lost)) != 0)
        screen_put_lines(&m->screen[LOG_SCREEN], bytes, size);
    for (unsigned i = 1; i < SCREENS; i++) {
        bool any = false;
        size_t left = TERMINAL_RING; // a client that never stops writing must not keep the others waiting

        if (!m->client[i].used)
            continue;
        while (left && (size = MIN(sizeof bytes, screen_room(&m->screen[i], i == m->front))) != 0 &&
               (size = terminal_peer_take(&m->client[i].peer, bytes, size)) != 0) {
            screen_put(&m->screen[i], bytes, size);
            left -= MIN(left, size);
            any = true;
        }
        if (!left)
            (void)!hc_up(m->signal); // the rest has its turn after the others
        if (any)
            terminal_peer_signal(&m->client[i].peer);
    }
}

static void show(struct multiplexer *m)
{
    struct screen *s = &m->screen[m->front];
    const char *bytes;
    size_t size;

    while (m->has_line && (size = screen_unshown(s, &bytes)) != 0) {
        size_t taken = terminal_write(&m->line, bytes, size);

        screen_shown(s, taken);
        if (taken < size)
            break; // the line signals when it has room
    }
    if (m->has_line)
        terminal_flush(&m->line);
}

static unsigned free_screen(const struct multiplexer *m, const char *label)
{
    size_t size = strlen(label);
    unsigned own = size && label[size - 1] > '0' && label[size - 1] <= '9' ? (unsigned)(label[size - 1] - '0') : SCREENS;

    if (own < SCREENS && !m->client[own].used)
        return own;
    for (unsigned i = 1; i < SCREENS; i++)
        if (!m->client[i].used)
            return i;
    return SCREENS;
}

/* A machine that comes back after a fault finds its screen where it was. */
static void open_client(struct multiplexer *m, const struct session_request *request)
{
    unsigned i = free_screen(m, request->label);

    if (i == SCREENS) {
        (void)!service_answer(request->id, STATUS_QUOTA, NULL, NULL, 0);
        slots_remove(request->slots, SESSION_CLIENT_CAPS);
        return;
    }
    if (terminal_peer_open(&m->client[i].peer, request, m->signal) != STATUS_OK) {
        log_print("no memory for a terminal of %s", request->label);
        return;
    }
    m->client[i].used = true;
    screen_reset(&m->screen[i]);
    log_print("screen %u: %s", i, m->client[i].peer.label);
    if (m->front == LOG_SCREEN ? !m->taken : !m->keyed && i < m->front) {
        m->taken = true;
        switch_to(m, i);
    } else if (m->front == i) {
        show_front(m);
    }
}

/* The front's client is gone: after its last words the log tells why. If it is started again it has the front again. */
static void leave_front(struct multiplexer *m)
{
    show(m);
    m->taken = false;
    switch_to(m, LOG_SCREEN);
}

static void serve(struct multiplexer *m)
{
    struct session_request request;

    while (service_next(&request) == STATUS_OK && request.kind != SESSION_REQUEST_NONE) {
        if (request.kind == SESSION_REQUEST_OPEN) {
            open_client(m, &request);
            continue;
        }
        for (unsigned i = 1; i < SCREENS; i++) {
            if (!m->client[i].used || m->client[i].peer.id != request.id)
                continue;
            collect(m); // its last words
            terminal_peer_close(&m->client[i].peer);
            m->client[i].used = false;
            if (i == m->front)
                leave_front(m);
        }
    }
}

static enum status start(struct multiplexer *m)
{
    struct mapping log = {0};
    uint64_t size;
    enum status status;

    m->signal = slots_alloc(1);
    log.slot = slots_alloc(1);
    if (m->signal == SEL_NONE || log.slot == SEL_NONE)
        return STATUS_QUOTA;
    for (unsigned i = 0; i < SCREENS; i++)
        screen_reset(&m->screen[i]);
    if ((status = status_of(hc_create_sm(m->signal, SEL_PD, 0))) != STATUS_OK ||
        (status = core_log_read(m->signal, log.slot, &size)) != STATUS_OK ||
        (status = memory_attach(&log, log.slot, ABI_PERM_MEM_R)) != STATUS_OK)
        return status;
    m->log = log.address;
    if ((status = terminal_request(&m->line, "line", m->signal)) != STATUS_OK)
        return status;
    return service_announce(m->signal);
}

int main(void)
{
    static struct multiplexer multiplexer;
    struct multiplexer *m = &multiplexer;
    enum status status = start(m);

    if (status != STATUS_OK) {
        log_print("cannot start: %s", status_name(status));
        return 1;
    }
    do {
        serve(m);
        check_line(m);
        read_line(m);
        collect(m);
        show(m);
    } while (hc_down(m->signal, ABI_SM_ALL, 0) == ABI_OK);
    return 1;
}
