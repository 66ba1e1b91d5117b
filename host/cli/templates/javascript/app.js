// my_tool
import { open } from "rookery:plugin/results@0.1.1";

const TROUBLE = "(?i)error|fail|not found";

const definition = {
  title: "Trouble on the console",
  description:
    "Count the console lines that look like trouble, after a run that did not come up. " +
    "Gives the newest of them. Next: console.",
  inputSchema: {
    type: "object",
    properties: { project_dir: { type: "string", description: "Project" } },
    required: ["project_dir"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: {
      total: { type: "integer", description: "Lines that look like trouble" },
      file_lines: { type: "integer", description: "Lines of the console" },
      newest: { type: "string" },
      next: { type: "object" },
    },
    required: ["total", "file_lines"],
  },
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  examples: [{ project_dir: "fw" }],
};

function count({ project_dir }) {
  // An error of the host passes through: it is thrown and becomes this call's error.
  const run = open(project_dir, undefined);
  const options = JSON.stringify({ limit: 1, from_end: true });
  const found = JSON.parse(run.search("console.log", TROUBLE, options));
  // Counts come first: they tell an agent whether to read on.
  const answer = { total: found.total, file_lines: found.lines };
  if (found.total > 0) {
    answer.newest = found.matches[0].text;
    answer.next = { tool: "console", arguments: { project_dir, pattern: TROUBLE } };
  }
  return answer;
}

export const tools = {
  describe: () => [{ name: "my_tool", definition: JSON.stringify(definition) }],

  call(name, text) {
    if (name !== "my_tool") {
      throw { tag: "not-found", val: `this component has no tool ${name}` };
    }
    return JSON.stringify(count(JSON.parse(text)));
  },
};
