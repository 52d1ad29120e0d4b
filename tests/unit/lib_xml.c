/* SPDX-License-Identifier: MIT */
/* lib/xml.h and lib/utf8.h: chosen documents, the limits, and random documents against expat. */
#include "lib/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/utf8.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "tests/unit/xml_generate.h"
#include "tests/unit/xml_oracle.h"

static struct xml_parser parser;

struct sample {
    const char *document;
    enum xml_status status;
    unsigned line; // of the error
};

static const struct sample samples[] = {
    { "<a/>", XML_OK, 0 },
    { "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\" standalone='no' ?>\n"
      "<a b='c' d = \"&lt;&#x41;\">x</a >\n", XML_OK, 0 },
    { "<?xml-stylesheet href='x'?><a>&#10;\r\n<![CDATA[<b>]]]]>]]&gt;</a><!-- end -->", XML_OK, 0 },
    { "<a-.0\xc2\xb7\xcc\x80/>", XML_OK, 0 },
    { "<\xc2\xb7/>", XML_MALFORMED, 1 },
    { "", XML_MALFORMED, 1 },
    { "\n\n  text", XML_MALFORMED, 3 },
    { "<a>\n<b>\n</a>", XML_MALFORMED, 3 },
    { "<a>\r\n\r</b>", XML_MALFORMED, 3 },
    { "<a b='1'\n b='2'/>", XML_MALFORMED, 2 },
    { "<a b='1'c='2'/>", XML_MALFORMED, 1 },
    { "<a b=1/>", XML_MALFORMED, 1 },
    { "<a b='<'/>", XML_MALFORMED, 1 },
    { "<a>&nbsp;</a>", XML_MALFORMED, 1 },
    { "<a>&#0;</a>", XML_MALFORMED, 1 },
    { "<a>&#x;</a>", XML_MALFORMED, 1 },
    { "<a>&#xD800;</a>", XML_MALFORMED, 1 },
    { "<a>&#99999999999999999999;</a>", XML_MALFORMED, 1 },
    { "<a>]]></a>", XML_MALFORMED, 1 },
    { "<a><!-- -- --></a>", XML_MALFORMED, 1 },
    { "<a><!-- --->", XML_MALFORMED, 1 },
    { "<a>\xc0\x80</a>", XML_MALFORMED, 1 },
    { "<a>\xed\xa0\x80</a>", XML_MALFORMED, 1 },
    { "<a>\xef\xbf\xbf</a>", XML_MALFORMED, 1 },
    { "<a>\x01</a>", XML_MALFORMED, 1 },
    { " <?xml version='1.0'?><a/>", XML_MALFORMED, 1 },
    { "<?xml?><a/>", XML_MALFORMED, 1 },
    { "<?XML ?><a/>", XML_MALFORMED, 1 },
    { "<a/><b/>", XML_MALFORMED, 1 },
    { "<a/>text", XML_MALFORMED, 1 },
    { "<a/><![CDATA[]]>", XML_MALFORMED, 1 },
    { "<a", XML_MALFORMED, 1 },
    { "<a>", XML_MALFORMED, 1 },
    { "<a><![CDATA[", XML_MALFORMED, 1 },
    { "<1/>", XML_MALFORMED, 1 },
    { "<!-- -->\n<!DOCTYPE a><a/>", XML_UNSUPPORTED, 2 },
    { "<?xml version='1.0' encoding='ISO-8859-1'?><a/>", XML_UNSUPPORTED, 1 },
    { "<?xml version='2.0'?><a/>", XML_UNSUPPORTED, 1 },
    { "\xff\xfe<", XML_UNSUPPORTED, 1 },
};

static void check_samples(void)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *sample = &samples[i];
        struct xml_verdict verdict = xml_oracle_compare(sample->document, strlen(sample->document));

        if (!ok(verdict.ours == sample->status && verdict.agrees &&
                (verdict.ours == XML_OK || verdict.our_line == sample->line), "sample %zu", i))
            tap_note("status %d, line %u: %s; expat: %s", verdict.ours, verdict.our_line,
                     verdict.our_message,
                     verdict.expat_message ? verdict.expat_message : "accepted");
    }
}

static enum xml_status parse(const char *document, const struct xml_handler *handler, void *context)
{
    return xml_parse(&parser, document, strlen(document), handler, context);
}

static bool stop_at_b(void *context, unsigned line, const char *name,
                      const struct xml_attribute *attributes, size_t count)
{
    const char **value = context;

    if (strcmp(name, "b") != 0)
        return true;
    *value = line == 2 && xml_attribute(attributes, count, "none") == NULL &&
             strcmp(xml_attribute(attributes, count, "key"), "a & b") == 0 ? "right" : "wrong";
    return false;
}

static void check_handler(void)
{
    struct xml_handler handler = { .start = stop_at_b };
    const char *value = NULL;

    ok(parse("<a>\n<b x='y' key='a &amp; b'>", &handler, &value) == XML_STOPPED,
       "the handler stops the parse");
    is_str(value, "right", "it saw the line and the attributes");
    ok(parse("<a><c/></a>", &handler, &value) == XML_OK,
       "handlers that are not set are not called");
}

