/* SPDX-License-Identifier: MIT */
/* Init's configuration: what is read, and what is refused with a message. */
#include "framework/init/config.h"
#include "framework/layout.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

static char text[8192];

static bool read_it(struct init_config *config, const char *document)
{
    return config_read(config, document, strlen(document), text, sizeof text) == STATUS_OK;
}

static void refused(const char *document, const char *message)
{
    static struct init_config config;
    bool read = read_it(&config, document);

    ok(!read && strstr(config.error, message), "refused with \"%s\"", message);
    if (read || !strstr(config.error, message))
        tap_note("%s: %s", document, read ? "was read" : config.error);
}

static void full(void)
{
    static struct init_config c;
    const struct start *s;

    ok(read_it(&c, "<?xml version=\"1.0\"?>\n<config>\n"
                   "<start name=\"vmm1\" binary=\"vmm\" ram=\"300M\" kernel=\"1M\" objects=\"100\" cpu=\"0-1,3\" priority=\"7\"\n"
                   "       restart=\"on-fault\" authority=\"vm log\">\n"
                   "  <config a=\"&lt;1&gt;\"><b>x &amp; y</b><c/></config>\n"
                   "  <provides><service name=\"one\"/><service name=\"two\"/></provides>\n"
                   "  <route><service name=\"ROM\" label=\"kernel\"><parent label=\"bzImage\"/></service>\n"
                   "    <service name=\"IO_PORT\" base=\"0x3f8\" size=\"8\"><parent/></service>\n"
                   "    <service name=\"terminal\"><child name=\"mux\"/></service></route>\n"
                   "</start><start name=\"mux\"/></config>"),
       "a full configuration");
    ok(c.count == 2, "two children");
    s = &c.start[0];
    is_str(s->name, "vmm1", "name");
    is_str(s->binary, "vmm", "binary");
    is_u64(s->ram, 300ull << 20, "ram");
    is_u64(s->kernel, 1 << 20, "kernel");
    is_u64(s->objects, 100, "objects");
    is_u64(s->cpu_mask, 0xb, "cpus");
    is_u64(s->priority, 7, "priority");
    is_u64(s->restart, RESTART_ON_FAULT, "restart");
    is_u64(s->authority, AUTHORITY_VM | AUTHORITY_LOG, "authority");
    is_u64(s->provides_count, 2, "services");
    is_str(s->provides[1], "two", "second service");
    is_u64(s->route_count, 3, "routes");
    ok(s->routes[0].to_parent && !s->routes[0].any_label, "ROM route to the parent, one label");
    is_str(s->routes[0].new_label, "bzImage", "its new label");
    ok(s->routes[1].base == 0x3f8 && s->routes[1].size == 8 && s->routes[1].any_label, "port range");
    is_str(s->routes[2].child, "mux", "route to a child");
    c.text[s->config + s->config_size] = 0;
    is_str(c.text + s->config, "<config a=\"&lt;1&gt;\"><b>x &amp; y</b><c/></config>", "its own configuration");
    is_str(c.start[1].binary, "mux", "the binary is the name by default");
    is_u64(c.start[1].authority, 0, "no authority by default");
    is_u64(c.start[1].cpu_mask, 1, "CPU 0 by default");
}

int main(void)
{
    full();
    refused("<konfig/>", "expected <config>");
    refused("<config><start/></config>", "needs a name");
    refused("<config><start name=\"a\"/><start name=\"a\"/></config>", "two <start");
    refused("<config>\n<start name=\"a\" rma=\"1M\"/></config>", "line 2: <start> has no attribute rma");
    refused("<config><start name=\"a\" ram=\"1X\"/></config>", "not a size");
    refused("<config><start name=\"a\" ram=\"-1\"/></config>", "not a size");
    refused("<config><start name=\"a\" cpu=\"2-1\"/></config>", "not a list");
    refused("<config><start name=\"a\" cpu=\"64\"/></config>", "not a list");
    refused("<config><start name=\"a\" cpu=\"0,\"/></config>", "not a list");
    refused("<config><start name=\"a\" priority=\"127\"/></config>", "not a number up to 126");
    refused("<config><start name=\"a\" priority=\"0\"/></config>", "priority 0");
    refused("<config><start name=\"a\" authority=\"everything\"/></config>", "expected words of");
    refused("<config><start name=\"a\" restart=\"maybe\"/></config>", "not always");
    refused("<config><start name=\"a\"><route><service name=\"ROM\"/></route></start></config>", "no target");
    refused("<config><start name=\"a\"><route><service name=\"ROM\"><parent/><parent/></service></route></start></config>",
            "two targets");
    refused("<config><start name=\"a\"><rout/></start></config>", "<rout> is not known here");
    refused("<config>words</config>", "text where there should be none");
    refused("<config><start name=\"a\">", "line 1");
    refused("<config><start name=\"0123456789012345678901234567890123456789012345678901234567890123456789\"/></config>", "too long");
    return tap_done();
}
