/* SPDX-License-Identifier: MIT */
/* Reading a VM process's configuration. Unknown attributes are errors: a misspelt limit must not become no limit. */
#include "hosts/micro/config.h"

#include "lib/format.h"
#include "lib/string.h"
#include "lib/text.h"
#include "lib/xml.h"

static bool fail(struct config *config, const char *name, const char *value, const char *expected)
{
    format_string(config->error, sizeof config->error, "%s=\"%s\": expected %s", name, value, expected);
    return false;
}

static bool read_number(struct config *c, const struct xml_attribute *a, uint64_t low, uint64_t high, uint32_t *number)
{
    uint64_t value;

    if (!text_to_u64(a->value, strlen(a->value), &value) || value < low || value > high) {
        char range[64];

        format_string(range, sizeof range, "a number from %lu to %lu", low, high);
        return fail(c, a->name, a->value, range);
    }
    *number = (uint32_t)value;
    return true;
}

/* One of `count` words; *choice is its index. */
static bool read_choice(struct config *c, const struct xml_attribute *a, const char *const *words, unsigned count, unsigned *choice,
                        const char *expected)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(a->value, words[i]) == 0) {
            *choice = i;
            return true;
        }
    return fail(c, a->name, a->value, expected);
}

static bool read_text(struct config *c, const struct xml_attribute *a, char *to, size_t size)
{
    return text_copy(to, size, a->value) || fail(c, a->name, "...", "less text");
}

static bool read_attribute(struct config *c, const struct xml_attribute *a)
{
    static const char *const no_yes[] = {"no", "yes"}, *const resets[] = {"restart", "end"},
                      *const faults[] = {"none", "write", "code", "scribble", "state"};
    const char *name = a->name;
    uint32_t number = 0;
    unsigned choice = 0;

    if (strcmp(name, "memory") == 0)
        return text_to_size(a->value, strlen(a->value), &c->memory) || fail(c, name, a->value, "a size such as 512M");
    if (strcmp(name, "cpus") == 0)
        return read_number(c, a, 1, 64, &c->vcpus);
    if (strcmp(name, "kernel") == 0)
        return read_text(c, a, c->kernel, sizeof c->kernel);
    if (strcmp(name, "initrd") == 0)
        return read_text(c, a, c->initrd, sizeof c->initrd);
    if (strcmp(name, "cmdline") == 0)
        return read_text(c, a, c->command_line, sizeof c->command_line);
    if (strcmp(name, "watchdog") == 0)
        return read_number(c, a, 0, 3600000, &c->watchdog_ms);
    if (strcmp(name, "fault-after") == 0)
        return read_number(c, a, 0, 3600000, &c->fault_after_ms);
    if (strcmp(name, "debug-exit") == 0) {
        bool good = read_number(c, a, 0, 0xffff, &number);
        c->debug_exit = (uint16_t)number;
        return good;
    }
    if (strcmp(name, "hpet") == 0) {
        bool good = read_choice(c, a, no_yes, 2, &choice, "yes or no");
        c->hpet = choice == 1;
        return good;
    }
    if (strcmp(name, "on-reset") == 0) {
        bool good = read_choice(c, a, resets, 2, &choice, "restart or end");
        c->end_on_reset = choice == 1;
        return good;
    }
    if (strcmp(name, "fault") == 0) {
        bool good = read_choice(c, a, faults, 5, &choice, "none, write, code, scribble or state");
        c->fault = (enum config_fault)choice;
        return good;
    }
    format_string(c->error, sizeof c->error, "<config> has no attribute %s", name);
    return false;
}

static bool element(void *context, unsigned line, const char *name, const struct xml_attribute *attributes, size_t count)
{
    struct config *c = context;

    (void)line;
    if (strcmp(name, "config") != 0) {
        format_string(c->error, sizeof c->error, "no element <%s> is known", name);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!read_attribute(c, &attributes[i]))
            return false;
    return true;
}

bool config_read(struct config *config, const char *text, size_t size)
{
    static const struct xml_handler handler = {.start = element};
    static struct xml_parser parser;
    enum xml_status status;

    memset(config, 0, sizeof *config);
    config->vcpus = 1;
    status = xml_parse(&parser, text, size, &handler, config);
    if (status != XML_OK && status != XML_STOPPED)
        format_string(config->error, sizeof config->error, "line %u: %s", parser.line, parser.message);
    if (status == XML_OK && !config->memory)
        format_string(config->error, sizeof config->error, "memory= is missing");
    if (status == XML_OK && !config->kernel[0])
        format_string(config->error, sizeof config->error, "kernel= is missing");
    return config->error[0] == 0;
}
