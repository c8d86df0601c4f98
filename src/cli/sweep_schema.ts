import type { Command, Option } from "commander";
import { z } from "zod";
import { halvingSchema, rangeSchema, searchSchema } from "../sweep/spec.js";
import { type Accepted, acceptedBy } from "./accepted.js";
import { commandSchema, configurable, typeOf } from "./config_schema.js";

/** Where results go and how they are shown is the sweep's, not a trial's. */
const ofTheSweep = ["out", "open", "json"] as const;

/** The settings of a trial that an axis can go through: those with one value. */
function axisOptions(compress: Command): readonly Option[] {
  const others = new Set<string>(ofTheSweep);
  return configurable(compress).filter(
    (option) => !others.has(option.attributeName()) && !unaxed.has(acceptedBy(option).kind),
  );
}

const unaxed: ReadonlySet<Accepted["kind"]> = new Set(["numbers", "shapes", "entries"]);

function axisOf(option: Option): z.ZodType {
  const accepted = acceptedBy(option);
  const list = z.array(typeOf(accepted)).min(1);
  const isNumeric = accepted.kind === "number" || accepted.kind === "value";
  return (isNumeric ? z.union([list, rangeSchema]) : list).describe(option.description).optional();
}

/** What a sweep file may hold, made from the options of `penni compress`. */
export function sweepSchema(compress: Command) {
  const { out: _out, open: _open, json: _json, ...settings } = commandSchema(compress).shape;
  const axes = axisOptions(compress).map((option) => [option.attributeName(), axisOf(option)] as const);
  return z.strictObject({
    $schema: z.string().optional(),
    base: z
      .strictObject(settings)
      .default({})
      .describe("settings that all trials have, as under compress in penni.config.json"),
    axes: z
      .strictObject({
        model: z.array(z.string()).min(1).describe(".onnx files").optional(),
        ...Object.fromEntries(axes),
      })
      .describe("settings that differ: for each a list of values, or for a search a range of numbers"),
    search: searchSchema.default({ kind: "grid" }).describe("which combinations are tried: all, by default"),
    halving: halvingSchema
      .optional()
      .describe("asynchronous successive halving: trials that fall behind are stopped"),
  });
}