/* Repeat a piece count times between a head and a tail, with a number in the place of each #. */
static enum xml_status parse_repeated(const char *head, const char *piece, size_t count,
                                      const char *tail)
{
    static const struct xml_handler handler = { 0 };
    char *document;
    size_t size;
    FILE *stream = open_memstream(&document, &size);
    enum xml_status status;

    fputs(head, stream);
    for (size_t i = 0; i < count; i++) {
        for (const char *c = piece; *c; c++) {
            if (*c == '#')
                fprintf(stream, "%zu", i);
            else
                fputc(*c, stream);
        }
    }
    fputs(tail, stream);
    fclose(stream);
    status = xml_parse(&parser, document, size, &handler, NULL);
    free(document);
    return status;
}

static void check_limits(void)
{
    ok(parse_repeated("", "<a>", XML_DEPTH_MAX + 1, "") == XML_LIMIT, "one element too deep");
    ok(parse_repeated("", "<a>", XML_DEPTH_MAX, "") == XML_MALFORMED, "the deepest is reached");
    ok(parse_repeated("<a", " n#=''", XML_ATTRIBUTES_MAX, "/>") == XML_OK,
       "as many attributes as allowed");
    ok(parse_repeated("<a", " n#=''", XML_ATTRIBUTES_MAX + 1, "/>") == XML_LIMIT,
       "one attribute too many");
    ok(parse_repeated("<", "n", XML_NAME_MAX, "/>") == XML_OK, "the longest name");
    ok(parse_repeated("<", "n", XML_NAME_MAX + 1, "/>") == XML_LIMIT, "one byte longer");
    ok(parse_repeated("<a b='", "v", XML_SCRATCH - 5, "'/>") == XML_OK, "the longest tag");
    ok(parse_repeated("<a b='", "v", XML_SCRATCH - 4, "'/>") == XML_LIMIT, "one byte longer");
    ok(parse_repeated("<a>", "0123456789", 100000, "</a>") == XML_OK, "text has no limit");
}

static void check_utf8(void)
{
    unsigned right = 0, expected = 0;

    for (uint32_t c = 0; c < 0x120000; c++) {
        bool valid = c < 0xd800 || (c > 0xdfff && c < 0x110000);
        char text[UTF8_MAX];
        uint32_t back = ~c;
        size_t size = utf8_encode(text, c);

        expected++;
        if (valid)
            right += utf8_decode(text, size, &back) == size && back == c &&
                     utf8_decode(text, size - 1, &back) == 0;
        else
            right += utf8_decode(text, size, &back) == 0;
    }
    is_u64(right, expected, "UTF-8 of every character, there and back");
}

/* Every character in more bytes than it needs. */
static void check_overlong(void)
{
    unsigned accepted = 0;

    for (uint32_t c = 0; c < 0x10000; c++) {
        char four[] = { (char)0xf0, (char)(0x80 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)),
                        (char)(0x80 | (c & 0x3f)) };
        char three[] = { (char)(0xe0 | c >> 12), four[2], four[3] };
        char two[] = { (char)(0xc0 | c >> 6), four[3] };
        uint32_t back;

        accepted += utf8_decode(four, 4, &back) != 0;
        accepted += c < 0x800 && utf8_decode(three, 3, &back) != 0;
        accepted += c < 0x80 && utf8_decode(two, 2, &back) != 0;
    }
    is_u64(accepted, 0, "overlong UTF-8 is invalid");
}

typedef size_t generate(char *document, uint64_t *seed);

static size_t generate_broken(char *document, uint64_t *seed)
{
    return xml_mutate(document, xml_generate(document, seed), seed);
}

/* Returns how many were accepted by both. */
static unsigned check_against_expat(const char *what, generate *source, unsigned rounds,
                                    uint64_t seed)
{
    static char document[XML_GENERATE_MAX];
    unsigned agreed = 0, accepted = 0;

    for (unsigned i = 0; i < rounds; i++) {
        size_t size = source(document, &seed);
        char *copy = malloc(size ? size : 1); // exactly as large, for the sanitizer
        struct xml_verdict verdict;

        memcpy(copy, document, size);
        verdict = xml_oracle_compare(copy, size);
        if (!verdict.agrees)
            tap_note("%s %u: status %d, line %u: %s; expat: %s; %.*s", what, i, verdict.ours,
                     verdict.our_line, verdict.our_message,
                     verdict.expat_message ? verdict.expat_message : "accepted", (int)size,
                     document);
        agreed += verdict.agrees;
        accepted += verdict.agrees && verdict.ours == XML_OK;
        free(copy);
    }
    ok(agreed == rounds, "%u %s documents: expat agrees (%u accepted)", rounds, what, accepted);
    return accepted;
}

int main(int count, char **arguments)
{
    unsigned rounds = count > 1 ? (unsigned)strtoul(arguments[1], NULL, 0) : 10000;
    unsigned accepted;

    check_samples();
    check_handler();
    check_limits();
    check_utf8();
    check_overlong();
    is_u64(check_against_expat("well-formed", xml_generate, rounds, 7), rounds,
           "all of them were accepted");
    accepted = check_against_expat("broken", generate_broken, rounds, 8);
    ok(accepted > rounds / 50 && accepted < rounds / 2,
       "some breaks leave a document whole, most do not");
    check_against_expat("token", xml_generate_tokens, rounds * 4, 9);
    return tap_done();
}
