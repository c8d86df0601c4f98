import path from "node:path";
import { type Command, Option } from "commander";
import { type CrossProcessor, crossProcessors } from "../build/c_compiler.js";
import { type Backend, type WeightsPlace, weightPlaces } from "../compile/backend.js";
import { loadBackend, type TargetName, targetNames, targetProducts } from "../compile/backends.js";
import type { PictureOptions } from "../data/picture_format.js";
import type { NewFile } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import { naming } from "../graph/naming.js";
import type { Graph } from "../graph/types.js";
import { type WeightsType, weightsTypes } from "../graph/weights_type.js";
import { terminalJson } from "../text/destinations.js";
import { type Compilation, type CompiledFile, describeCompilation } from "./compile_text.js";
import { addExamples, type Example, headings } from "./help.js";
import {
  addPreprocessingOptions,
  classNamesOf,
  givenPictureOptions,
  type InputShapes,
  inputShape,
} from "./options.js";
import { lineWidth, type Terminal } from "./terminal.js";

interface CompileOptions extends PictureOptions {
  readonly target: TargetName;
  readonly out: string;
  readonly name?: string;
  readonly weights?: WeightsPlace;
  readonly weightsType?: WeightsType;
  readonly example?: boolean;
  readonly verify?: boolean;
  readonly cross?: CrossProcessor;
  readonly prepare?: boolean;
  readonly inputShape?: InputShapes;
  readonly classes?: string;
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
    .addOption(
      new Option(
        "--weights-type <name>",
        "how the result keeps weights until it is loaded (default: as the model does); arithmetic is float32",
      ).choices(weightsTypes),
    )
    .option(
      "--prepare",
      "for C: weights are made ready once, by NAME_prepare, in memory of yours, and runs are faster",
    )
    .option("--example", "also write a page, a program or a server that uses the model")
    .option(
      "--verify",
      "check the compiled program, what it reads and where it writes, before files are written",
    )
    .addOption(
      new Option("--cross <processor>", "make the addon for Linux on another processor").choices(
        crossProcessors,
      ),
    )
    .optionsGroup(headings.model)
    .option("--input-shape <NAME:DIMS>", "dimensions of an input, as input:1x3x32x32", inputShape)
    .option(
      "--classes <file>",
      "names of the model's classes, one per line or a JSON array, where it names none or others",
    );
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
  {
    what: "for servers in Node, an addon of machine code:",
    words: ["compile", "run/model.onnx", "--target node", "-o node"],
  },
];

interface Noticed extends Compilation {
  /** What of the model is left out, for people. */
  readonly notices: readonly string[];
}

async function compileFile(model: string, options: CompileOptions): Promise<Noticed> {
  const [{ compileModel }, { checkFreeDirectory, writeDirectory }, { readModel }, { cName, checkName }] =
    await Promise.all([
      import("../build/compile_model.js"),
      import("../files/directories.js"),
      import("../files/model_files.js"),
      import("../compile/c/names.js"),
    ]);
  const { out } = options;
  const name = checkName(options.name ?? cName(path.basename(model, ".onnx")));
  const backend = await loadBackend(options.target);
  await checkWeights(backend, options);
  await checkCross(backend, options);
  await checkPrepare(backend, options);
  await checkFreeDirectory(out);
  const given = await naming(model, async () => withClasses(await readModel(model), options));
  const { weights, weightsType, inputShape: inputShapes, example, verify, cross, prepare } = options;
  const { files, summary, pictures, notices, builtWith } = await naming(model, () =>
    compileModel(given, backend, {
      name,
      ...(weights === undefined ? {} : { weights }),
      ...(weightsType === undefined ? {} : { weightsType }),
      ...(inputShapes === undefined ? {} : { inputShapes }),
      ...(example === undefined ? {} : { example }),
      ...(verify === undefined ? {} : { verify }),
      ...(cross === undefined ? {} : { cross }),
      ...(prepare === undefined ? {} : { prepare }),
      pictures: givenPictureOptions(options),
    }),
  );
  const sizes = await Promise.all(files.map(measureFile));
  await writeDirectory(out, files);
  return {
    directory: out,
    files: sizes,
    ...(pictures === undefined ? {} : { pictures }),
    ...(builtWith === undefined ? {} : { builtWith }),
    ...summary,
    notices,
  };
}

/** The model with the names of --classes. */
async function withClasses(model: Graph, options: CompileOptions): Promise<Graph> {
  const names = await classNamesOf(options);
  if (names === undefined) return model;
  const [{ CLASS_NAMES_KEY, withoutClassNames }, { checkNameCount, mayScoreClasses }] = await Promise.all([
    import("../graph/image_metadata.js"),
    import("../measure/classes.js"),
  ]);
  if (mayScoreClasses(model)) checkNameCount(model, names);
  const metadata = new Map(withoutClassNames(model.metadata)).set(CLASS_NAMES_KEY, JSON.stringify(names));
  return { ...model, metadata };
}

async function checkWeights(
  { weightPlaces: places }: Backend,
  { target, weights }: CompileOptions,
): Promise<void> {
  if (weights === undefined || places.includes(weights)) return;
  throw new PenniError("bad-option", `this target does not know --weights ${weights}`, {
    expected: await targetsWhere((other) => other.weightPlaces.includes(weights)),
    found: `--target ${target}`,
    advice:
      places.length === 0
        ? "Its files always hold the weights: leave --weights out"
        : `Choose one of ${places.join(", ")}`,
  });
}

async function checkCross({ execution }: Backend, { target, cross }: CompileOptions): Promise<void> {
  if (cross === undefined || execution.kind === "addon") return;
  const others = await targetsWhere((other) => other.execution.kind === "addon");
  throw new PenniError("bad-option", "this target's files are not made for a processor", {
    expected: `--cross with ${others}`,
    found: `--target ${target}`,
    advice: "Leave --cross out",
  });
}

async function checkPrepare(
  { preparingTarget }: Backend,
  { target, prepare }: CompileOptions,
): Promise<void> {
  if (prepare === undefined || preparingTarget !== undefined) return;
  const others = await targetsWhere((other) => other.preparingTarget !== undefined);
  throw new PenniError("bad-option", "this target always makes its weights ready when it is loaded", {
    expected: `--prepare with ${others}`,
    found: `--target ${target}`,
    advice: "Leave --prepare out",
  });
}

/** "--target c or --target node" */
async function targetsWhere(fits: (backend: Backend) => boolean): Promise<string> {
  const backends = await Promise.all(
    targetNames.map(async (name) => ({ name, backend: await loadBackend(name) })),
  );
  return backends.flatMap(({ name, backend }) => (fits(backend) ? [`--target ${name}`] : [])).join(" or ");
}

async function measureFile({ name, content }: NewFile): Promise<CompiledFile> {
  const [{ gzip }, { promisify }] = await Promise.all([import("node:zlib"), import("node:util")]);
  const bytes = Buffer.from(content);
  const { byteLength } = await promisify(gzip)(bytes);
  return { name, bytes: bytes.byteLength, gzippedBytes: byteLength };
}
