/* SPDX-License-Identifier: MIT */
/*
 * A streaming parser for XML 1.0 documents in memory, without allocation: it checks that the
 * document is well-formed and calls a handler for each start tag, piece of text, and end tag.
 * Where expat is at hand it can feed the same handler.
 *
 * UTF-8 only, with or without a byte order mark. Entities are the five predefined ones and
 * character references. Namespaces are not interpreted. Deviations from the recommendation (fifth
 * edition), all of them clean rejections:
 *   XML_UNSUPPORTED  a document type declaration; another encoding than UTF-8; a version other
 *                    than 1.x
 *   XML_LIMIT        more than XML_DEPTH_MAX elements inside each other, XML_ATTRIBUTES_MAX
 *                    attributes in a tag, XML_NAME_MAX bytes in a name, or XML_SCRATCH bytes in
 *                    the names and values of one tag
 * Line ends are normalized (2.11) and attribute values too, all of them as CDATA (3.3.3).
 *
 * The document must not change during the parse: copy it first if another can write to it.
 */
#ifndef LIB_XML_H
#define LIB_XML_H

#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH_MAX      64
#define XML_ATTRIBUTES_MAX 64
#define XML_NAME_MAX       255
#define XML_SCRATCH        8192

enum xml_status {
    XML_OK,
    XML_MALFORMED,
    XML_UNSUPPORTED,
    XML_LIMIT,
    XML_STOPPED // the handler said so
};

struct xml_attribute {
    const char *name;  // both terminated
    const char *value;
};

/*
 * The events, in document order. Each returns false to stop the parse; each may be NULL. What the
 * pointers refer to is valid during the call only. Text comes in any number of pieces, never
 * terminated, in elements only. An empty element has a start and an end.
 */
struct xml_handler {
    bool (*start)(void *context, unsigned line, const char *name,
                  const struct xml_attribute *attributes, size_t count);
    bool (*text)(void *context, const char *text, size_t size);
    bool (*end)(void *context, const char *name);
};

/*
 * The parser's memory, about 10 KiB: static or on the stack. After a failure `line` (from 1) and
 * `message` say where and why.
 */
struct xml_parser {
    unsigned line;
    const char *message;

    /* Private. */
    const char *at;
    const char *end;
    const char *counted; // `line` is the line of this place
    const struct xml_handler *handler;
    void *context;
    enum xml_status status;
    size_t depth;
    size_t used; // of scratch
    size_t attribute_count;
    struct {
        const char *name;
        size_t size;
    } open[XML_DEPTH_MAX];
    struct xml_attribute attributes[XML_ATTRIBUTES_MAX];
    char scratch[XML_SCRATCH];
};

__attribute__((warn_unused_result))
enum xml_status xml_parse(struct xml_parser *parser, const char *document, size_t size,
                          const struct xml_handler *handler, void *context);

/* The value of the attribute of that name, NULL if there is none. */
const char *xml_attribute(const struct xml_attribute *attributes, size_t count, const char *name);

#endif
