import type { Command } from "commander";
import { naming } from "../graph/naming.js";
import type { Graph } from "../graph/types.js";
import type { ShapedGraph } from "../measure/runtime_shapes.js";
import { terminalJson } from "../text/destinations.js";
import { addExamples, type Example, headings } from "./help.js";
import { describeInspection, type InspectedModel } from "./inspect_text.js";
import { type InputShapes, inputShape, wholeNumber } from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";

interface InspectOptions {
  readonly shrink?: boolean;
  readonly multiple: number;
  readonly inputShape?: InputShapes;
  readonly json?: boolean;
}

/** `penni inspect`: what a model costs, layer by layer, and what of it can be compressed. */
export function addInspectCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("inspect")
    .description("show what each layer costs, how compressible it is, and what cannot be compressed")
    .argument("<model>", "an .onnx file")
    .optionsGroup(headings.model)
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape)
    .optionsGroup("What to look at:")
    .option(
      "--shrink",
      "show instead which channels can be removed now, exactly, and which nodes keep theirs",
    )
    .option("--multiple <n>", "with --shrink: keep channels in multiples of this", wholeNumber(1), 1)
    .optionsGroup(headings.output)
    .option("--json", "print everything as JSON")
    .action(async (model: string, options: InspectOptions) => {
      if (options.shrink === true) return inspectShrink(model, options, terminal);
      const inspection = await inspectFile(model, options.inputShape ?? new Map());
      const text =
        options.json === true
          ? terminalJson({ model, ...inspection }, 2)
          : describeInspection(inspection, lineWidth(terminal.stdout));
      terminal.stdout.write(`${text}\n`);
    });
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  { what: "what can be gained:", words: ["inspect", "net.onnx"] },
  {
    what: "a model that leaves its size open:",
    words: ["inspect", "net.onnx", "--input-shape input:1x3x224x224"],
  },
];

/** What there is to say of a model; input dimensions that it leaves open may be given. */
export async function inspectFile(model: string, shapes: InputShapes): Promise<InspectedModel> {
  const [{ inspectGraph }, { modelRemarks, quantizedNode }, { dequantize }, { importForCompression }] =
    await Promise.all([
      import("../method/inspect.js"),
      import("../method/remarks.js"),
      import("../ops/passes/dequantize.js"),
      import("../method/import_for_compression.js"),
    ]);
  // As compress --dequantize does, before operators of the runtime's own are written as sums of integers.
  const real = (graph: Graph, fixed: Graph): Graph =>
    quantizedNode(graph) === undefined ? graph : importForCompression(dequantize(fixed).graph);
  return withImported(model, shapes, ({ graph, given, shaping, fixed }) => ({
    ...inspectGraph(real(graph, fixed)),
    remarks: modelRemarks(given, graph, shaping),
  }));
}

/** `penni inspect --shrink`: what `shrink` would remove of the model as it stands. */
async function inspectShrink(model: string, options: InspectOptions, terminal: Terminal): Promise<void> {
  const [{ reportShrink }, { describeShrinkReport }] = await Promise.all([
    import("../method/shrink/report.js"),
    import("./shrink_text.js"),
  ]);
  const { multiple, inputShape: shapes = new Map() } = options;
  const shrink = await withImported(model, shapes, ({ graph }) => reportShrink(graph, { multiple }));
  const text =
    options.json === true
      ? terminalJson({ model, shrink }, 2)
      : describeShrinkReport(shrink, lineWidth(terminal.stdout));
  terminal.stdout.write(`${text}\n`);
}

/** A model on its way to be looked at. */
interface Imported {
  readonly graph: Graph;
  /** As the file has it. */
  readonly given: Graph;
  /** What was learned of its shapes by running it, and the nodes that were not run. */
  readonly shaping: ShapedGraph;
  /** With fixed input dimensions, before it was imported. */
  readonly fixed: Graph;
}

/** What `use` makes of the model's graph with fixed input dimensions; errors name the file. */
async function withImported<Result>(
  model: string,
  shapes: InputShapes,
  use: (imported: Imported) => Result,
): Promise<Result> {
  const [
    { readModel },
    { fixBatch, fixInputShape, specializeInputs },
    { importForCompression },
    { withRuntimeShapes },
  ] = await Promise.all([
    import("../files/model_files.js"),
    import("../graph/passes/fix_input_shape.js"),
    import("../method/import_for_compression.js"),
    import("../measure/runtime_shapes.js"),
  ]);
  const graph = await readModel(model);
  return naming(model, async () => {
    const shaping = await withRuntimeShapes(specializeInputs(graph, shapes));
    const fixed = shapes.size > 0 ? fixInputShape(shaping.graph, shapes) : fixBatch(shaping.graph, 1);
    return use({ graph: importForCompression(fixed), given: graph, shaping, fixed });
  });
}
