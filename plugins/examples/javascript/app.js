// Count the lines of a run's console that look like trouble.
import { open } from "rookery:plugin/results@0.1.1";

const definition = {
  title: "Trouble on the console",
  description:
    "Count the console lines of a run that look like trouble and give the newest. Next: console.",
  inputSchema: {
    type: "object",
    properties: {
      project_dir: { type: "string", description: "Project" },
      limit: {
        type: "integer",
        minimum: 1,
        maximum: 100,
        default: 5,
        description: "Newest lines to give",
      },
    },
    required: ["project_dir"],
    additionalProperties: false,
  },
  outputSchema: {
    type: "object",
    properties: { total: { type: "integer" }, lines: { type: "array" } },
    required: ["total", "lines"],
  },
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  examples: [{ project_dir: "fw" }],
};

export const tools = {
  describe: () => [{ name: "trouble_js", definition: JSON.stringify(definition) }],

  call(name, text) {
    if (name !== "trouble_js") {
      throw { tag: "not-found", val: `this component has no tool ${name}` };
    }
    const { project_dir, limit = 5 } = JSON.parse(text);
    if (project_dir === undefined) throw { tag: "invalid-argument", val: "project_dir is missing" };
    // An error of the host passes through: it is thrown and becomes this call's error.
    const run = open(project_dir, undefined);
    const options = JSON.stringify({ limit, from_end: true });
    const found = JSON.parse(run.search("console.log", "(?i)error|fail|not found", options));
    return JSON.stringify({ total: found.total, lines: found.matches.map((match) => match.text) });
  },
};
