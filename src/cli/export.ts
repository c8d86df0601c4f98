import { type Command, Option } from "commander";
import { PenniError } from "../graph/errors.js";
import { naming } from "../graph/naming.js";
import { type WeightsType, weightsTypes } from "../graph/weights_type.js";
import { terminalJson, terminalLine } from "../text/destinations.js";
import { addExamples, type Example, headings } from "./help.js";
import type { Terminal } from "./terminal.js";

interface ExportOptions {
  readonly out: string;
  readonly weightsType: WeightsType;
  readonly json?: boolean;
}

/** `penni export`: a model with its weights stored in another type. */
export function addExportCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("export")
    .description("write a model again with its weights in fewer bits; it still computes in float32")
    .argument("<model>", "an .onnx file")
    .optionsGroup(headings.result)
    .requiredOption("-o, --out <file>", "the .onnx file to write: a new one")
    .addOption(
      new Option("--weights-type <name>", "how the weights are stored")
        .choices(weightsTypes)
        .makeOptionMandatory(),
    )
    .optionsGroup(headings.output)
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: ExportOptions) => {
      const result = await exportFile(model, options);
      const { bytes, before, kept } = result;
      const lines = [
        `${options.out}: ${bytes} bytes (${before} before), weights as ${options.weightsType}`,
        ...kept.map(({ name, reason }) => `${name} stays float32: ${reason}`),
      ];
      const text =
        options.json === true ? terminalJson({ model, ...result }, 2) : lines.map(terminalLine).join("\n");
      terminal.stdout.write(`${text}\n`);
    });
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  {
    what: "a quarter of the bytes:",
    words: ["export", "net.onnx", "--weights-type", "int8", "-o", "small.onnx"],
  },
];

interface Exported {
  readonly out: string;
  readonly weightsType: WeightsType;
  readonly bytes: number;
  readonly before: number;
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

async function exportFile(model: string, { out, weightsType }: ExportOptions): Promise<Exported> {
  const [
    { checkFreeFile },
    { readModelAndSize, writeModel },
    { importModel },
    { storeWeights },
    { withInterfaceOf },
    { withRecordedWeights },
    written,
  ] = await Promise.all([
    import("../files/directories.js"),
    import("../files/model_files.js"),
    import("../ops/passes/import_model.js"),
    import("../ops/passes/store_weights.js"),
    import("../ops/passes/float16.js"),
    import("../method/compression_record.js"),
    import("../method/goal/cost.js"),
  ]);
  checkFreeFile(out);
  const { graph, bytes: before } = await readModelAndSize(model);
  const { graph: stored, kept } = await naming(model, async () => {
    const found = storeWeights(importModel(graph), weightsType);
    return { ...found, graph: withRecordedWeights(withInterfaceOf(found.graph, graph), weightsType) };
  });
  const bytes = written.writtenBytes(stored);
  if (bytes > before && weightsType !== "float32") {
    throw new PenniError("bad-option", "the model would not be smaller", {
      file: model,
      expected: `fewer than ${before} bytes`,
      found: `${bytes} with weights as ${weightsType}`,
      advice: "Leave the model as it is",
    });
  }
  await writeModel(out, stored, { sparse: true });
  return { out, weightsType, bytes, before, kept };
}
