/* SPDX-License-Identifier: MIT */
/* The generator of XML documents. A document stops growing well before the buffer is full. */
#include "tests/unit/xml_generate.h"

#include <string.h>

#include "lib/align.h"
#include "tests/unit/random.h"

struct generator {
    char *bytes;
    size_t size;
    uint64_t *seed;
};

enum {
    GROWTH_END = XML_GENERATE_MAX / 2, // from here on nothing new is opened
    DEPTH_MAX = 12
};

static const char *const names[] = {
    "a", "b", "Machine", "x:y", "_", "A-1.z", ":", "\xc3\xa9t\xc3\xa9", "HardDisk", "xm", "xmlish",
};

static const char *const words[] = {
    "text", " ", "\n", "\r\n", "\r", "\t", "]]", "]", ">", "&lt;", "&gt;", "&amp;", "&quot;",
    "&apos;", "&#65;", "&#x20AC;", "&#10;", "&#xD;", "&#9;", "&#x10FFFF;", "\xc3\xa4",
    "\xe2\x82\xac", "\xf0\x9f\x98\x80", "0", "=", "/", "-", "--", "?", "!", "\x7f",
    "\xef\xbb\xbf", "\xee\x80\x80",
};

/* What breaks documents, and now and then does not. */
static const char *const tokens[] = {
    "<", "</", ">", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<?xml version='1.0'?>",
    "<?xml", "<!DOCTYPE", "&", "&#", "&#x", ";", "&nbsp;", "&#0;", "&#xD800;", "&#xFFFF;",
    "&#x110000;", "&lt", "'", "\"", "=", " ", "a", "b", "<a>", "</a>", "<a", " a='1'", " b=\"2\"",
    "--", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xef\xbf\xbe", "\xef\xbf\xbf", "\xf4\x90\x80\x80",
    "\xe2\x82", "\x01", "\x1f", "\r", "\n", "xml", "XML", "version='1.1'", "encoding='utf-8'",
    "encoding='latin1'", "standalone='yes'",
};

#define PICK(g, array) ((array)[random_below((g)->seed, ARRAY_SIZE(array))])

static bool chance(struct generator *g, unsigned one_in)
{
    return random_below(g->seed, one_in) == 0;
}

static void put(struct generator *g, const char *text)
{
    size_t size = strlen(text);

    if (range_fits(g->size, size, XML_GENERATE_MAX)) {
        memcpy(g->bytes + g->size, text, size);
        g->size += size;
    }
}

static void put_space(struct generator *g, unsigned at_least)
{
    static const char *const spaces[] = { " ", "\n", "\t", "\r\n", "\r" };

    for (size_t count = at_least + random_below(g->seed, 2); count; count--)
        put(g, PICK(g, spaces));
}

/* Words without those that the forbidden text begins. */
static void put_words(struct generator *g, const char *forbidden)
{
    for (size_t count = random_below(g->seed, 6); count; count--) {
        const char *word = PICK(g, words);

        if (!strpbrk(word, forbidden))
            put(g, word);
    }
}

static void put_comment(struct generator *g)
{
    put(g, "<!--");
    put_words(g, "-");
    put(g, "-->");
}

static void put_instruction(struct generator *g)
{
    put(g, "<?");
    put(g, PICK(g, names));
    if (chance(g, 2)) {
        put_space(g, 1);
        put_words(g, "?");
    }
    put(g, "?>");
}

static void put_cdata(struct generator *g)
{
    put(g, "<![CDATA[");
    put_words(g, "]");
    if (chance(g, 3))
        put(g, "<&amp;]] ]>");
    put(g, "]]>");
}

static void put_attributes(struct generator *g)
{
    static const char *const quotes[] = { "'", "\"" };
    uint64_t used = 0;

    for (size_t count = random_below(g->seed, 5); count; count--) {
        size_t index = random_below(g->seed, ARRAY_SIZE(names));
        const char *quote = PICK(g, quotes);

        if (used & BIT(index))
            continue;
        used |= BIT(index);
        put_space(g, 1);
        put(g, names[index]);
        put_space(g, 0);
        put(g, "=");
        put_space(g, 0);
        put(g, quote);
        put_words(g, "<");
        put(g, quote);
    }
}

