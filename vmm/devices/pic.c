/* SPDX-License-Identifier: MIT */
/* Two cascaded 8259A interrupt controllers. */
#include "vmm/devices/pic.h"

#define CASCADE 2u

#define FIELD(member) DEVICE_FIELD(struct pic, member, 0)
static const struct device_field fields[] = {
    FIELD(irr), FIELD(lines), FIELD(isr), FIELD(imr), FIELD(elcr), FIELD(base),
    DEVICE_FIELD(struct pic, lowest, 7),
    FIELD(step), FIELD(wants_icw4), FIELD(single), FIELD(icw3), FIELD(auto_eoi), FIELD(rotate_auto),
    FIELD(fully_nested), FIELD(special_mask), FIELD(read_isr), FIELD(poll), FIELD(output),
};

static enum vmm_status loaded(void *device)
{
    const struct pic *pic = device;

    return pic->lowest < 8 && pic->step < 5 ? VMM_OK : VMM_BAD_IMAGE;
}

static const struct device_class pic_class = {
    .name = "pic", .version = 1, DEVICE_TABLE(fields),
    .loaded = loaded,
};

static bool is_master(const struct pic *pic)
{
    return pic == &pic->pair->chip[0];
}

static uint8_t rotate_right(uint8_t value, unsigned by)
{
    return (uint8_t)(value >> by | value << (8 - by));
}

/* Priority of the highest of these inputs: 0 the highest, 8 none. */
static unsigned priority(const struct pic *pic, uint8_t inputs)
{
    uint8_t turned = rotate_right(inputs, (pic->lowest + 1) & 7);

    return turned ? (unsigned)__builtin_ctz(turned) : 8;
}

static unsigned input_of(const struct pic *pic, unsigned prio)
{
    return (prio + pic->lowest + 1) & 7;
}

static uint8_t requests(const struct pic *pic)
{
    return (uint8_t)((pic->irr & ~pic->elcr) | (pic->lines & pic->elcr));
}

/* The input to be served now, or -1. */
static int pending(const struct pic *pic)
{
    uint8_t in_service = pic->special_mask ? pic->isr & (uint8_t)~pic->imr : pic->isr;
    unsigned request = priority(pic, requests(pic) & (uint8_t)~pic->imr);
    unsigned served;

    if (pic->fully_nested && is_master(pic))
        in_service &= (uint8_t)~(1u << CASCADE);
    served = priority(pic, in_service);
    if (request == 8 || request >= served)
        return -1;
    return (int)input_of(pic, request);
}

static void set_input(struct pic *pic, unsigned input, bool level);

static void update(struct pic *pic)
{
    bool output = pending(pic) >= 0;

    if (output == pic->output)
        return;
    pic->output = output;
    if (is_master(pic))
        pic->pair->output(pic->pair->context, output);
    else
        set_input(&pic->pair->chip[0], CASCADE, output);
}

/* A request is gone when its input falls before the processor has taken it, as in the chip. */
static void set_input(struct pic *pic, unsigned input, bool level)
{
    uint8_t bit = (uint8_t)(1u << input);

    if (level && !(pic->lines & bit))
        pic->irr |= bit;
    if (!level)
        pic->irr &= (uint8_t)~bit;
    pic->lines = level ? pic->lines | bit : pic->lines & (uint8_t)~bit;
    update(pic);
}

void pic_set(void *device, unsigned irq, bool level)
{
    struct pic_pair *pair = device;

    if (irq < 16 && irq != CASCADE)
        set_input(&pair->chip[irq / 8], irq % 8, level);
}

static void serve(struct pic *pic, unsigned input)
{
    uint8_t bit = (uint8_t)(1u << input);

    pic->irr &= (uint8_t)~bit;
    if (!pic->auto_eoi)
        pic->isr |= bit;
    else if (pic->rotate_auto)
        pic->lowest = (uint8_t)input;
}

/* One chip's INTA: the input, 7 if the request has gone (then nothing comes in service). */
static unsigned acknowledge(struct pic *pic)
{
    int input = pending(pic);

    if (input < 0)
        return 7;
    serve(pic, (unsigned)input);
    return (unsigned)input;
}

uint8_t pic_acknowledge(struct pic_pair *pair)
{
    struct pic *master = &pair->chip[0];
    struct pic *slave = &pair->chip[1];
    bool real = pending(master) >= 0;
    unsigned input = acknowledge(master);
    uint8_t vector = (uint8_t)((master->base & 0xf8) | input);

    if (real && input == CASCADE && !master->single) {
        vector = (uint8_t)((slave->base & 0xf8) | acknowledge(slave));
        update(slave);
    }
    update(master);
    return vector;
}

