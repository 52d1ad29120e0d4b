/* SPDX-License-Identifier: MIT */
/*
 * Init's configuration, read from XML (the format is in doc/framework.md) into fixed tables. Unknown elements and attributes
 * are errors, so that a misspelt restriction does not become no restriction.
 */
#ifndef FRAMEWORK_INIT_CONFIG_H
#define FRAMEWORK_INIT_CONFIG_H

#include "framework/parent.h"

#include <stddef.h>

#define START_MAX    48u
#define ROUTE_MAX    24u
#define PROVIDES_MAX 4u
#define NAME_SIZE    48u

enum restart_policy { RESTART_NEVER, RESTART_ON_FAULT, RESTART_ALWAYS };

struct route {
    char     service[NAME_SIZE];
    char     label[SESSION_NAME];     // the label asked for must be this
    bool     any_label;
    bool     to_parent;
    char     child[NAME_SIZE];
    char     new_label[SESSION_NAME]; // replaces the label, if not empty
    uint64_t base, size;              // words 0 and 1 (count) of the request must lie in here; size 0: no numbers are let through
};

struct start {
    char     name[NAME_SIZE];
    char     binary[SESSION_NAME];
    uint64_t ram;           // bytes
    uint64_t kernel;        // bytes
    uint64_t objects;
    uint32_t authority;
    uint32_t priority;
    uint64_t cpu_mask;
    enum restart_policy restart;
    char     provides[PROVIDES_MAX][NAME_SIZE];
    unsigned provides_count;
    struct route routes[ROUTE_MAX];
    unsigned route_count;
    size_t   config;        // its own configuration: offset and size in init_config.text
    size_t   config_size;
};

struct init_config {
    struct start start[START_MAX];
    unsigned count;
    char    *text;          // the caller's buffer for the children's configurations
    size_t   text_size;
    size_t   text_used;
    char     error[160];    // after a failure: where and why
};

/* `text` must be large enough for the children's configurations written out anew: twice the document and 4 KiB more do. */
enum status config_read(struct init_config *config, const char *document, size_t size, char *text, size_t text_size) MUST_CHECK;

#endif
