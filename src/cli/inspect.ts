import type { Command } from "commander";
import type { Inspection } from "../method/inspect.js";
import { describeInspection } from "./inspect_text.js";
import { type InputShapes, inputShape, naming } from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";

interface InspectOptions {
  readonly inputShape?: InputShapes;
  readonly json?: boolean;
}

/** `penni inspect`: what a model costs, layer by layer, and what of it can be compressed. */
export function addInspectCommand(program: Command, terminal: Terminal): Command {
  return program
    .command("inspect")
    .description("show what each layer costs, how compressible it is, and what cannot be compressed")
    .argument("<model>", "an .onnx file")
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape)
    .option("--json", "print everything as JSON")
    .action(async (model: string, options: InspectOptions) => {
      const inspection = await inspectFile(model, options.inputShape ?? new Map());
      const text =
        options.json === true
          ? JSON.stringify({ model, ...inspection }, undefined, 2)
          : describeInspection(inspection, lineWidth(terminal.stdout));
      terminal.stdout.write(`${text}\n`);
    });
}

async function inspectFile(model: string, shapes: InputShapes): Promise<Inspection> {
  const [{ readModel }, { fixBatch, fixInputShape }, { simplify }, { inspectGraph }] = await Promise.all([
    import("../onnx/files.js"),
    import("../graph/passes/fix_input_shape.js"),
    import("../ops/passes/simplify.js"),
    import("../method/inspect.js"),
  ]);
  const graph = await readModel(model);
  return naming(model, async () => {
    const fixed = shapes.size > 0 ? fixInputShape(graph, shapes) : fixBatch(graph, 1);
    return inspectGraph(simplify(fixed));
  });
}
