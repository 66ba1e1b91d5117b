"""Count the lines of a run's console that look like trouble."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import results
from wit_world.imports.types import Error_InvalidArgument, Error_NotFound, ToolDefinition

DEFINITION = {
    "title": "Trouble on the console",
    "description": "Count the console lines of a run that look like trouble and give the newest. "
    "Next: console.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "project_dir": {"type": "string", "description": "Project"},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "default": 5,
                "description": "Newest lines to give",
            },
        },
        "required": ["project_dir"],
        "additionalProperties": False,
    },
    "outputSchema": {
        "type": "object",
        "properties": {"total": {"type": "integer"}, "lines": {"type": "array"}},
        "required": ["total", "lines"],
    },
    "annotations": {
        "readOnlyHint": True,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
    "examples": [{"project_dir": "fw"}],
}


class Tools(exports.Tools):
    def describe(self):
        return [ToolDefinition(name="trouble_py", definition=json.dumps(DEFINITION))]

    def call(self, name, arguments):
        if name != "trouble_py":
            raise Err(Error_NotFound(f"this component has no tool {name!r}"))
        arguments = json.loads(arguments)
        if "project_dir" not in arguments:
            raise Err(Error_InvalidArgument("project_dir is missing"))
        # An error of the host passes through: it is raised as Err and becomes this call's error.
        run = results.open(arguments["project_dir"], None)
        options = {"limit": arguments.get("limit", 5), "from_end": True}
        pattern = "(?i)error|fail|not found"
        found = json.loads(run.search("console.log", pattern, json.dumps(options)))
        lines = [match["text"] for match in found["matches"]]
        return json.dumps({"total": found["total"], "lines": lines})