static void put_element(struct generator *g, unsigned depth);

static void put_content(struct generator *g, unsigned depth)
{
    for (size_t count = random_below(g->seed, 8); count && g->size < GROWTH_END; count--) {
        switch (random_below(g->seed, 8)) {
        case 0:
            put_comment(g);
            break;
        case 1:
            put_instruction(g);
            break;
        case 2:
            put_cdata(g);
            break;
        case 3:
        case 4:
            if (depth < DEPTH_MAX)
                put_element(g, depth + 1);
            break;
        default:
            put_words(g, ">");
            break;
        }
    }
}

static void put_element(struct generator *g, unsigned depth)
{
    const char *name = PICK(g, names);

    put(g, "<");
    put(g, name);
    put_attributes(g);
    put_space(g, 0);
    if (chance(g, 4)) {
        put(g, "/>");
        return;
    }
    put(g, ">");
    put_content(g, depth);
    put(g, "</");
    put(g, name);
    put_space(g, 0);
    put(g, ">");
}

static void put_misc(struct generator *g)
{
    for (size_t count = random_below(g->seed, 3); count; count--) {
        put_space(g, 0);
        if (chance(g, 2))
            put_comment(g);
        else
            put_instruction(g);
    }
    put_space(g, 0);
}

static void put_declaration(struct generator *g)
{
    put(g, "<?xml");
    put_space(g, 1);
    put(g, chance(g, 4) ? "version = '1.1'" : "version=\"1.0\"");
    if (chance(g, 2)) {
        put_space(g, 1);
        put(g, chance(g, 2) ? "encoding=\"UTF-8\"" : "encoding='utf-8'");
    }
    if (chance(g, 3)) {
        put_space(g, 1);
        put(g, chance(g, 2) ? "standalone='yes'" : "standalone=\"no\"");
    }
    put_space(g, 0);
    put(g, "?>");
}

size_t xml_generate(char document[XML_GENERATE_MAX], uint64_t *seed)
{
    struct generator g = { .bytes = document, .seed = seed };

    if (chance(&g, 8))
        put(&g, "\xef\xbb\xbf");
    if (chance(&g, 2))
        put_declaration(&g);
    put_misc(&g);
    put_element(&g, 0);
    put_misc(&g);
    return g.size;
}

size_t xml_generate_tokens(char document[XML_GENERATE_MAX], uint64_t *seed)
{
    struct generator g = { .bytes = document, .seed = seed };

    if (chance(&g, 2))
        put(&g, "<a>");
    for (size_t count = random_below(seed, 20); count; count--)
        put(&g, chance(&g, 3) ? PICK(&g, words) : PICK(&g, tokens));
    if (chance(&g, 2))
        put(&g, "</a>");
    return g.size;
}

/* Put `size` bytes in the place of `removed` bytes at `at`. */
static size_t replace(char *document, size_t total, size_t at, size_t removed, const char *bytes,
                      size_t size)
{
    char copy[16];

    removed = MIN(removed, total - at);
    if (size > sizeof(copy) || total - removed + size > XML_GENERATE_MAX)
        return total;
    memcpy(copy, bytes, size); // the bytes may be the document's
    memmove(document + at + size, document + at + removed, total - at - removed);
    memcpy(document + at, copy, size);
    return total - removed + size;
}

size_t xml_mutate(char document[XML_GENERATE_MAX], size_t size, uint64_t *seed)
{
    struct generator g = { .seed = seed };

    for (size_t count = 1 + random_below(seed, 3); count && size > 0; count--) {
        size_t at = random_below(seed, size), length = MIN(1 + random_below(seed, 8), size - at);
        const char *token = PICK(&g, tokens);
        char byte = (char)random_u64(seed);

        switch (random_below(seed, 6)) {
        case 0:
            size = replace(document, size, at, 1, &byte, 1);
            break;
        case 1:
            size = replace(document, size, at, length, "", 0);
            break;
        case 2:
            size = replace(document, size, random_below(seed, size), 0, document + at, length);
            break;
        case 3:
            size = at; // cut off
            break;
        default:
            size = replace(document, size, at, random_below(seed, 2), token, strlen(token));
            break;
        }
    }
    return size;
}
