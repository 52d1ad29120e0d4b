/* SPDX-License-Identifier: MIT */
/* A second CPU: MWAIT for what the first one writes, code that it writes, its start, NMIs to one that lets interrupts in all the time, NMIs that meet, broadcasts, one time for both. */
#include "guest.h"

#define APIC 0xfee00000u
#define START 0x8000u // where the start-up message sends it
#define NMIS 3000u
#define MEETINGS 3000u

enum { ID = 0x20, EOI = 0xb0, SVR = 0xf0, ICR = 0x300, ICR_HIGH = 0x310 };

extern char ap_start[], ap_end[], after_sti[];
bool smp_good(void);
void ap_main(void);

static volatile uint32_t alive, work, done, nmis, behind_sti, here, broadcasts;
static volatile uint32_t turn;
static volatile uint64_t newest;

static uint32_t rd(uint32_t reg) { return *(volatile uint32_t *)(APIC + reg); }
static void wr(uint32_t reg, uint32_t value) { *(volatile uint32_t *)(APIC + reg) = value; }

static void send(uint32_t to, uint32_t low)
{
    wr(ICR_HIGH, to << 24);
    wr(ICR, low);
}

static bool wait_for(volatile uint32_t *what, uint32_t value)
{
    for (uint64_t start = tsc(); *what != value;) {
        if (tsc() - start > 20000000000ull)
            return false;
        __asm__ volatile("pause");
    }
    return true;
}

static void handle(struct registers *r)
{
    if (r->vector == 2) {
        behind_sti += r->eip == (uint32_t)after_sti;
        if (rd(ID) >> 24)
            nmis++;
        else
            here++;
    } else if (r->vector == 0x44) {
        done = 1;
        wr(EOI, 0);
    } else if (r->vector == 0x45) {
        __asm__ volatile("lock incl %0" : "+m"(broadcasts));
        wr(EOI, 0);
    } else {
        put("guest: vector ");
        put_number(r->vector);
        put("\n");
        finish(false);
    }
}

/* Lets interrupts in before an access that is not as quick as others: the first to a page, or to a device. */
static void let_in(const char *page)
{
    __asm__ volatile("sti\nafter_sti: testb $0, %0\nnop\ncli" : : "m"(*page));
}

/* Two NMIs, and an interrupt behind the second one, meet at the first CPU. */
static void meet(void)
{
    for (uint32_t n = 1; n <= MEETINGS && wait_for(&turn, 2 * n - 1); n++) {
        send(0, 0x4400);
        send(0, 0x4044);
        turn = 2 * n;
    }
}

static void grow(uint32_t own, bool *good)
{
    for (uint32_t n = 0; n < 10000; n++) {
        if (!wait_for(&turn, 2 * n + own)) {
            *good = false;
            return;
        }
        uint64_t now = tsc();
        *good &= now >= newest;
        newest = now;
        turn = 2 * n + own + 1;
    }
}

static bool grew = true;

/* MOV EAX; RET in one page and in two, which the first CPU writes while the second calls it. */
#define CALLS 3000u
static uint8_t code[3][4096] __attribute__((aligned(4096)));
static volatile uint32_t answer, backwards, last;

static uint8_t *function(uint32_t n)
{
    return &code[0][n & 1 ? 4096 - 3 : 15];
}

static uint32_t call(uint32_t n)
{
    uint32_t leaf = 0, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx) : : "memory"); // SDM volume 3, 8.1.3
    return ((uint32_t (*)(void))(uintptr_t)function(n))();
}

static void call_written(void)
{
    for (uint32_t n = 1; n <= CALLS && wait_for(&turn, 2 * n - 1); n++) {
        answer = call(n);
        turn = 2 * n;
    }
    for (uint32_t before = 0, now = 0; now != CALLS; before = now) {
        now = ((uint32_t (*)(void))(uintptr_t)function(0))();
        backwards += now < before;
        last = now;
    }
}

static bool write_code(void)
{
    for (unsigned i = 0; i < 2; i++) {
        function(i)[0] = 0xb8;
        function(i)[5] = 0xc3;
    }
    for (uint32_t n = 1; n <= CALLS; n++) {
        uint8_t *to = function(n) + 1;
        uint32_t count = 4, value = n;

        if (n % 3 == 0)
            *(volatile uint32_t *)(void *)to = n;
        else if (n % 3 == 1)
            __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*(uint32_t *)(void *)to));
        else
            __asm__ volatile("rep movsb" : "+D"(to), "+c"(count), "=m"(code) : "S"(&value), "m"(value));
        turn = 2 * n - 1;
        if (!wait_for(&turn, 2 * n) || answer != n)
            return false;
    }
    for (uint32_t n = 0; n <= CALLS; n++)
        *(volatile uint32_t *)(void *)(function(0) + 1) = n; // aligned
    return wait_for(&last, CALLS) && backwards == 0;
}

/*
 * The second CPU sleeps in MWAIT until the first one writes: at once, or after so long that nobody
 * looks at the line any more; by several kinds of stores, beside it in its page too, and not at all,
 * with an interrupt.
 */
#define WAKES 400u
#define LONG  2000000u // ticks of the TSC
static volatile uint32_t watched[2048] __attribute__((aligned(4096)));
static volatile uint32_t woken, mwaits, fell_through;

