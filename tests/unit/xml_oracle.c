/* SPDX-License-Identifier: MIT */
/* Comparing lib/xml.h with expat by the log of what each says. */
#include "tests/unit/xml_oracle.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct log {
    FILE *stream;
    char *bytes;
    size_t size;
    bool in_text;      // the last event was text: the next piece joins it
    XML_Parser parser; // expat's side only
};

static void log_open(struct log *log)
{
    *log = (struct log){ 0 };
    log->stream = open_memstream(&log->bytes, &log->size);
}

static void log_start(struct log *log, unsigned line, const char *name)
{
    fprintf(log->stream, "\nstart %u %s", line, name);
    log->in_text = false;
}

static void log_attribute(struct log *log, const char *name, const char *value)
{
    fprintf(log->stream, "\n attribute %s %zu=%s", name, strlen(value), value);
}

static bool log_text(void *context, const char *text, size_t size)
{
    struct log *log = context;

    if (!log->in_text)
        fprintf(log->stream, "\ntext ");
    fwrite(text, 1, size, log->stream);
    log->in_text = true;
    return true;
}

static bool log_end(void *context, const char *name)
{
    struct log *log = context;

    fprintf(log->stream, "\nend %s", name);
    log->in_text = false;
    return true;
}

static bool our_start(void *context, unsigned line, const char *name,
                      const struct xml_attribute *attributes, size_t count)
{
    log_start(context, line, name);
    for (size_t i = 0; i < count; i++)
        log_attribute(context, attributes[i].name, attributes[i].value);
    return true;
}

static void expat_start(void *context, const char *name, const char **attributes)
{
    struct log *log = context;

    log_start(log, (unsigned)XML_GetCurrentLineNumber(log->parser), name);
    for (; attributes[0]; attributes += 2)
        log_attribute(log, attributes[0], attributes[1]);
}

static void expat_text(void *context, const char *text, int size)
{
    log_text(context, text, (size_t)size);
}

static void expat_end(void *context, const char *name)
{
    log_end(context, name);
}

/* The message, or NULL if expat accepts the document. */
static const char *run_expat(struct log *log, const char *document, size_t size)
{
    const char *message = NULL;

    log->parser = XML_ParserCreate(NULL);
    XML_SetUserData(log->parser, log);
    XML_SetElementHandler(log->parser, expat_start, expat_end);
    XML_SetCharacterDataHandler(log->parser, expat_text);
    if (XML_Parse(log->parser, document, (int)size, 1) != XML_STATUS_OK)
        message = XML_ErrorString(XML_GetErrorCode(log->parser));
    XML_ParserFree(log->parser);
    fflush(log->stream);
    return message;
}

static enum xml_status run_ours(struct xml_parser *parser, struct log *log, const char *document,
                                size_t size)
{
    static const struct xml_handler handler = { .start = our_start, .text = log_text,
                                                .end = log_end };
    enum xml_status status = xml_parse(parser, document, size, &handler, log);

    fflush(log->stream);
    return status;
}

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] & 0x80)
            return false;
    }
    return true;
}

struct xml_verdict xml_oracle_compare(const char *document, size_t size)
{
    struct log ours, theirs;
    struct xml_parser parser;
    struct xml_verdict verdict;

    log_open(&ours);
    log_open(&theirs);
    verdict.expat_message = run_expat(&theirs, document, size);
    verdict.ours = run_ours(&parser, &ours, document, size);
    verdict.our_message = parser.message;
    verdict.our_line = parser.line;
    switch (verdict.ours) {
    case XML_OK:
        if (verdict.expat_message)
            verdict.agrees = !is_ascii(document, size) &&
                             strcmp(verdict.expat_message,
                                    XML_ErrorString(XML_ERROR_INVALID_TOKEN)) == 0;
        else
            verdict.agrees = ours.size == theirs.size &&
                memcmp(ours.bytes, theirs.bytes, ours.size) == 0;
        break;
    case XML_MALFORMED:
        verdict.agrees = verdict.expat_message != NULL;
        break;
    default:
        verdict.agrees = verdict.ours == XML_UNSUPPORTED || verdict.ours == XML_LIMIT;
        break;
    }
    fclose(ours.stream);
    fclose(theirs.stream);
    free(ours.bytes);
    free(theirs.bytes);
    return verdict;
}
