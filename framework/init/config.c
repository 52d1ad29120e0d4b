/* SPDX-License-Identifier: MIT */
/* From XML to tables. */
#include "framework/init/config.h"
#include "framework/layout.h"
#include "lib/format.h"
#include "lib/string.h"
#include "lib/text.h"
#include "lib/xml.h"

enum place { AT_TOP, IN_CONFIG, IN_START, IN_OWN, IN_PROVIDES, IN_ROUTE, IN_SERVICE, IN_LEAF };

struct reader {
    struct init_config *config;
    enum place place;
    enum place leaf_parent;
    unsigned   own_depth; // of elements inside a child's configuration
    unsigned   line;
    bool       open_tag;  // "<x" was written, but not yet ">"
};

__attribute__((format(printf, 2, 3)))
static bool fail(struct reader *r, const char *format, ...)
{
    size_t at = format_string(r->config->error, sizeof r->config->error, "line %u: ", r->line);
    va_list arguments;

    va_start(arguments, format);
    format_string_va(r->config->error + at, sizeof r->config->error - at, format, arguments);
    va_end(arguments);
    return false;
}

static struct start *last(struct reader *r)
{
    return &r->config->start[r->config->count - 1];
}

/* --- Values --- */

static bool set_text(struct reader *r, char *to, size_t size, const struct xml_attribute *a)
{
    return text_copy(to, size, a->value) || fail(r, "%s=\"%s\" is too long", a->name, a->value);
}

static bool set_size(struct reader *r, uint64_t *to, const struct xml_attribute *a)
{
    return text_to_size(a->value, strlen(a->value), to) || fail(r, "%s=\"%s\" is not a size such as 64M", a->name, a->value);
}

static bool set_number(struct reader *r, uint64_t *to, uint64_t max, const struct xml_attribute *a)
{
    return (text_to_u64(a->value, strlen(a->value), to) && *to <= max) ||
           fail(r, "%s=\"%s\" is not a number up to %lu", a->name, a->value, max);
}

/* "0", "1-3", "0,2", "all". */
static bool set_cpus(struct reader *r, uint64_t *mask, const struct xml_attribute *a)
{
    const char *at = a->value;

    *mask = 0;
    if (strcmp(at, "all") == 0) {
        *mask = ~0ull;
        return true;
    }
    while (*at) {
        uint64_t first, end;
        size_t size = 0;

        while (at[size] >= '0' && at[size] <= '9')
            size++;
        if (!text_to_u64(at, size, &first))
            break;
        end = first;
        at += size;
        if (*at == '-') {
            at++;
            for (size = 0; at[size] >= '0' && at[size] <= '9'; size++)
                ;
            if (!text_to_u64(at, size, &end))
                break;
            at += size;
        }
        if (first > end || end >= ABI_CPU_MAX)
            break;
        for (; first <= end; first++)
            *mask |= 1ull << first;
        if (*at == 0)
            return true;
        if (*at++ != ',')
            break;
    }
    return fail(r, "cpu=\"%s\" is not a list such as 0-1,3", a->value);
}

static bool set_restart(struct reader *r, enum restart_policy *policy, const struct xml_attribute *a)
{
    static const char *const names[] = {[RESTART_NEVER] = "never", [RESTART_ON_FAULT] = "on-fault", [RESTART_ALWAYS] = "always"};

    for (unsigned i = 0; i < 3; i++)
        if (strcmp(a->value, names[i]) == 0) {
            *policy = (enum restart_policy)i;
            return true;
        }
    return fail(r, "restart=\"%s\" is not always, on-fault or never", a->value);
}

static bool set_authority(struct reader *r, uint32_t *authority, const struct xml_attribute *a)
{
    static const struct {
        const char *name;
        uint32_t    bit;
    } names[] = {{"children", AUTHORITY_CHILDREN}, {"rom", AUTHORITY_ROM}, {"device", AUTHORITY_DEVICE},
                 {"log", AUTHORITY_LOG}, {"vm", AUTHORITY_VM}};
    const char *at = a->value;

    while (*at) {
        size_t size = 0;
        bool known = false;

        while (at[size] && at[size] != ' ')
            size++;
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
            if (text_equals(at, size, names[i].name)) {
                *authority |= names[i].bit;
                known = true;
            }
        if (!known)
            return fail(r, "authority=\"%s\": expected words of children, rom, device, log, vm", a->value);
        at += size;
        while (*at == ' ')
            at++;
    }
    return true;
}

/* --- Elements --- */

