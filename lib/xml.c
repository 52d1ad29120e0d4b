/* SPDX-License-Identifier: MIT */
/*
 * The XML parser: recursive descent over the productions of XML 1.0 (numbers in brackets), with a
 * stack of open elements of its own. Every function that can fail returns false after fail() has
 * noted why; the first failure ends the parse.
 */
#include "lib/xml.h"

#include <stdint.h>

#include "lib/align.h"
#include "lib/string.h"
#include "lib/text.h"
#include "lib/utf8.h"

/* Bring the line number up to the present place. */
static void count_lines(struct xml_parser *p)
{
    for (; p->counted < p->at; p->counted++) {
        char c = *p->counted;
        bool pair = c == '\r' && p->counted + 1 < p->end && p->counted[1] == '\n';

        if (c == '\n' || (c == '\r' && !pair))
            p->line++;
    }
}

static bool fail(struct xml_parser *p, enum xml_status status, const char *message)
{
    count_lines(p);
    p->status = status;
    p->message = message;
    return false;
}

static bool malformed(struct xml_parser *p, const char *message)
{
    return fail(p, XML_MALFORMED, message);
}

/* The outcome of a handler's function. */
static bool go_on(struct xml_parser *p, bool wanted)
{
    return wanted || fail(p, XML_STOPPED, "stopped by the handler");
}

/* --- Characters --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Char [2] */
static bool is_character(uint32_t c)
{
    return c >= 0x20 ? c != 0xfffe && c != 0xffff && (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff
                     : c == '\t' || c == '\n' || c == '\r';
}

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}

/* NameStartChar [4] */
static bool is_name_start(uint32_t c)
{
    static const struct range ranges[] = {
        { 'a', 'z' },         { 'A', 'Z' },         { '_', '_' },         { ':', ':' },
        { 0xc0, 0xd6 },       { 0xd8, 0xf6 },       { 0xf8, 0x2ff },      { 0x370, 0x37d },
        { 0x37f, 0x1fff },    { 0x200c, 0x200d },   { 0x2070, 0x218f },   { 0x2c00, 0x2fef },
        { 0x3001, 0xd7ff },   { 0xf900, 0xfdcf },   { 0xfdf0, 0xfffd },   { 0x10000, 0xeffff },
    };

    return is_in(ranges, ARRAY_SIZE(ranges), c);
}

/* NameChar [4a] */
static bool is_name_character(uint32_t c)
{
    static const struct range ranges[] = {
        { '0', '9' }, { '-', '.' }, { 0xb7, 0xb7 }, { 0x300, 0x36f }, { 0x203f, 0x2040 },
    };

    return is_name_start(c) || is_in(ranges, ARRAY_SIZE(ranges), c);
}

static size_t left(const struct xml_parser *p)
{
    return (size_t)(p->end - p->at);
}

