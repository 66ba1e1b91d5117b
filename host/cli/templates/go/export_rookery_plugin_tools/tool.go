// Package export_rookery_plugin_tools is what the component exports: my_tool.
package export_rookery_plugin_tools

import (
	"encoding/json"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"wit_component/rookery_plugin_results"
	"wit_component/rookery_plugin_types"
)

const trouble = "(?i)error|fail|not found"

const definition = `{
  "title": "Trouble on the console",
  "description": "Count the console lines that look like trouble, after a run that did not` +
	` come up. Gives the newest of them. Next: console.",
  "inputSchema": {
    "type": "object",
    "properties": { "project_dir": { "type": "string", "description": "Project" } },
    "required": ["project_dir"],
    "additionalProperties": false
  },
  "outputSchema": {
    "type": "object",
    "properties": {
      "total": { "type": "integer", "description": "Lines that look like trouble" },
      "file_lines": { "type": "integer", "description": "Lines of the console" },
      "newest": { "type": "string" },
      "next": { "type": "object" }
    },
    "required": ["total", "file_lines"]
  },
  "annotations": {
    "readOnlyHint": true,
    "destructiveHint": false,
    "idempotentHint": true,
    "openWorldHint": false
  },
  "examples": [{ "project_dir": "fw" }]
}`

// Describe names the tools of this component.
func Describe() []rookery_plugin_types.ToolDefinition {
	return []rookery_plugin_types.ToolDefinition{{Name: "my_tool", Definition: definition}}
}

type failure = rookery_plugin_types.Error

// Call runs one tool. The host has checked the arguments against its schema.
func Call(name string, arguments string) witTypes.Result[string, failure] {
	if name != "my_tool" {
		unknown := rookery_plugin_types.MakeErrorNotFound("this component has no tool " + name)
		return witTypes.Err[string, failure](unknown)
	}
	var given struct {
		ProjectDir string `json:"project_dir"`
	}
	if err := json.Unmarshal([]byte(arguments), &given); err != nil {
		wrong := rookery_plugin_types.MakeErrorInvalidArgument(err.Error())
		return witTypes.Err[string, failure](wrong)
	}
	return count(given.ProjectDir)
}

// Counts come first: they tell an agent whether to read on.
type answer struct {
	Total     uint64 `json:"total"`
	FileLines uint64 `json:"file_lines"`
	Newest    string `json:"newest,omitempty"`
	Next      *next  `json:"next,omitempty"`
}

type next struct {
	Tool      string            `json:"tool"`
	Arguments map[string]string `json:"arguments"`
}

func count(project string) witTypes.Result[string, failure] {
	opened := rookery_plugin_results.Open(witTypes.Some(project), witTypes.None[string]())
	if opened.IsErr() {
		// An error of the host becomes this call's error.
		return witTypes.Err[string, failure](opened.Err())
	}
	run := opened.Ok()
	defer run.Drop()
	searched := run.Search("console.log", trouble, `{"limit": 1, "from_end": true}`)
	if searched.IsErr() {
		return searched
	}
	var found struct {
		Total   uint64
		Lines   uint64
		Matches []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(searched.Ok()), &found); err != nil {
		return witTypes.Err[string, failure](rookery_plugin_types.MakeErrorInternal(err.Error()))
	}
	result := answer{Total: found.Total, FileLines: found.Lines}
	if len(found.Matches) > 0 {
		result.Newest = found.Matches[0].Text
		arguments := map[string]string{"project_dir": project, "pattern": trouble}
		result.Next = &next{Tool: "console", Arguments: arguments}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return witTypes.Err[string, failure](rookery_plugin_types.MakeErrorInternal(err.Error()))
	}
	return witTypes.Ok[string, failure](string(text))
}