static bool start_attribute(struct reader *r, struct start *s, const struct xml_attribute *a)
{
    uint64_t number;

    if (strcmp(a->name, "name") == 0)
        return set_text(r, s->name, sizeof s->name, a);
    if (strcmp(a->name, "binary") == 0)
        return set_text(r, s->binary, sizeof s->binary, a);
    if (strcmp(a->name, "ram") == 0)
        return set_size(r, &s->ram, a);
    if (strcmp(a->name, "kernel") == 0)
        return set_size(r, &s->kernel, a);
    if (strcmp(a->name, "objects") == 0)
        return set_number(r, &s->objects, 100000, a);
    if (strcmp(a->name, "cpu") == 0)
        return set_cpus(r, &s->cpu_mask, a);
    if (strcmp(a->name, "restart") == 0)
        return set_restart(r, &s->restart, a);
    if (strcmp(a->name, "authority") == 0)
        return set_authority(r, &s->authority, a);
    if (strcmp(a->name, "priority") == 0) {
        if (!set_number(r, &number, ABI_PRIO_MAX - 1, a))
            return false;
        s->priority = (uint32_t)number;
        return number != 0 || fail(r, "priority 0 is not for components");
    }
    return fail(r, "<start> has no attribute %s", a->name);
}

static bool start_element(struct reader *r, const struct xml_attribute *attributes, size_t count)
{
    struct start *s;

    if (r->config->count == START_MAX)
        return fail(r, "more than %u <start>", START_MAX);
    s = &r->config->start[r->config->count++];
    memset(s, 0, sizeof *s);
    s->ram = 4ull << 20;
    s->kernel = 512ull << 10;
    s->objects = 32;
    s->priority = 32;
    s->cpu_mask = 1;
    for (size_t i = 0; i < count; i++)
        if (!start_attribute(r, s, &attributes[i]))
            return false;
    if (!s->name[0])
        return fail(r, "<start> needs a name");
    for (unsigned i = 0; i + 1 < r->config->count; i++)
        if (strcmp(r->config->start[i].name, s->name) == 0)
            return fail(r, "there are two <start name=\"%s\">", s->name);
    if (!s->binary[0])
        text_copy(s->binary, sizeof s->binary, s->name);
    return true;
}

static bool provides_element(struct reader *r, const struct xml_attribute *attributes, size_t count)
{
    struct start *s = last(r);

    if (s->provides_count == PROVIDES_MAX || count != 1 || strcmp(attributes[0].name, "name") != 0)
        return fail(r, "<provides> holds up to %u <service name=\"...\"/>", PROVIDES_MAX);
    return set_text(r, s->provides[s->provides_count++], NAME_SIZE, &attributes[0]);
}

static bool service_element(struct reader *r, const struct xml_attribute *attributes, size_t count)
{
    struct start *s = last(r);
    struct route *route;

    if (s->route_count == ROUTE_MAX)
        return fail(r, "more than %u routes", ROUTE_MAX);
    route = &s->routes[s->route_count++];
    memset(route, 0, sizeof *route);
    route->any_label = true;
    for (size_t i = 0; i < count; i++) {
        const struct xml_attribute *a = &attributes[i];
        bool ok;

        if (strcmp(a->name, "name") == 0) {
            ok = set_text(r, route->service, sizeof route->service, a);
        } else if (strcmp(a->name, "label") == 0) {
            ok = set_text(r, route->label, sizeof route->label, a);
            route->any_label = false;
        } else if (strcmp(a->name, "base") == 0) {
            ok = set_size(r, &route->base, a);
        } else if (strcmp(a->name, "size") == 0) {
            ok = set_size(r, &route->size, a);
        } else {
            return fail(r, "<service> has no attribute %s", a->name);
        }
        if (!ok)
            return false;
    }
    return route->service[0] || fail(r, "<service> needs a name");
}

static bool target_element(struct reader *r, bool parent, const struct xml_attribute *attributes, size_t count)
{
    struct route *route = &last(r)->routes[last(r)->route_count - 1];

    if (route->to_parent || route->child[0])
        return fail(r, "<service> has two targets");
    route->to_parent = parent;
    for (size_t i = 0; i < count; i++) {
        const struct xml_attribute *a = &attributes[i];

        if (strcmp(a->name, "label") == 0) {
            if (!set_text(r, route->new_label, sizeof route->new_label, a))
                return false;
        } else if (!parent && strcmp(a->name, "name") == 0) {
            if (!set_text(r, route->child, sizeof route->child, a))
                return false;
        } else {
            return fail(r, "<%s> has no attribute %s", parent ? "parent" : "child", a->name);
        }
    }
    return parent || route->child[0] || fail(r, "<child> needs a name");
}

/* --- A child's own configuration, written out again --- */

static bool emit(struct reader *r, const char *text, size_t size)
{
    struct init_config *c = r->config;

    if (size > c->text_size - c->text_used)
        return fail(r, "the children's configurations are too large");
    memcpy(c->text + c->text_used, text, size);
    c->text_used += size;
    return true;
}

static bool emit_string(struct reader *r, const char *text)
{
    return emit(r, text, strlen(text));
}

static bool emit_escaped(struct reader *r, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool ok = text[i] == '<'    ? emit_string(r, "&lt;")
                  : text[i] == '>'  ? emit_string(r, "&gt;")
                  : text[i] == '&'  ? emit_string(r, "&amp;")
                  : text[i] == '"'  ? emit_string(r, "&quot;")
                  : text[i] == '\n' ? emit_string(r, "&#10;")
                                    : emit(r, &text[i], 1);

        if (!ok)
            return false;
    }
    return true;
}

