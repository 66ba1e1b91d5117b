/* Enough of JSON to read what the host gives: it is valid, so nothing is checked here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A value: a range of the text that it stands in, and as long as that there. */
typedef struct {
    const char *start;
    size_t length;
} json_t;

/* The member `name` of an object. */
bool json_member(json_t object, const char *name, json_t *value);

/* The element of an array, from 0. */
bool json_element(json_t array, size_t index, json_t *value);

/* A string without its quotes and escapes, in UTF-8 and in memory of its own, with its length;
   NULL for another value. */
char *json_string(json_t value, size_t *length);