static bool at_byte(const struct xml_parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

static bool at_text(const struct xml_parser *p, const char *text)
{
    size_t size = strlen(text);

    return left(p) >= size && memcmp(p->at, text, size) == 0;
}

static bool accept(struct xml_parser *p, const char *text)
{
    if (!at_text(p, text))
        return false;
    p->at += strlen(text);
    return true;
}

static bool skip_space(struct xml_parser *p)
{
    const char *start = p->at;

    while (p->at < p->end && is_space(*p->at))
        p->at++;
    return p->at != start;
}

/* Pass one character of any kind that a document may hold. */
static bool pass_character(struct xml_parser *p)
{
    uint32_t c;
    size_t size = utf8_decode(p->at, left(p), &c);

    if (size == 0)
        return malformed(p, p->at == p->end ? "the document ends too early" : "invalid UTF-8");
    if (!is_character(c))
        return malformed(p, "a character that XML does not allow");
    p->at += size;
    return true;
}

/* Name [5] */
static bool pass_name(struct xml_parser *p)
{
    const char *start = p->at;
    uint32_t c;
    size_t size = utf8_decode(p->at, left(p), &c);

    if (size == 0 || !is_name_start(c))
        return malformed(p, "a name is expected here");
    while (size != 0 && is_name_character(c)) {
        p->at += size;
        size = utf8_decode(p->at, left(p), &c);
    }
    if (p->at - start > XML_NAME_MAX)
        return fail(p, XML_LIMIT, "the name is too long");
    return true;
}

/* Append to what this tag's strings take; the terminators too. */
static bool store(struct xml_parser *p, const char *text, size_t size)
{
    if (size > XML_SCRATCH - p->used)
        return fail(p, XML_LIMIT, "the tag is too long");
    memcpy(p->scratch + p->used, text, size);
    p->used += size;
    return true;
}

/* --- References --- */

/* The digits of a CharRef [66], after "&#". */
static bool parse_character_reference(struct xml_parser *p, uint32_t *character)
{
    bool hex = accept(p, "x");
    uint32_t value = 0;
    const char *start = p->at;

    for (; p->at < p->end && *p->at != ';'; p->at++) {
        char c = *p->at;
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                       : hex && c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                       : hex && c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 255;

        if (digit == 255)
            return malformed(p, "a digit is expected in a character reference");
        value = MIN(value * (hex ? 16 : 10) + digit, 0x110000u);
    }
    if (p->at == start || !accept(p, ";"))
        return malformed(p, "a character reference is not complete");
    if (!is_character(value))
        return malformed(p, "a reference to a character that XML does not allow");
    *character = value;
    return true;
}

/* Reference [67] to a character or a predefined entity (4.6), as UTF-8. */
static bool parse_reference(struct xml_parser *p, char text[UTF8_MAX], size_t *size)
{
    static const struct {
        const char *reference;
        char character;
    } entities[] = { { "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' }, { "&quot;", '"' },
                     { "&apos;", '\'' } };
    uint32_t character;

    if (accept(p, "&#")) {
        if (!parse_character_reference(p, &character))
            return false;
        *size = utf8_encode(text, character);
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
        if (accept(p, entities[i].reference)) {
            text[0] = entities[i].character;
            *size = 1;
            return true;
        }
    }
    return malformed(p, "an entity that is not defined");
}

/* --- Markup that yields no event --- */

/* Comment [15], after "<!--". */
static bool pass_comment(struct xml_parser *p)
{
    while (!accept(p, "--")) {
        if (!pass_character(p))
            return false;
    }
    return accept(p, ">") || malformed(p, "-- is not allowed inside a comment");
}

/* PI [16], after "<?". */
static bool pass_instruction(struct xml_parser *p)
{
    const char *target = p->at;

    if (!pass_name(p))
        return false;
    if (p->at - target == 3 && (target[0] | 32) == 'x' && (target[1] | 32) == 'm' &&
        (target[2] | 32) == 'l')
        return malformed(p, "an XML declaration may only stand at the very beginning");
    if (accept(p, "?>"))
        return true;
    if (!skip_space(p))
        return malformed(p, "a space is expected after the target of an instruction");
    while (!accept(p, "?>")) {
        if (!pass_character(p))
            return false;
    }
    return true;
}

/* One Misc [27] at a time; *found says whether there was one. */
static bool pass_misc(struct xml_parser *p, bool *found)
{
    *found = true;
    if (skip_space(p))
        return true;
    if (accept(p, "<!--"))
        return pass_comment(p);
    if (accept(p, "<?"))
        return pass_instruction(p);
    *found = false;
    return true;
}

/*
 * A pseudo-attribute of the declaration: name, Eq [25] and a quoted value, which begins at
 * *value.
 */
static bool parse_declared(struct xml_parser *p, const char *name, const char **value, size_t *size)
{
    char quote;

    if (!accept(p, name))
        return malformed(p, "the XML declaration is wrong");
    skip_space(p);
    if (!accept(p, "="))
        return malformed(p, "= is expected in the XML declaration");
    skip_space(p);
    if (!at_byte(p, '"') && !at_byte(p, '\''))
        return malformed(p, "a quoted value is expected in the XML declaration");
    quote = *p->at++;
    *value = p->at;
    while (!at_byte(p, quote)) {
        if (!pass_character(p))
            return false;
    }
    *size = (size_t)(p->at++ - *value);
    return true;
}

static bool is_version_1(const char *value, size_t size)
{
    for (size_t i = 2; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
    }
    return size > 2 && value[0] == '1' && value[1] == '.';
}

static bool is_utf8_name(const char *value, size_t size)
{
    return size == 5 && (value[0] | 32) == 'u' && (value[1] | 32) == 't' &&
           (value[2] | 32) == 'f' && value[3] == '-' && value[4] == '8';
}

/* XMLDecl [23], after "<?xml". */
static bool parse_declaration(struct xml_parser *p)
{
    const char *value;
    size_t size;
    bool space;

    if (!skip_space(p) || !parse_declared(p, "version", &value, &size))
        return malformed(p, "a version is expected in the XML declaration");
    if (!is_version_1(value, size))
        return fail(p, XML_UNSUPPORTED, "only XML 1.x is supported");
    space = skip_space(p);
    if (space && at_byte(p, 'e')) {
        if (!parse_declared(p, "encoding", &value, &size))
            return false;
        if (!is_utf8_name(value, size))
            return fail(p, XML_UNSUPPORTED, "only the encoding UTF-8 is supported");
        space = skip_space(p);
    }
    if (space && at_byte(p, 's')) {
        if (!parse_declared(p, "standalone", &value, &size))
            return false;
        if (!text_equals(value, size, "yes") && !text_equals(value, size, "no"))
            return malformed(p, "standalone is yes or no");
        skip_space(p);
    }
    return accept(p, "?>") || malformed(p, "?> is expected at the end of the XML declaration");
}

/* --- Elements --- */

/* AttValue [10], normalized (3.3.3) into the scratch memory. */
static bool parse_value(struct xml_parser *p)
{
    char quote;

    if (!at_byte(p, '"') && !at_byte(p, '\''))
        return malformed(p, "a quoted attribute value is expected");
    quote = *p->at++;
    while (!at_byte(p, quote)) {
        char text[UTF8_MAX];
        const char *start = p->at;
        size_t size;
        bool stored;

        if (at_byte(p, '<'))
            return malformed(p, "< is not allowed in an attribute value");
        if (at_byte(p, '&')) {
            stored = parse_reference(p, text, &size) && store(p, text, size);
        } else if (accept(p, "\r\n") || (p->at < p->end && is_space(*p->at) && p->at++)) {
            stored = store(p, " ", 1);
        } else {
            stored = pass_character(p) && store(p, start, (size_t)(p->at - start));
        }
        if (!stored)
            return false;
    }
    p->at++;
    return store(p, "", 1);
}

/* Attribute [41] */
static bool parse_attribute(struct xml_parser *p)
{
    struct xml_attribute *attribute = &p->attributes[p->attribute_count];
    const char *start = p->at;

    if (p->attribute_count == XML_ATTRIBUTES_MAX)
        return fail(p, XML_LIMIT, "too many attributes");
    attribute->name = p->scratch + p->used;
    if (!pass_name(p) || !store(p, start, (size_t)(p->at - start)) || !store(p, "", 1))
        return false;
    if (xml_attribute(p->attributes, p->attribute_count, attribute->name))
        return malformed(p, "an attribute stands twice in one tag");
    skip_space(p);
    if (!accept(p, "="))
        return malformed(p, "= is expected after the name of an attribute");
    skip_space(p);
    attribute->value = p->scratch + p->used;
    p->attribute_count++;
    return parse_value(p);
}

/* Close the innermost element. */
static bool end_element(struct xml_parser *p)
{
    p->depth--;
    p->used = 0;
    if (!p->handler->end)
        return true;
    if (!store(p, p->open[p->depth].name, p->open[p->depth].size) || !store(p, "", 1))
        return false;
    return go_on(p, p->handler->end(p->context, p->scratch));
}

/* STag [40] or EmptyElemTag [44], after "<". */
static bool parse_start_tag(struct xml_parser *p)
{
    const char *name = p->at;
    bool space, empty;

    count_lines(p);
    p->used = 0;
    p->attribute_count = 0;
    if (!pass_name(p))
        return false;
    if (p->depth == XML_DEPTH_MAX)
        return fail(p, XML_LIMIT, "too many elements inside each other");
    p->open[p->depth].name = name;
    p->open[p->depth].size = (size_t)(p->at - name);
    p->depth++;
    if (!store(p, name, (size_t)(p->at - name)) || !store(p, "", 1))
        return false;
    for (;;) {
        space = skip_space(p);
        empty = accept(p, "/>");
        if (empty || accept(p, ">"))
            break;
        if (!space)
            return malformed(p, "a space, > or /> is expected in a tag");
        if (!parse_attribute(p))
            return false;
    }
    if (p->handler->start &&
        !go_on(p, p->handler->start(p->context, p->line, p->scratch, p->attributes,
                                    p->attribute_count)))
        return false;
    return !empty || end_element(p);
}

/* ETag [42], after "</". */
static bool parse_end_tag(struct xml_parser *p)
{
    const char *name = p->at;
    size_t size = p->open[p->depth - 1].size;

    if (!pass_name(p))
        return false;
    if ((size_t)(p->at - name) != size || memcmp(name, p->open[p->depth - 1].name, size) != 0)
        return malformed(p, "the end tag does not fit the innermost start tag");
    skip_space(p);
    if (!accept(p, ">"))
        return malformed(p, "> is expected in an end tag");
    return end_element(p);
}

/* --- Text --- */

static bool emit(struct xml_parser *p, const char *text, size_t size)
{
    if (size == 0 || !p->handler->text)
        return true;
    return go_on(p, p->handler->text(p->context, text, size));
}

/* A line end, normalized (2.11). */
static bool parse_line_end(struct xml_parser *p)
{
    if (!accept(p, "\r\n"))
        p->at++;
    return emit(p, "\n", 1);
}

/* CharData [14] up to the next markup or reference. */
static bool parse_text(struct xml_parser *p)
{
    const char *start = p->at;

    while (p->at < p->end && *p->at != '<' && *p->at != '&' && *p->at != '\r') {
        if (at_text(p, "]]>"))
            return malformed(p, "]]> is not allowed in text");
        if (!pass_character(p))
            return false;
    }
    return emit(p, start, (size_t)(p->at - start));
}

/* CDSect [18], after its start. */
static bool parse_cdata(struct xml_parser *p)
{
    for (;;) {
        const char *start = p->at;

        while (!at_byte(p, '\r') && !at_text(p, "]]>")) {
            if (!pass_character(p))
                return false;
        }
        if (!emit(p, start, (size_t)(p->at - start)))
            return false;
        if (accept(p, "]]>"))
            return true;
        if (!parse_line_end(p))
            return false;
    }
}

/* --- The document --- */

/* One step of content [43]. */
static bool parse_content(struct xml_parser *p)
{
    char text[UTF8_MAX];
    size_t size;

    if (p->at == p->end)
        return malformed(p, "the document ends inside an element");
    if (at_byte(p, '&'))
        return parse_reference(p, text, &size) && emit(p, text, size);
    if (at_byte(p, '\r'))
        return parse_line_end(p);
    if (!at_byte(p, '<'))
        return parse_text(p);
    if (accept(p, "</"))
        return parse_end_tag(p);
    if (accept(p, "<!--"))
        return pass_comment(p);
    if (accept(p, "<![CDATA["))
        return parse_cdata(p);
    if (accept(p, "<?"))
        return pass_instruction(p);
    p->at++;
    return parse_start_tag(p);
}

/* Does an XML declaration stand here, rather than an instruction whose name merely begins so? */
static bool at_declaration(const struct xml_parser *p)
{
    uint32_t c;
    size_t size;

    if (!at_text(p, "<?xml"))
        return false;
    size = utf8_decode(p->at + 5, left(p) - 5, &c);
    return size == 0 || !is_name_character(c);
}

/*
 * Does it begin as UTF-16 or UTF-32 does, with a byte order mark or a NUL among its first two
 * bytes (appendix F)?
 */
static bool is_wide(const struct xml_parser *p)
{
    return at_text(p, "\xfe\xff") || at_text(p, "\xff\xfe") ||
           (left(p) >= 2 && (!p->at[0] || !p->at[1]));
}

/* document [1] */
static bool parse_document(struct xml_parser *p)
{
    bool misc;

    if (is_wide(p))
        return fail(p, XML_UNSUPPORTED, "only the encoding UTF-8 is supported");
    accept(p, "\xef\xbb\xbf"); // the byte order mark
    if (at_declaration(p)) {
        p->at += strlen("<?xml");
        if (!parse_declaration(p))
            return false;
    }
    do {
        if (!pass_misc(p, &misc))
            return false;
    } while (misc);
    if (at_text(p, "<!DOCTYPE"))
        return fail(p, XML_UNSUPPORTED, "document type declarations are not supported");
    if (!accept(p, "<"))
        return malformed(p, "an element is expected here");
    if (!parse_start_tag(p))
        return false;
    while (p->depth > 0) {
        if (!parse_content(p))
            return false;
    }
    do {
        if (!pass_misc(p, &misc))
            return false;
    } while (misc);
    return p->at == p->end || malformed(p, "nothing more is expected after the outermost element");
}

enum xml_status xml_parse(struct xml_parser *parser, const char *document, size_t size,
                          const struct xml_handler *handler, void *context)
{
    parser->line = 1;
    parser->message = "";
    parser->at = parser->counted = document;
    parser->end = document + size;
    parser->handler = handler;
    parser->context = context;
    parser->status = XML_OK;
    parser->depth = parser->used = parser->attribute_count = 0;
    parse_document(parser);
    return parser->status;
}

const char *xml_attribute(const struct xml_attribute *attributes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(attributes[i].name, name) == 0)
            return attributes[i].value;
    }
    return NULL;
}
