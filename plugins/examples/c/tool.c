/* Count the lines of a run's console that look like trouble. The answer of the host is passed on
   inside ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/tool_reader.h"

static const char DEFINITION[] =
    "{\"title\":\"Trouble on the console\","
    "\"description\":\"Search the newest run for console lines that look like trouble. "
    "Next: console.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"project_dir\":{\"type\":\"string\",\"description\":\"Project\"}},"
    "\"required\":[\"project_dir\"],\"additionalProperties\":false},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{\"found\":{\"type\":\"object\"}},\"required\":[\"found\"]},"
    "\"annotations\":{\"readOnlyHint\":true,\"destructiveHint\":false,\"idempotentHint\":true,\"openWorldHint\":false}}";

void exports_rookery_plugin_tools_describe(exports_rookery_plugin_tools_list_tool_definition_t *ret)
{
    ret->len = 1;
    ret->ptr = calloc(1, sizeof *ret->ptr);
    tool_reader_string_dup(&ret->ptr[0].name, "trouble_c");
    tool_reader_string_dup(&ret->ptr[0].definition, DEFINITION);
}

/* The value of the string member `name` of a flat JSON object without escapes: enough for a
   path. */
static bool member(const tool_reader_string_t *json, const char *name, tool_reader_string_t *value)
{
    char key[64];
    int length = snprintf(key, sizeof key, "\"%s\"", name);
    for (size_t i = 0; i + length < json->len; i++) {
        if (memcmp(json->ptr + i, key, length) != 0)
            continue;
        size_t start = i + length;
        while (start < json->len && json->ptr[start] != '"')
            start++;
        size_t end = ++start;
        while (end < json->len && json->ptr[end] != '"')
            end++;
        if (end >= json->len)
            return false;
        value->ptr = json->ptr + start;
        value->len = end - start;
        return true;
    }
    return false;
}

bool exports_rookery_plugin_tools_call(tool_reader_string_t *name,
                                       exports_rookery_plugin_tools_json_t *arguments,
                                       exports_rookery_plugin_tools_json_t *ret,
                                       exports_rookery_plugin_tools_error_t *err)
{
    tool_reader_string_t project, file, pattern, options, found;
    rookery_plugin_results_own_run_results_t run;
    (void)name;

    if (!member(arguments, "project_dir", &project)) {
        err->tag = ROOKERY_PLUGIN_TYPES_ERROR_INVALID_ARGUMENT;
        tool_reader_string_dup(&err->val.invalid_argument, "project_dir is missing");
        return false;
    }
    if (!rookery_plugin_results_open(&project, NULL, &run, err))
        return false;
    tool_reader_string_set(&file, "console.log");
    tool_reader_string_set(&pattern, "(?i)error|fail|not found");
    tool_reader_string_set(&options, "{\"limit\":5,\"from_end\":true}");
    rookery_plugin_results_borrow_run_results_t borrowed =
        rookery_plugin_results_borrow_run_results(run);
    bool ok = rookery_plugin_results_method_run_results_search(borrowed, &file, &pattern, &options,
                                                               &found, err);
    rookery_plugin_results_run_results_drop_own(run);
    if (!ok)
        return false;

    static const char head[] = "{\"found\":";
    ret->len = sizeof head - 1 + found.len + 1;
    ret->ptr = malloc(ret->len);
    memcpy(ret->ptr, head, sizeof head - 1);
    memcpy(ret->ptr + sizeof head - 1, found.ptr, found.len);
    ret->ptr[ret->len - 1] = '}';
    tool_reader_string_free(&found);
    return true;
}
