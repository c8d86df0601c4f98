import type { Command, Option } from "commander";
import { z } from "zod";
import { type Accepted, acceptedBy } from "./accepted.js";
import { type ConfiguredName, configuredNames } from "./configured.js";

/** Options that are for one call, not for a file. */
const ofACall: ReadonlySet<string> = new Set(["resume", "config", "plan", "quiet", "verbose", "debug"]);

/** The options of a command that a configuration file may have, under the names of their values. */
export function configurable(command: Command): readonly Option[] {
  return command.options.filter((option) => !ofACall.has(option.attributeName()));
}

/** What a configuration file may hold for a command: its model and its options. */
export function commandSchema(command: Command): z.ZodObject {
  const options = configurable(command).map((option) => [option.attributeName(), valueSchema(option)]);
  return z.strictObject({
    model: z.string().describe("an .onnx file").optional(),
    ...Object.fromEntries(options),
  });
}

/** What `penni.config.json` and its like may hold, made from the options of the commands themselves. */
export function configSchema(program: Pick<Command, "commands">): z.ZodObject {
  const sections = program.commands
    .filter((command) => isConfigured(command.name()))
    .map((command) => [command.name(), commandSchema(command).describe(command.description()).optional()]);
  return z.strictObject({ $schema: z.string().optional(), ...Object.fromEntries(sections) });
}

function isConfigured(name: string): name is ConfiguredName {
  return configuredNames.some((known) => known === name);
}

function valueSchema(option: Option): z.ZodType {
  const description = option.negate ? `false: ${option.description}` : option.description;
  return typeOf(acceptedBy(option)).describe(description).optional();
}

/** What values an option takes in a file. */
export function typeOf(accepted: Accepted): z.ZodType {
  switch (accepted.kind) {
    case "number": {
      const { minimum, maximum, whole } = accepted;
      return (whole ? z.int() : z.number()).min(minimum).max(maximum);
    }
    case "numbers":
      return z.array(z.number()).min(1);
    case "shapes":
      return z.record(z.string(), z.array(z.int().min(1)));
    case "entries":
      return z.record(z.string(), z.string());
    case "choice":
      return z.enum(accepted.choices);
    case "flag":
      return z.boolean();
    case "text":
      return z.string();
    case "value":
      return z.union([z.number(), z.string()]);
  }
}
