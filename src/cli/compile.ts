import { readFile } from "node:fs/promises";
import path from "node:path";
import { type Command, Option } from "commander";
import { type Backend, type EmitOptions, type WeightsPlace, weightPlaces } from "../compile/backend.js";
import { loadBackend, type TargetName, targetNames, targetProducts } from "../compile/backends.js";
import type { ProgramSummary } from "../compile/summary.js";
import type { PictureFormat, PictureOptions } from "../data/picture_format.js";
import type { NewFile } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import type { Graph } from "../graph/types.js";
import { type CIdentifier, terminalJson } from "../text/destinations.js";
import { type Compilation, type CompiledFile, describeCompilation } from "./compile_text.js";
import { addExamples, type Example, headings } from "./help.js";
import {
  addPreprocessingOptions,
  givenPictureOptions,
  type InputShapes,
  inputShape,
  naming,
} from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";

interface CompileOptions extends PictureOptions {
  readonly target: TargetName;
  readonly out: string;
  readonly name?: string;
  readonly weights?: WeightsPlace;
  readonly example?: boolean;
  readonly verify?: boolean;
  readonly inputShape?: InputShapes;
  readonly json?: boolean;
}

/** `penni compile`: a model as code for a target, without ONNX Runtime. */
export function addCompileCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("compile")
    .description(`turn a model into ${targetProducts} that runs its sparsity`)
    .argument("<model>", "an .onnx file")
    .optionsGroup(headings.result)
    .addOption(new Option("--target <name>", "what to write").choices(targetNames).makeOptionMandatory())
    .requiredOption("-o, --out <dir>", "directory of the result: new or empty")
    .option("--name <name>", "name of the files and of C functions (default: the model file's)")
    .addOption(
      new Option(
        "--weights <place>",
        "where the target has the choice: in the code, in a source file of their own, or in a binary file (default: inside)",
      ).choices(weightPlaces),
    )
    .option("--example", "also write a page or a program that classifies an image")
    .option(
      "--verify",
      "check the compiled program, what it reads and where it writes, before files are written",
    )
    .optionsGroup(headings.model)
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape);
  addPreprocessingOptions(command.optionsGroup(headings.pictures))
    .optionsGroup(headings.output)
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
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  {
    what: "for the web, with a page to try it:",
    words: ["compile", "run/model.onnx", "--target wasm", "-o web", "--example"],
  },
  {
    what: "for C, the weights in a file beside it:",
    words: ["compile", "run/model.onnx", "--target c", "-o c", "--weights binary"],
  },
];

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
  const backend = await loadBackend(options.target);
  await checkWeights(backend, options);
  await checkFreeDirectory(out);
  const given = await readModel(model);
  const { files, summary, pictures, notices } = await naming(model, () =>
    compileGraph(given, name, backend, options),
  );
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

async function checkWeights(
  { weightPlaces: places }: Backend,
  { target, weights }: CompileOptions,
): Promise<void> {
  if (weights === undefined || places.includes(weights)) return;
  const backends = await Promise.all(targetNames.map(loadBackend));
  const others = targetNames.filter((_, index) => backends[index]?.weightPlaces.includes(weights));
  throw new PenniError("bad-option", `this target does not know --weights ${weights}`, {
    expected: others.map((name) => `--target ${name}`).join(" or "),
    found: `--target ${target}`,
    advice:
      places.length === 0
        ? "Its files always hold the weights: leave --weights out"
        : `Choose one of ${places.join(", ")}`,
  });
}

interface Compiled {
  readonly files: readonly NewFile[];
  readonly summary: ProgramSummary;
  /** How the model takes pictures, if it does. */
  readonly pictures: PictureFormat | undefined;
  readonly notices: readonly string[];
}

async function compileGraph(
  given: Graph,
  name: CIdentifier,
  backend: Backend,
  options: CompileOptions,
): Promise<Compiled> {
  const [{ fixInputShape }, { compileProgram }, { summarizeProgram }, { verifyProgram }] = await Promise.all([
    import("../graph/passes/fix_input_shape.js"),
    import("../compile/compile.js"),
    import("../compile/summary.js"),
    import("../compile/verify/program.js"),
  ]);
  const { weights, inputShape: shapes = new Map() } = options;
  const { graph: fixed, notices } = await withUsableNames(fixInputShape(given, shapes));
  const pictures = await picturesOf(fixed, options);
  const program = compileProgram(await withPreprocessing(fixed, pictures), backend.target);
  if (options.verify === true) verifyProgram(program, backend.target.width);
  const files = backend.emit(program, {
    name,
    ...(weights === undefined ? {} : { weights }),
    ...(options.example === true ? { example: await partsOf(backend) } : {}),
  });
  return { summary: summarizeProgram(program), pictures, notices, files };
}

/** The texts that a back end puts into an example. */
function partsOf({ exampleParts }: Backend): Promise<NonNullable<EmitOptions["example"]>> {
  return Promise.all(exampleParts.map((part) => readFile(new URL(`../${part}`, import.meta.url), "utf8")));
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
