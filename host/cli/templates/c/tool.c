/* my_tool */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/tool_caller.h"
#include "json.h"

#define TROUBLE "(?i)error|fail|not found"

static const char DEFINITION[] =
    "{\"title\":\"Trouble on the console\","
    "\"description\":\"Count the console lines that look like trouble, after a run that did not "
    "come up. Gives the newest of them. Next: console.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"project_dir\":{\"type\":\"string\",\"description\":\"Project\"}},"
    "\"required\":[\"project_dir\"],\"additionalProperties\":false},"
    "\"outputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"total\":{\"type\":\"integer\",\"description\":\"Lines that look like trouble\"},"
    "\"file_lines\":{\"type\":\"integer\",\"description\":\"Lines of the console\"},"
    "\"newest\":{\"type\":\"string\"},\"next\":{\"type\":\"object\"}},"
    "\"required\":[\"total\",\"file_lines\"]},"
    "\"annotations\":{\"readOnlyHint\":true,\"destructiveHint\":false,\"idempotentHint\":true,"
    "\"openWorldHint\":false},"
    "\"examples\":[{\"project_dir\":\"fw\"}]}";

void exports_rookery_plugin_tools_describe(exports_rookery_plugin_tools_list_tool_definition_t *ret)
{
    ret->len = 1;
    ret->ptr = calloc(1, sizeof *ret->ptr);
    tool_caller_string_dup(&ret->ptr[0].name, "my_tool");
    tool_caller_string_dup(&ret->ptr[0].definition, DEFINITION);
}

static json_t json_of(const tool_caller_string_t *text)
{
    return (json_t){(const char *)text->ptr, text->len};
}

/* The newest line of the console that looks like trouble, and how many there are, as the host
   gives both. An error of the host is our error. */
static bool search(tool_caller_string_t *project, tool_caller_string_t *found,
                   exports_rookery_plugin_tools_error_t *err)
{
    tool_caller_string_t file, pattern, options;
    rookery_plugin_results_own_run_results_t run;

    if (!rookery_plugin_results_open(project, NULL, &run, err))
        return false;
    tool_caller_string_set(&file, "console.log");
    tool_caller_string_set(&pattern, TROUBLE);
    tool_caller_string_set(&options, "{\"limit\":1,\"from_end\":true}");
    bool ok = rookery_plugin_results_method_run_results_search(
        rookery_plugin_results_borrow_run_results(run), &file, &pattern, &options, found, err);
    rookery_plugin_results_run_results_drop_own(run);
    return ok;
}

/* Counts come first: they tell an agent whether to read on. Values of the host's answer and of
   the arguments are JSON already, and stand in ours as they are. */
static char *answer(json_t found, json_t project)
{
    json_t total, lines, matches, newest, text;
    char *counts, *whole;
    if (!json_member(found, "total", &total) || !json_member(found, "lines", &lines))
        return NULL;
    if (asprintf(&counts, "\"total\":%.*s,\"file_lines\":%.*s", (int)total.length, total.start,
                 (int)lines.length, lines.start) < 0)
        return NULL;
    int written;
    if (json_member(found, "matches", &matches) && json_element(matches, 0, &newest) &&
        json_member(newest, "text", &text))
        written = asprintf(&whole,
                           "{%s,\"newest\":%.*s,\"next\":{\"tool\":\"console\",\"arguments\":"
                           "{\"project_dir\":%.*s,\"pattern\":\"" TROUBLE "\"}}}",
                           counts, (int)text.length, text.start, (int)project.length,
                           project.start);
    else
        written = asprintf(&whole, "{%s}", counts);
    free(counts);
    return written < 0 ? NULL : whole;
}

bool exports_rookery_plugin_tools_call(tool_caller_string_t *name,
                                       exports_rookery_plugin_tools_json_t *arguments,
                                       exports_rookery_plugin_tools_json_t *ret,
                                       exports_rookery_plugin_tools_error_t *err)
{
    tool_caller_string_t project_dir, found;
    json_t project;
    (void)name;

    /* The host has checked the arguments against our schema: it is there, and a string. */
    json_member(json_of(arguments), "project_dir", &project);
    project_dir.ptr = (uint8_t *)json_string(project, &project_dir.len);
    if (!search(&project_dir, &found, err))
        return false;
    char *text = answer(json_of(&found), project);
    if (!text) {
        err->tag = ROOKERY_PLUGIN_TYPES_ERROR_INTERNAL;
        tool_caller_string_dup(&err->val.internal, "the host's answer is not as expected");
        return false;
    }
    ret->ptr = (uint8_t *)text;
    ret->len = strlen(text);
    return true;
}
