#include "json.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Behind the string that begins at `at`. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

/* Behind the value that begins at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                return at;
            depth--;
            at++;
        } else if (depth == 0 && *at == ',') {
            return at;
        } else {
            at++;
            continue;
        }
        if (depth == 0)
            return at;
    }
    return end;
}

/* The next value of what begins with `opening`; `at` moves behind it. */
static bool next(const char **at, const char *end, json_t *value)
{
    const char *start = skip_blanks(*at, end);
    if (start < end && (*start == ',' || *start == ':'))
        start = skip_blanks(start + 1, end);
    if (start >= end || *start == '}' || *start == ']')
        return false;
    *at = skip_value(start, end);
    value->start = start;
    value->length = *at - start;
    return true;
}

/* Behind the bracket that opens `value`; NULL where it does not begin so. */
static const char *inside(json_t value, char opening)
{
    const char *start = skip_blanks(value.start, value.start + value.length);
    if (start == value.start + value.length || *start != opening)
        return NULL;
    return start + 1;
}

bool json_member(json_t object, const char *name, json_t *value)
{
    const char *at = inside(object, '{');
    json_t key;
    while (at && next(&at, object.start + object.length, &key)) {
        if (!next(&at, object.start + object.length, value))
            return false;
        if (key.length == strlen(name) + 2 && memcmp(key.start + 1, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

bool json_element(json_t array, size_t index, json_t *value)
{
    const char *at = inside(array, '[');
    while (at && next(&at, array.start + array.length, value))
        if (index-- == 0)
            return true;
    return false;
}

static unsigned long hex(const char *digits)
{
    char text[5] = {0};
    memcpy(text, digits, 4);
    return strtoul(text, NULL, 16);
}

/* `code` as UTF-8. */
static char *put(char *to, unsigned long code)
{
    if (code < 0x80) {
        *to++ = code;
    } else if (code < 0x800) {
        *to++ = 0xc0 | code >> 6;
        *to++ = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
        *to++ = 0xe0 | code >> 12;
        *to++ = 0x80 | (code >> 6 & 0x3f);
        *to++ = 0x80 | (code & 0x3f);
    } else {
        *to++ = 0xf0 | code >> 18;
        *to++ = 0x80 | (code >> 12 & 0x3f);
        *to++ = 0x80 | (code >> 6 & 0x3f);
        *to++ = 0x80 | (code & 0x3f);
    }
    return to;
}

char *json_string(json_t value, size_t *length)
{
    static const char escaped[] = "bfnrt", meant[] = "\b\f\n\r\t";
    if (value.length < 2 || *value.start != '"')
        return NULL;
    const char *at = value.start + 1, *end = value.start + value.length - 1;
    char *text = malloc(value.length), *to = text;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        const char *known = strchr(escaped, at[1]);
        if (at[1] == 'u' && end - at >= 6) {
            unsigned long code = hex(at + 2);
            at += 6;
            if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[1] == 'u') {
                code = 0x10000 + ((code - 0xd800) << 10) + (hex(at + 2) - 0xdc00);
                at += 6;
            }
            to = put(to, code);
        } else {
            *to++ = known ? meant[known - escaped] : at[1];
            at += 2;
        }
    }
    *length = to - text;
    return text;
}