static bool close_tag(struct reader *r)
{
    bool open = r->open_tag;

    r->open_tag = false;
    return !open || emit_string(r, ">");
}

static bool own_start(struct reader *r, const char *name, const struct xml_attribute *attributes, size_t count)
{
    if (!close_tag(r) || !emit_string(r, "<") || !emit_string(r, name))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!emit_string(r, " ") || !emit_string(r, attributes[i].name) || !emit_string(r, "=\"") ||
            !emit_escaped(r, attributes[i].value, strlen(attributes[i].value)) || !emit_string(r, "\""))
            return false;
    r->open_tag = true;
    r->own_depth++;
    return true;
}

static bool own_end(struct reader *r, const char *name)
{
    bool empty = r->open_tag;

    r->open_tag = false;
    r->own_depth--;
    if (empty)
        return emit_string(r, "/>");
    return emit_string(r, "</") && emit_string(r, name) && emit_string(r, ">");
}

/* --- Events --- */

static bool enter(struct reader *r, enum place place, bool ok)
{
    r->place = place;
    return ok;
}

static bool on_start(void *context, unsigned line, const char *name, const struct xml_attribute *attributes, size_t count)
{
    struct reader *r = context;

    r->line = line;
    switch (r->place) {
    case AT_TOP:
        return strcmp(name, "config") == 0 ? enter(r, IN_CONFIG, true) : fail(r, "expected <config>, found <%s>", name);
    case IN_CONFIG:
        if (strcmp(name, "start") == 0)
            return enter(r, IN_START, start_element(r, attributes, count));
        break;
    case IN_START:
        if (strcmp(name, "config") == 0) {
            last(r)->config = r->config->text_used;
            r->own_depth = 0;
            return enter(r, IN_OWN, own_start(r, name, attributes, count));
        }
        if (strcmp(name, "provides") == 0)
            return enter(r, IN_PROVIDES, true);
        if (strcmp(name, "route") == 0)
            return enter(r, IN_ROUTE, true);
        break;
    case IN_OWN:
        return own_start(r, name, attributes, count);
    case IN_PROVIDES:
        r->leaf_parent = IN_PROVIDES;
        if (strcmp(name, "service") == 0)
            return enter(r, IN_LEAF, provides_element(r, attributes, count));
        break;
    case IN_ROUTE:
        if (strcmp(name, "service") == 0)
            return enter(r, IN_SERVICE, service_element(r, attributes, count));
        break;
    case IN_SERVICE:
        r->leaf_parent = IN_SERVICE;
        if (strcmp(name, "child") == 0 || strcmp(name, "parent") == 0)
            return enter(r, IN_LEAF, target_element(r, name[0] == 'p', attributes, count));
        break;
    case IN_LEAF:
        break;
    }
    return fail(r, "<%s> is not known here", name);
}

static bool on_text(void *context, const char *text, size_t size)
{
    struct reader *r = context;

    if (r->place == IN_OWN)
        return close_tag(r) && emit_escaped(r, text, size);
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]))
            return fail(r, "text where there should be none: \"%.*s\"", (int)(size > 40 ? 40 : size), text);
    return true;
}

static bool on_end(void *context, const char *name)
{
    struct reader *r = context;

    switch (r->place) {
    case IN_OWN:
        if (!own_end(r, name))
            return false;
        if (r->own_depth == 0) {
            last(r)->config_size = r->config->text_used - last(r)->config;
            r->place = IN_START;
        }
        return true;
    case IN_LEAF:
        r->place = r->leaf_parent;
        return true;
    case IN_SERVICE:
        r->place = IN_ROUTE;
        return last(r)->routes[last(r)->route_count - 1].to_parent || last(r)->routes[last(r)->route_count - 1].child[0] ||
               fail(r, "<service> has no target");
    case IN_PROVIDES:
    case IN_ROUTE:
        r->place = IN_START;
        return true;
    case IN_START:
        r->place = IN_CONFIG;
        return true;
    default:
        r->place = AT_TOP;
        return true;
    }
}

enum status config_read(struct init_config *config, const char *document, size_t size, char *text, size_t text_size)
{
    static const struct xml_handler handler = {.start = on_start, .text = on_text, .end = on_end};
    struct reader reader = {.config = config, .place = AT_TOP};
    struct xml_parser parser;
    enum xml_status status;

    config->count = 0;
    config->text = text;
    config->text_size = text_size;
    config->text_used = 0;
    config->error[0] = 0;
    status = xml_parse(&parser, document, size, &handler, &reader);
    if (status == XML_OK)
        return STATUS_OK;
    if (status != XML_STOPPED || !config->error[0])
        format_string(config->error, sizeof config->error, "line %u: %s", parser.line, parser.message);
    return STATUS_INVALID;
}
