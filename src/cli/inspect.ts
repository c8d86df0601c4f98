import type { Command } from "commander";
import { naming } from "../graph/naming.js";
import type { Graph } from "../graph/types.js";
import type { ShapedGraph } from "../measure/runtime_shapes.js";
import type { Remark } from "../method/remarks.js";
import type { ModelSize, Verdict } from "../method/verdict.js";
import { terminalJson } from "../text/destinations.js";
import { isGiven, refuseExtra } from "./extra.js";
import { addExamples, type Example, headings } from "./help.js";
import { describeInspection, type InspectedModel, type StoredWeightsSummary } from "./inspect_text.js";
import { type InputShapes, inputShape, wholeNumber } from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";
import { inspectedFractions } from "./verdict_text.js";

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
    .action(async (model: string, options: InspectOptions, command: Command) => {
      const isExtra = options.shrink !== true && isGiven(command, "multiple");
      refuseExtra([{ name: "--multiple", isExtra, expected: "--shrink" }]);
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
  const [{ inspectGraph }, { modelRemarks }, { verdictOn }] = await Promise.all([
    import("../method/inspect.js"),
    import("../method/remarks.js"),
    import("../method/verdict.js"),
  ]);
  return withImported(model, shapes, async (imported) => {
    const { graph, given, shaping } = imported;
    const real = await withoutQuantization(imported);
    const inspection = inspectGraph(real);
    return {
      ...inspection,
      weights: await weightsOf(imported.given),
      remarks: modelRemarks(given, graph, shaping),
      verdict: verdictOn(real, inspection, await sizeOf(imported), { fractions: inspectedFractions }),
    };
  });
}

/** What is asked of a model before a run. */
export interface OutlookRequest {
  /** Of its multiply-accumulates (paper count), what will be left. */
  readonly fraction: number | undefined;
  /** Of a calibrated start. */
  readonly calibration: { readonly images: number; readonly basis: number | "auto" } | undefined;
}

/** What can be said of a run before it starts. */
export interface Outlook {
  readonly verdict: Verdict;
  /** How long a calibrated start takes on a usual processor. */
  readonly seconds?: number;
  /** What makes it take longer than it must, and what to do about it. */
  readonly slow?: Remark;
}

/** A look at a model that takes moments. */
export async function outlookOn(
  model: string,
  shapes: InputShapes,
  { fraction, calibration }: OutlookRequest,
): Promise<Outlook> {
  const [{ inspectGraph }, { batchRemark }, { expectedCalibration, verdictOn }] = await Promise.all([
    import("../method/inspect.js"),
    import("../method/remarks.js"),
    import("../method/verdict.js"),
  ]);
  return withImported(model, shapes, async (imported) => {
    const real = await withoutQuantization(imported);
    const fractions = fraction === undefined ? [] : [fraction];
    const verdict = verdictOn(real, inspectGraph(real), await sizeOf(imported), { fractions, calibration });
    const slow = batchRemark(imported.given, imported.graph);
    const found = { verdict, ...(slow === undefined ? {} : { slow }) };
    if (calibration === undefined) return found;
    return { ...found, seconds: expectedCalibration(real, calibration.images, calibration.basis) };
  });
}

/** The network as compression with --dequantize has it, before operators of the runtime's own are written as sums of integers. */
async function withoutQuantization({ graph, fixed }: Imported): Promise<Graph> {
  const [{ quantizedNode }, { dequantize }, { importForCompression }] = await Promise.all([
    import("../method/remarks.js"),
    import("../ops/passes/dequantize.js"),
    import("../method/import_for_compression.js"),
  ]);
  return quantizedNode(graph) === undefined ? graph : importForCompression(dequantize(fixed).graph);
}

async function sizeOf({ bytes, given }: Imported): Promise<ModelSize> {
  const { hasHalfWeights } = await import("../ops/passes/float16.js");
  return { bytes, half: hasHalfWeights(given) };
}

/** What a model's weights are stored as, and the bytes of all its constants as they would be without sparse forms. */
async function weightsOf({ initializers, ...rest }: Graph): Promise<StoredWeightsSummary> {
  const { storedTypeOf } = await import("../ops/passes/store_weights.js");
  const bytes = [...initializers.values()].reduce((sum, tensor) => sum + tensor.bytes.byteLength, 0);
  return { type: storedTypeOf({ initializers, ...rest }), bytes };
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
  /** Of all its files. */
  readonly bytes: number;
  /** What was learned of its shapes by running it, and the nodes that were not run. */
  readonly shaping: ShapedGraph;
  /** With fixed input dimensions, before it was imported. */
  readonly fixed: Graph;
}

/** What `use` makes of the model's graph with fixed input dimensions; errors name the file. */
async function withImported<Result>(
  model: string,
  shapes: InputShapes,
  use: (imported: Imported) => Result | Promise<Result>,
): Promise<Result> {
  const [
    { readModelAndSize },
    { fixBatch, fixInputShape, specializeInputs },
    { importForCompression },
    { withRuntimeShapes },
  ] = await Promise.all([
    import("../files/model_files.js"),
    import("../graph/passes/fix_input_shape.js"),
    import("../method/import_for_compression.js"),
    import("../measure/runtime_shapes.js"),
  ]);
  const { graph, bytes } = await readModelAndSize(model);
  return naming(model, async () => {
    const shaping = await withRuntimeShapes(specializeInputs(graph, shapes));
    const fixed = shapes.size > 0 ? fixInputShape(shaping.graph, shapes) : fixBatch(shaping.graph, 1);
    return use({ graph: importForCompression(fixed), given: graph, bytes, shaping, fixed });
  });
}
