/* SPDX-License-Identifier: MIT */
/* MC146818 real-time clock and CMOS memory. */
#include "vmm/devices/rtc.h"

#include "lib/string.h"
#include "lib/calendar.h"

enum {
    SECONDS = 0, SECONDS_ALARM = 1, MINUTES = 2, MINUTES_ALARM = 3, HOURS = 4, HOURS_ALARM = 5,
    WEEKDAY = 6, DAY = 7, MONTH = 8, YEAR = 9, REG_A = 10, REG_B = 11, REG_C = 12, REG_D = 13
};

#define A_UIP    0x80u
#define A_DV     0x70u
#define A_NORMAL 0x20u // 32768 Hz crystal
#define B_SET    0x80u
#define B_PIE    0x40u
#define B_AIE    0x20u
#define B_UIE    0x10u
#define B_BINARY 0x04u
#define B_24     0x02u
#define C_IRQF   0x80u
#define C_PF     0x40u
#define C_AF     0x20u
#define C_UF     0x10u
#define D_VRT    0x80u

#define SECOND    1000000000ull
#define UPDATE_NS 2228000u      // 244 us warning and 1984 us update
#define DAY_S     86400u

#define FIELD(member) DEVICE_FIELD(struct rtc, member, 0)
static const struct device_field fields[] = {
    FIELD(index), DEVICE_KEPT(struct rtc, cmos, RTC_CMOS), DEVICE_KEPT(struct rtc, weekday_skew, 1),
    DEVICE_KEPT(struct rtc, base_ns, 1), FIELD(periods), FIELD(seconds),
};

static bool stopped(const struct rtc *rtc)
{
    return (rtc->cmos[REG_B] & B_SET) || (rtc->cmos[REG_A] & A_DV) != A_NORMAL;
}

static uint64_t clock_ns(const struct rtc *rtc)
{
    return clock_to_count(rtc->clock, clock_now(rtc->clock), SECOND);
}

static uint64_t time_ns(const struct rtc *rtc)
{
    return rtc->base_ns + clock_ns(rtc);
}