static bool has_monitor(void)
{
    uint32_t leaf = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx & 8;
}

static void monitor(const volatile uint32_t *what)
{
    __asm__ volatile("monitor" : : "a"(what), "c"(0), "d"(0) : "memory");
}

static void mwait(void)
{
    mwaits++;
    __asm__ volatile("sti; mwait; cli" : : "a"(0), "c"(0) : "memory");
}

static void wait_monitored(void)
{
    mwait();
    fell_through = 1; // nothing was armed
    for (uint32_t n = 1; n <= WAKES; n++) {
        volatile uint32_t *what = &watched[n & 1 ? 16 : 1023];

        for (; *what != n && broadcasts != n;) {
            monitor(what);
            if (*what != n && broadcasts != n)
                mwait();
        }
        woken = n;
    }
}

static void write_watched(volatile uint32_t *to, uint32_t n)
{
    uint32_t value = n, count = 4;

    switch (n / 2 % 5) {
    case 0: *to = n; break;
    case 1: __asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*to)); break;
    case 2: __asm__ volatile("rep movsb" : "+D"(to), "+c"(count), "=m"(watched) : "S"(&value), "m"(value)); break;
    case 3:
        if (option("vectors", 1))
            __asm__ volatile("movd %1, %%xmm0; movd %%xmm0, %0" : "=m"(*to) : "r"(value));
        else
            __asm__ volatile("movnti %1, %0" : "=m"(*to) : "r"(value));
        break;
    default:
        broadcasts = n - 1;
        wr(ICR_HIGH, 1 << 24);
        wr(ICR, 0x4045); // its handler counts
    }
}

static bool write_monitored(void)
{
    if (!wait_for(&fell_through, 1))
        return false;
    for (uint32_t n = 1; n <= WAKES; n++) {
        for (uint64_t start = tsc(), pause = n % 3 ? 0 : LONG; tsc() - start < pause;)
            __asm__ volatile("pause");
        if (n % 6 == 0)
            watched[512] = n; // beside it
        write_watched(&watched[n & 1 ? 16 : 1023], n);
        if (!wait_for(&woken, n))
            return false;
    }
    figure("mwaits", mwaits);
    return mwaits < 20 * WAKES; // it did sleep: a thousand times as many are made in that time
}

void ap_main(void)
{
    wr(SVR, 0x1ff);
    alive = 1;
    for (uint32_t page = 0; work == 0; page++)
        let_in((const char *)(page & 1 ? APIC + ID : 0x1000000 + page % 0x2000 * 4096));
    meet();
    if (wait_for(&work, 2))
        grow(1, &grew);
    if (wait_for(&work, 3))
        call_written();
    if (wait_for(&work, 4) && has_monitor())
        wait_monitored();
    __asm__ volatile("sti");
    for (;;)
        __asm__ volatile("hlt");
}

static bool nmi_storm(void)
{
    for (uint32_t n = 1; n <= NMIS; n++) {
        send(1, 0x4400);
        if (!wait_for(&nmis, n))
            return false;
    }
    return behind_sti == 0;
}

static bool nmi_meetings(void)
{
    bool good = true;

    work = 1;
    __asm__ volatile("sti");
    for (uint32_t n = 1; n <= MEETINGS; n++) {
        done = here = 0;
        turn = 2 * n - 1;
        send(0, 0x4400);
        if (!wait_for(&done, 1) || !wait_for(&turn, 2 * n))
            return false;
        good &= here == 2;
    }
    __asm__ volatile("cli");
    return good;
}

static bool broadcast(uint32_t to, uint32_t low)
{
    broadcasts = 0;
    __asm__ volatile("sti");
    send(to, low);
    bool good = wait_for(&broadcasts, 2);
    __asm__ volatile("cli");
    return good;
}

static bool said(bool good, const char *what)
{
    if (!good) {
        put("guest: not so: ");
        put(what);
        put("\n");
    }
    return good;
}

bool smp_good(void)
{
    bool own = true;

    guest_handler = handle;
    for (char *from = ap_start, *to = (char *)START; from < ap_end; from++, to++)
        *(volatile char *)to = *from;
    wr(SVR, 0x1ff);
    wr(ICR, 0xc4500);
    wr(ICR, 0xc4600 | START >> 12);
    if (!said(wait_for(&alive, 1), "a second CPU starts"))
        return false;
    if (!said(nmi_storm(), "no NMI right behind STI") || !said(nmi_meetings(), "two NMIs that meet are both taken"))
        return false;
    turn = 0;
    work = 2;
    grow(0, &own);
    if (!said(wait_for(&turn, 20000) && own && grew, "the TSC is one"))
        return false;
    *(volatile uint32_t *)(void *)(function(0) + 1) = 0;
    turn = 0;
    work = 3;
    if (!said(write_code(), "code that another CPU writes"))
        return false;
    work = 4;
    if (has_monitor() && !said(write_monitored(), "MWAIT ends when another CPU writes"))
        return false;
    return said(broadcast(0xff, 0x4045), "a physical broadcast") && said(broadcast(0, 0x84045), "all including oneself");
}
