import type { Command } from "commander";
import { terminalJson } from "../text/destinations.js";
import { addExamples } from "./help.js";
import type { Terminal } from "./terminal.js";

/** `penni schema`: what configuration files may hold, for editors. */
export function addSchemaCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("schema")
    .description("print the JSON schema of penni.config.json, for editors that complete and check it")
    .action(async () => {
      const [{ configSchema }, { toJSONSchema }] = await Promise.all([
        import("./config_schema.js"),
        import("zod"),
      ]);
      const schema = { title: "Configuration of penni", ...toJSONSchema(configSchema(program)) };
      terminal.stdout.write(`${terminalJson(schema, 2)}\n`);
    });
  return addExamples(command, [{ what: "print it; > penni.schema.json keeps it:", words: ["schema"] }]);
}