static void write_icw1(struct pic *pic, uint8_t value)
{
    pic->irr = 0;
    pic->isr = 0;
    pic->imr = 0;
    pic->lowest = 7;
    pic->special_mask = 0;
    pic->read_isr = 0;
    pic->poll = 0;
    pic->auto_eoi = 0;
    pic->rotate_auto = 0;
    pic->fully_nested = 0;
    pic->wants_icw4 = value & 1;
    pic->single = (value >> 1) & 1;
    pic->step = 2;
}

static void end_of_interrupt(struct pic *pic, bool specific, unsigned level, bool rotate)
{
    uint8_t in_service = pic->special_mask ? pic->isr & (uint8_t)~pic->imr : pic->isr;
    unsigned input = level;

    if (!specific) {
        if (!in_service)
            return;
        input = input_of(pic, priority(pic, in_service));
    }
    pic->isr &= (uint8_t)~(1u << input);
    if (rotate)
        pic->lowest = (uint8_t)input;
}

static void write_ocw2(struct pic *pic, uint8_t value)
{
    unsigned level = value & 7;

    switch (value >> 5) {
    case 0: pic->rotate_auto = 0; break;
    case 1: end_of_interrupt(pic, false, 0, false); break;
    case 3: end_of_interrupt(pic, true, level, false); break;
    case 4: pic->rotate_auto = 1; break;
    case 5: end_of_interrupt(pic, false, 0, true); break;
    case 6: pic->lowest = (uint8_t)level; break;
    case 7: end_of_interrupt(pic, true, level, true); break;
    default: break; // 2: no operation
    }
}

static void write_ocw3(struct pic *pic, uint8_t value)
{
    pic->poll = (value >> 2) & 1;
    if (value & 0x02)
        pic->read_isr = value & 1;
    if (value & 0x40)
        pic->special_mask = (value >> 5) & 1;
}

static void write_command(struct pic *pic, uint8_t value)
{
    if (value & 0x10)
        write_icw1(pic, value);
    else if (value & 0x08)
        write_ocw3(pic, value);
    else
        write_ocw2(pic, value);
}

static void write_data(struct pic *pic, uint8_t value)
{
    switch (pic->step) {
    case 2:
        pic->base = value & 0xf8;
        pic->step = !pic->single ? 3 : pic->wants_icw4 ? 4 : 0;
        break;
    case 3:
        pic->icw3 = value;
        pic->step = pic->wants_icw4 ? 4 : 0;
        break;
    case 4:
        pic->auto_eoi = (value >> 1) & 1;
        pic->fully_nested = (value >> 4) & 1;
        pic->step = 0;
        break;
    default:
        pic->imr = value;
        break;
    }
}

static void pic_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pic *pic = device;

    (void)size;
    if (offset == 0)
        write_command(pic, (uint8_t)value);
    else
        write_data(pic, (uint8_t)value);
    update(pic);
}

static uint64_t read_poll(struct pic *pic)
{
    int input = pending(pic);

    pic->poll = 0;
    if (input < 0)
        return 0;
    serve(pic, (unsigned)input);
    update(pic);
    return 0x80u | (unsigned)input;
}

static uint64_t pic_read(void *device, uint64_t offset, unsigned size)
{
    struct pic *pic = device;

    (void)size;
    if (pic->poll)
        return read_poll(pic);
    if (offset == 1)
        return pic->imr;
    return pic->read_isr ? pic->isr : requests(pic);
}

static uint64_t elcr_read(void *device, uint64_t offset, unsigned size)
{
    struct pic_pair *pair = device;

    (void)size;
    return pair->chip[offset & 1].elcr;
}

static void elcr_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pic_pair *pair = device;
    struct pic *pic = &pair->chip[offset & 1];

    (void)size;
    pic->elcr = (uint8_t)value & pic->elcr_mask;
    update(pic);
}

enum vmm_status pic_init(struct pic_pair *pair, struct port_bus *ports, struct host_mutex *lock,
                         void (*output)(void *context, bool level), void *context)
{
    static const uint16_t port[2] = {0x20, 0xa0};
    static const uint8_t elcr_mask[2] = {0xf8, 0xde}; // 0, 1, 2, 8 and 13 are always edge-triggered
    enum vmm_status status = VMM_OK;

    pair->output = output;
    pair->context = context;
    for (unsigned i = 0; i < 2 && status == VMM_OK; i++) {
        struct pic *pic = &pair->chip[i];

        pic->device.class = &pic_class;
        pic->device.instance = (uint8_t)i;
        pic->pair = pair;
        pic->elcr_mask = elcr_mask[i];
        device_reset(&pic->device);
        pair->range[i] = (struct bus_range){"pic", port[i], 2, 1, lock, pic_read, pic_write, pic};
        status = port_bus_add(ports, &pair->range[i]);
    }
    if (status != VMM_OK)
        return status;
    pair->elcr_range = (struct bus_range){"elcr", 0x4d0, 2, 1, lock, elcr_read, elcr_write, pair};
    return port_bus_add(ports, &pair->elcr_range);
}
