import path from "node:path";
import { type Command, Option } from "commander";
import type { ProgramSummary } from "../compile/summary.js";
import type { TargetName } from "../compile/targets.js";
import type { PictureFormat, PictureOptions } from "../data/picture_format.js";
import type { NewFile } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { type CIdentifier, terminalJson } from "../text/destinations.js";
import { type Compilation, type CompiledFile, describeCompilation } from "./compile_text.js";
import {
  addPreprocessingOptions,
  givenPictureOptions,
  type InputShapes,
  inputShape,
  naming,
} from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";

const targetNames: readonly TargetName[] = ["wasm", "c"];
const weightPlaces = ["inside", "separate", "binary"] as const;

interface CompileOptions extends PictureOptions {
  readonly target: TargetName;
  readonly out: string;
  readonly name?: string;
  readonly weights?: (typeof weightPlaces)[number];
  readonly example?: boolean;
  readonly inputShape?: InputShapes;
  readonly json?: boolean;
}

/** `penni compile`: a model as a WebAssembly module or as C, without ONNX Runtime. */
export function addCompileCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("compile")
    .description("turn a model into a WebAssembly module or C code that runs its sparsity")
    .argument("<model>", "an .onnx file")
    .addOption(new Option("--target <name>", "what to write").choices(targetNames).makeOptionMandatory())
    .requiredOption("-o, --out <dir>", "directory of the result: new or empty")
    .option("--name <name>", "name of the files and of C functions (default: the model file's)")
    .addOption(
      new Option(
        "--weights <place>",
        "for C: in the code, in a .c file of their own, or in a binary file (default: inside)",
      ).choices(weightPlaces),
    )
    .option("--example", "also write a page (WebAssembly) or a program (C) that classifies an image")
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape);
  return addPreprocessingOptions(command)
    .option("--json", "print the result as JSON")
    .action(async (model: string, options: CompileOptions) => {
      const { target } = options;
      const { notices, ...compilation } = await compileFile(model, options);
      for (const notice of notices) terminal.stderr.write(`${notice}\n`);
      const text =
        options.json === true
          ? terminalJson({ model, target, ...compilation }, 2)
          : describeCompilation(compilation, lineWidth(terminal.stdout));
      terminal.stdout.write(`${text}\n`);
    });
}

interface Noticed extends Compilation {
  /** What of the model is left out, for people. */
  readonly notices: readonly string[];
}

async function compileFile(model: string, options: CompileOptions): Promise<Noticed> {
  const [{ checkFreeDirectory, writeDirectory }, { readModel }, { cName, checkName }] = await Promise.all([
    import("../files/directories.js"),
    import("../files/model_files.js"),
    import("../compile/c/names.js"),
  ]);
  const { out } = options;
  const name = checkName(options.name ?? cName(path.basename(model, ".onnx")));
  checkWeights(options);
  await checkFreeDirectory(out);
  const given = await readModel(model);
  const { files, summary, pictures, notices } = await naming(model, () => compileGraph(given, name, options));
  const sizes = await Promise.all(files.map(measureFile));
  await writeDirectory(out, files);
  return {
    directory: out,
    files: sizes,
    ...(pictures === undefined ? {} : { pictures }),
    ...summary,
    notices,
  };
}

function checkWeights({ target, weights }: CompileOptions): void {
  if (target === "c" || weights === undefined) return;
  throw new PenniError("bad-option", "--weights is for C", {
    expected: "--target c",
    found: `--target ${target}`,
    advice: "A WebAssembly module always holds its weights: leave --weights out",
  });
}

interface Compiled {
  readonly files: readonly NewFile[];
  readonly summary: ProgramSummary;
  /** How the model takes pictures, if it does. */
  readonly pictures: PictureFormat | undefined;
  readonly notices: readonly string[];
}

async function compileGraph(given: Graph, name: CIdentifier, options: CompileOptions): Promise<Compiled> {
  const [{ fixInputShape }, { compileProgram }, { targets }, { summarizeProgram }] = await Promise.all([
    import("../graph/passes/fix_input_shape.js"),
    import("../compile/compile.js"),
    import("../compile/targets.js"),
    import("../compile/summary.js"),
  ]);
  const { target, weights = "inside", example = false, inputShape: shapes = new Map() } = options;
  const { graph: fixed, notices } = await withUsableNames(fixInputShape(given, shapes));
  const pictures = await picturesOf(fixed, options);
  const program = compileProgram(await withPreprocessing(fixed, pictures), targets[target]);
  const summary = summarizeProgram(program);
  if (target === "c") {
    const { cFiles } = await import("../compile/c/files.js");
    return { summary, pictures, notices, files: cFiles(program, { name, weights, example }) };
  }
  const [{ wasmModule }, { wasmExample }] = await Promise.all([
    import("../compile/wasm/module.js"),
    import("./wasm_example.js"),
  ]);
  const module = wasmModule(program);
  const files: readonly NewFile[] = [{ name: `${name}.wasm`, content: module }];
  const page = example ? await wasmExample(name, module, program) : [];
  return { summary, pictures, notices, files: [...files, ...page] };
}

/** Without class names that are not those of the scores: a compiled model would call its classes by them. */
async function withUsableNames(
  graph: Graph,
): Promise<{ readonly graph: Graph; readonly notices: readonly string[] }> {
  const { readClassNames, withoutClassNames } = await import("../graph/image_metadata.js");
  if (readClassNames(graph.metadata) === undefined) return { graph, notices: [] };
  const { unusableNames } = await import("../measure/classes.js");
  const notice = unusableNames(graph);
  if (notice === undefined) return { graph, notices: [] };
  return { graph: { ...graph, metadata: withoutClassNames(graph.metadata) }, notices: [notice] };
}

/** How the model takes pictures: as in its metadata and the options, else as most models in colour do. */
async function picturesOf(graph: Graph, options: CompileOptions): Promise<PictureFormat | undefined> {
  const data = await import("../data/index.js");
  const isStated = graph.inputs.length === 1 && data.readPreprocessing(graph.metadata) !== undefined;
  const isGiven = Object.keys(givenPictureOptions(options)).length > 0;
  return isStated || isGiven || data.takesColour(graph) ? data.pictureFormat(graph, options) : undefined;
}

async function withPreprocessing(graph: Graph, pictures: PictureFormat | undefined): Promise<Graph> {
  if (pictures === undefined) return graph;
  const { PREPROCESSING_KEY } = await import("../data/preprocessing.js");
  const metadata = new Map(graph.metadata);
  return { ...graph, metadata: metadata.set(PREPROCESSING_KEY, JSON.stringify(pictures.preprocessing)) };
}

async function measureFile({ name, content }: NewFile): Promise<CompiledFile> {
  const [{ gzip }, { promisify }] = await Promise.all([import("node:zlib"), import("node:util")]);
  const bytes = Buffer.from(content);
  const { byteLength } = await promisify(gzip)(bytes);
  return { name, bytes: bytes.byteLength, gzippedBytes: byteLength };
}
