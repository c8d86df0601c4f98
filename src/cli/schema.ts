import { Argument, type Command } from "commander";
import type { ZodType } from "zod";
import { terminalJson } from "../text/destinations.js";
import { addExamples } from "./help.js";
import type { Terminal } from "./terminal.js";

/** `penni schema`: what configuration files may hold, for editors. */
export function addSchemaCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("schema")
    .description(
      "print the JSON schema of penni.config.json, or of sweep files, for editors that complete and check them",
    )
    .addArgument(new Argument("[of]", "which").choices(subjects).default("config"))
    .action(async (of: Subject) => {
      const { toJSONSchema } = await import("zod");
      const { title, schema } = await schemaOf(of, program, terminal);
      // What a file may leave out need not be in it.
      terminal.stdout.write(`${terminalJson({ title, ...toJSONSchema(schema, { io: "input" }) }, 2)}\n`);
    });
  return addExamples(command, [
    { what: "print it; > penni.schema.json keeps it:", words: ["schema"] },
    { what: "of what penni sweep takes:", words: ["schema", "sweep"] },
  ]);
}

const subjects = ["config", "sweep"] as const;

type Subject = (typeof subjects)[number];

async function schemaOf(
  of: Subject,
  program: Command,
  terminal: Terminal,
): Promise<{ readonly title: string; readonly schema: ZodType }> {
  if (of === "config") {
    const { configSchema } = await import("./config_schema.js");
    return { title: "Configuration of penni", schema: configSchema(program) };
  }
  const [{ sweepSchema }, { compressCommand }] = await Promise.all([
    import("./sweep_schema.js"),
    import("./sweep_settings.js"),
  ]);
  return { title: "Sweep of penni", schema: sweepSchema(await compressCommand(terminal)) };
}
