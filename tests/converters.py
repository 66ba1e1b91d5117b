"""Give every tool of an MCP server to the schema converters of the SDKs of agents.

    converters.py COMMAND…     the server's command line

A tool that one of them cannot convert costs an agent that tool, and with Google's bridge all tools
of the session.
"""

import copy
import json
import subprocess
import sys

from agents.strict_schema import ensure_strict_json_schema
from anthropic import transform_schema
from anthropic.lib.tools.mcp import mcp_tool
from google.genai import _mcp_utils
from mcp.types import Tool
from openai.lib._pydantic import _ensure_strict_json_schema

# Maps whose keys are the user's. `tests/tests/portable.rs` has the same list, with reasons.
FREE_MAPS = {
    ("add_pseudofile", "/properties/read/anyOf/1/properties/vals/anyOf/1"),
    ("add_pseudofile", "/properties/ioctl/anyOf/1"),
    ("set_config", "/properties/value/anyOf/4"),
}


def listed(command):
    """tools/list of the server."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(number, method, params):
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        while True:
            answer = json.loads(server.stdout.readline())
            if answer.get("id") == number:
                return answer["result"]

    client = {"name": "converters", "version": "0"}
    version = "2025-11-25"
    ask(1, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": client})
    server.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    tools = ask(2, "tools/list", {})["tools"]
    server.stdin.close()
    server.wait()
    return tools


def leaves(schema, at=""):
    """Every schema within one, by JSON pointer."""
    yield at, schema
    for name, inner in (schema.get("properties") or {}).items():
        yield from leaves(inner, f"{at}/properties/{name}")
    for keyword in ("anyOf", "any_of"):
        for n, inner in enumerate(schema.get(keyword) or []):
            yield from leaves(inner, f"{at}/anyOf/{n}")
    if isinstance(schema.get("items"), dict):
        yield from leaves(schema["items"], f"{at}/items")


def google(tool):
    """google-genai's bridge: a whole function declaration, no property lost.

    No object is without properties but the free maps.
    """
    made = _mcp_utils.mcp_to_gemini_tool(Tool.model_validate(tool))
    made = made.model_dump(exclude_none=True, mode="json")
    declared = dict(leaves(made["function_declarations"][0]["parameters"]))
    for at, schema in leaves(tool["inputSchema"]):
        assert at in declared, f"{at} is lost"
        assert declared[at].get("type") or declared[at].get("any_of"), f"{at} has no type"
        assert ("enum" in schema) == ("enum" in declared[at]), f"{at}: its values are lost"
    for at, schema in declared.items():
        if schema.get("type") == "OBJECT" and not schema.get("properties"):
            assert (tool["name"], at) in FREE_MAPS, f"{at} is an object without properties"


def openai(tool):
    """openai's and openai-agents' strict modes: every object closed, every property required."""
    closed = not any(name == tool["name"] for name, _ in FREE_MAPS)
    for convert in (
        lambda schema: _ensure_strict_json_schema(schema, path=(), root=schema),
        lambda schema: ensure_strict_json_schema(schema, _reject_open_objects=closed),
    ):
        strict = convert(copy.deepcopy(tool["inputSchema"]))
        for at, schema in leaves(strict):
            if schema.get("type") == "object" and (tool["name"], at) not in FREE_MAPS:
                assert schema["additionalProperties"] is False, f"{at} is open"
                required, properties = set(schema["required"]), set(schema["properties"])
                assert required == properties, f"{at} has optional properties"


def anthropic(tool):
    """anthropic's transformation and its MCP helper."""
    transformed = dict(leaves(transform_schema(copy.deepcopy(tool["inputSchema"]))))
    for at, _ in leaves(tool["inputSchema"]):
        assert at in transformed, f"{at} is lost"
    mcp_tool(Tool.model_validate(tool), client=None)


def main():
    tools = listed(sys.argv[1:])
    assert len(tools) >= 21, f"only {len(tools)} tools are listed"
    failed = 0
    for convert in (google, openai, anthropic):
        for tool in tools:
            try:
                convert(tool)
            except Exception as error:  # whatever the converter raises
                failed += 1
                print(f"FAILED {convert.__name__}: {tool['name']}: {type(error).__name__}: {error}")
    print(f"{3 * len(tools) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
