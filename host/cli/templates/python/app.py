"""my_tool"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import results
from wit_world.imports.types import Error_NotFound, ToolDefinition

TROUBLE = "(?i)error|fail|not found"

DEFINITION = {
    "title": "Trouble on the console",
    "description": "Count the console lines that look like trouble, after a run that did not come "
    "up. Gives the newest of them. Next: console.",
    "inputSchema": {
        "type": "object",
        "properties": {"project_dir": {"type": "string", "description": "Project"}},
        "required": ["project_dir"],
        "additionalProperties": False,
    },
    "outputSchema": {
        "type": "object",
        "properties": {
            "total": {"type": "integer", "description": "Lines that look like trouble"},
            "file_lines": {"type": "integer", "description": "Lines of the console"},
            "newest": {"type": "string"},
            "next": {"type": "object"},
        },
        "required": ["total", "file_lines"],
    },
    "annotations": {
        "readOnlyHint": True,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
    "examples": [{"project_dir": "fw"}],
}


def count(project_dir):
    # An error of the host passes through: it is raised as Err and becomes this call's error.
    run = results.open(project_dir, None)
    options = json.dumps({"limit": 1, "from_end": True})
    found = json.loads(run.search("console.log", TROUBLE, options))
    # Counts come first: they tell an agent whether to read on.
    answer = {"total": found["total"], "file_lines": found["lines"]}
    if found["total"] > 0:
        answer["newest"] = found["matches"][0]["text"]
        arguments = {"project_dir": project_dir, "pattern": TROUBLE}
        answer["next"] = {"tool": "console", "arguments": arguments}
    return answer


class Tools(exports.Tools):
    def describe(self):
        return [ToolDefinition(name="my_tool", definition=json.dumps(DEFINITION))]

    def call(self, name, arguments):
        if name != "my_tool":
            raise Err(Error_NotFound(f"this component has no tool {name!r}"))
        return json.dumps(count(**json.loads(arguments)))