static uint8_t encode(const struct rtc *rtc, uint32_t value)
{
    value %= 100;
    return (uint8_t)(rtc->cmos[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static uint32_t decode(const struct rtc *rtc, uint8_t value)
{
    return rtc->cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, uint32_t hour)
{
    if (rtc->cmos[REG_B] & B_24)
        return encode(rtc, hour);
    return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static uint32_t decode_hour(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REG_B] & B_24)
        return decode(rtc, value);
    return decode(rtc, value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

/* The time registers as of `seconds` since 1970. */
static void store_time(struct rtc *rtc, uint64_t seconds)
{
    uint64_t days = seconds / DAY_S;
    uint32_t rest = (uint32_t)(seconds % DAY_S);
    struct calendar_date date = calendar_from_days(days);

    rtc->cmos[SECONDS] = encode(rtc, rest % 60);
    rtc->cmos[MINUTES] = encode(rtc, rest / 60 % 60);
    rtc->cmos[HOURS] = encode_hour(rtc, rest / 3600);
    rtc->cmos[WEEKDAY] = encode(rtc, (uint32_t)((days + 4 + rtc->weekday_skew) % 7) + 1);
    rtc->cmos[DAY] = encode(rtc, date.day);
    rtc->cmos[MONTH] = encode(rtc, date.month);
    rtc->cmos[YEAR] = encode(rtc, date.year % 100);
    rtc->cmos[RTC_CENTURY] = (uint8_t)(date.year / 1000 % 10 << 4 | date.year / 100 % 10);
}

static uint64_t load_time(struct rtc *rtc)
{
    uint8_t century = rtc->cmos[RTC_CENTURY];
    struct calendar_date date = {
        .year = ((century >> 4) * 10u + (century & 15)) * 100 + decode(rtc, rtc->cmos[YEAR]),
        .month = decode(rtc, rtc->cmos[MONTH]),
        .day = decode(rtc, rtc->cmos[DAY]),
    };
    uint64_t days = calendar_to_days(&date);
    uint32_t weekday = decode(rtc, rtc->cmos[WEEKDAY]);

    rtc->weekday_skew = (uint8_t)((weekday + 6 + 7 - (days + 4) % 7) % 7);
    return days * DAY_S + decode_hour(rtc, rtc->cmos[HOURS]) * 3600ull +
           decode(rtc, rtc->cmos[MINUTES]) * 60ull + decode(rtc, rtc->cmos[SECONDS]);
}

/* Rate of the periodic interrupt (data sheet table 5); 0: none. */
static uint32_t periodic_hz(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & 15;

    if (!rate || (rtc->cmos[REG_A] & A_DV) != A_NORMAL)
        return 0;
    return rate < 3 ? 256u >> (rate - 1) : 32768u >> (rate - 1);
}

static uint64_t periods(const struct rtc *rtc)
{
    uint32_t hz = periodic_hz(rtc);

    return hz ? clock_to_count(rtc->clock, clock_now(rtc->clock), hz) : 0;
}

/* An alarm register with its two top bits set matches anything. */
static bool alarm_part(uint8_t alarm, uint8_t time)
{
    return alarm >= 0xc0 || alarm == time;
}

static bool alarm_at(struct rtc *rtc, uint64_t second)
{
    store_time(rtc, second);
    return alarm_part(rtc->cmos[SECONDS_ALARM], rtc->cmos[SECONDS]) &&
           alarm_part(rtc->cmos[MINUTES_ALARM], rtc->cmos[MINUTES]) &&
           alarm_part(rtc->cmos[HOURS_ALARM], rtc->cmos[HOURS]);
}

/* Sets the flags of all cycles since the last look. After a day every alarm has come. */
static void catch_up(struct rtc *rtc)
{
    uint64_t count = periods(rtc);
    uint64_t second = time_ns(rtc) / SECOND;

    if (count != rtc->periods)
        rtc->cmos[REG_C] |= C_PF;
    rtc->periods = count;
    if (stopped(rtc))
        return;
    if (second != rtc->seconds) {
        uint64_t from = rtc->seconds + 1;

        rtc->cmos[REG_C] |= C_UF;
        if (second - rtc->seconds > DAY_S)
            from = second - DAY_S + 1;
        for (; from <= second && !(rtc->cmos[REG_C] & C_AF); from++)
            if (alarm_at(rtc, from))
                rtc->cmos[REG_C] |= C_AF;
        rtc->seconds = second;
    }
    store_time(rtc, second);
}

/* Only as long as the line is low can the next cycle change it. */
static void schedule(struct rtc *rtc)
{
    uint64_t next = CLOCK_NEVER;
    uint8_t enabled = rtc->cmos[REG_B];
    uint64_t at;

    if (!(rtc->cmos[REG_C] & C_IRQF)) {
        if ((enabled & (B_UIE | B_AIE)) && !stopped(rtc)) {
            at = (rtc->seconds + 1) * SECOND - rtc->base_ns;
            next = clock_from_count(rtc->clock, at, SECOND);
        }
        if ((enabled & B_PIE) && periodic_hz(rtc)) {
            at = clock_from_count(rtc->clock, rtc->periods + 1, periodic_hz(rtc));
            next = at < next ? at : next;
        }
    }
    if (next != clock_timer_deadline(rtc->clock, &rtc->timer))
        clock_timer_set(rtc->clock, &rtc->timer, next);
}

static void update(struct rtc *rtc)
{
    catch_up(rtc);
    if (rtc->cmos[REG_C] & rtc->cmos[REG_B] & (C_PF | C_AF | C_UF))
        rtc->cmos[REG_C] |= C_IRQF;
    else
        rtc->cmos[REG_C] &= (uint8_t)~C_IRQF;
    irq_set(&rtc->irq, rtc->cmos[REG_C] & C_IRQF);
    schedule(rtc);
}

static void fire(void *device)
{
    update(device);
}

static void start(struct rtc *rtc, uint64_t fraction)
{
    rtc->base_ns = load_time(rtc) * SECOND + fraction - clock_ns(rtc);
    rtc->seconds = time_ns(rtc) / SECOND;
}

/*
 * After the divider is released the first update comes half a second later; SET does not disturb
 * the divider.
 */
static void write_control(struct rtc *rtc, unsigned reg, uint8_t value)
{
    bool was_stopped = stopped(rtc);
    bool was_reset = (rtc->cmos[REG_A] & A_DV) != A_NORMAL;
    uint64_t fraction = time_ns(rtc) % SECOND;

    if (reg == REG_A) {
        rtc->cmos[REG_A] = value & 0x7f;
        rtc->periods = periods(rtc);
    } else {
        uint8_t format = (value ^ rtc->cmos[REG_B]) & (B_BINARY | B_24);

        if (value & B_SET)
            value &= (uint8_t)~B_UIE;
        rtc->cmos[REG_B] = value;
        if (format && !was_stopped)
            store_time(rtc, time_ns(rtc) / SECOND);
    }
    if (was_stopped && !stopped(rtc))
        start(rtc, was_reset ? SECOND / 2 : fraction);
}

static bool is_time(unsigned reg)
{
    return reg == SECONDS || reg == MINUTES || reg == HOURS || (reg >= WEEKDAY && reg <= YEAR) ||
           reg == RTC_CENTURY;
}

static void write_data(struct rtc *rtc, uint8_t value)
{
    unsigned reg = rtc->index;

    catch_up(rtc);
    if (reg == REG_A || reg == REG_B) {
        write_control(rtc, reg, value);
    } else if (reg != REG_C && reg != REG_D) {
        rtc->cmos[reg] = value;
        if (is_time(reg) && !stopped(rtc))
            start(rtc, time_ns(rtc) % SECOND);
    }
    update(rtc);
}

static uint8_t read_data(struct rtc *rtc)
{
    uint8_t value;

    update(rtc);
    value = rtc->cmos[rtc->index];
    switch (rtc->index) {
    case REG_A:
        if (!stopped(rtc) && time_ns(rtc) % SECOND >= SECOND - UPDATE_NS)
            value |= A_UIP;
        break;
    case REG_C:
        rtc->cmos[REG_C] = 0;
        update(rtc);
        break;
    case REG_D:
        value = D_VRT;
        break;
    default:
        break;
    }
    return value;
}

static uint64_t rtc_read(void *device, uint64_t offset, unsigned size)
{
    (void)size;
    return offset ? read_data(device) : 0xff; // the index is write-only
}

static void rtc_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtc *rtc = device;

    (void)size;
    if (offset)
        write_data(rtc, (uint8_t)value);
    else
        rtc->index = value & 0x7f; // bit 7 masks NMI, of which this machine has no source
}

static void set_word(struct rtc *rtc, unsigned at, uint64_t value)
{
    rtc->cmos[at] = (uint8_t)value;
    rtc->cmos[at + 1] = (uint8_t)(value >> 8);
}

/*
 * The sizes a BIOS leaves: base and extended memory in KiB, above 16 MiB and above 4 GiB in 64
 * KiB.
 */
static void describe_memory(struct rtc *rtc, const struct memory *memory)
{
    uint64_t extended = (memory->low_end - MEMORY_EXTENDED) >> 10;
    uint64_t above_16m = memory->low_end > (16u << 20) ? (memory->low_end - (16u << 20)) >> 16 : 0;
    uint64_t high = (memory->high_end - MEMORY_HIGH) >> 16;
    uint16_t sum = 0;

    set_word(rtc, 0x15, 640);
    set_word(rtc, 0x17, extended > 0xfc00 ? 0xfc00 : extended);
    set_word(rtc, 0x30, extended > 0xfc00 ? 0xfc00 : extended);
    set_word(rtc, 0x34, above_16m > 0xffff ? 0xffff : above_16m);
    set_word(rtc, 0x5b, high);
    rtc->cmos[0x5d] = (uint8_t)(high >> 16);
    rtc->cmos[0x14] = 0x06; // equipment: mathematics coprocessor, pointing device
    for (unsigned i = 0x10; i < 0x2e; i++)
        sum = (uint16_t)(sum + rtc->cmos[i]);
    rtc->cmos[0x2e] = (uint8_t)(sum >> 8);
    rtc->cmos[0x2f] = (uint8_t)sum;
}

/* RESET clears the interrupt enables and flags, not the time (data sheet, RESET). */
static void reset(void *device)
{
    struct rtc *rtc = device;

    rtc->cmos[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE | 0x08);
    rtc->cmos[REG_C] = 0;
    rtc->periods = periods(rtc);
    rtc->seconds = time_ns(rtc) / SECOND;
    update(rtc);
}

static enum vmm_status loaded(void *device)
{
    struct rtc *rtc = device;

    if (rtc->index >= RTC_CMOS)
        return VMM_BAD_IMAGE;
    update(rtc);
    return VMM_OK;
}

static const struct device_class rtc_class = {
    .name = "rtc", .version = 1, DEVICE_TABLE(fields), .reset = reset, .loaded = loaded,
};

enum vmm_status rtc_init(struct rtc *rtc, struct port_bus *ports, struct host_mutex *lock,
                         struct clock *clock, struct irq_hub *hub, const struct memory *memory)
{
    rtc->device.class = &rtc_class;
    rtc->clock = clock;
    clock_timer_init(&rtc->timer, lock, fire, rtc);
    if (!irq_connect(hub, &rtc->irq, 8))
        return VMM_NO_MEMORY;
    rtc->cmos[REG_A] = A_NORMAL | 6;
    rtc->cmos[REG_B] = B_24;
    rtc->base_ns = host_wall_ns(clock->host) - clock_ns(rtc);
    describe_memory(rtc, memory);
    device_reset(&rtc->device);
    rtc->range = (struct bus_range){"rtc", 0x70, 2, 1, lock, rtc_read, rtc_write, rtc};
    return port_bus_add(ports, &rtc->range);
}
