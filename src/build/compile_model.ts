import { readFile } from "node:fs/promises";
import type { Backend, EmittedFile, WeightsPlace } from "../compile/backend.js";
import { compileProgram } from "../compile/compile.js";
import { detectorNote, statedOutputs } from "../compile/detector_note.js";
import type { Program } from "../compile/program.js";
import { type ProgramSummary, summarizeProgram } from "../compile/summary.js";
import { verifyProgram } from "../compile/verify/program.js";
import {
  type PictureFormat,
  type PictureOptions,
  pictureFormat,
  takesColour,
} from "../data/picture_format.js";
import {
  PREPROCESSING_KEY,
  readClassNames,
  readPreprocessing,
  withoutClassNames,
} from "../graph/image_metadata.js";
import { fixInputShape } from "../graph/passes/fix_input_shape.js";
import type { Graph } from "../graph/types.js";
import type { WeightsType } from "../graph/weights_type.js";
import { unusableNames } from "../measure/classes.js";
import type { CIdentifier } from "../text/destinations.js";
import { type BuiltWith, buildAddon } from "./addon.js";
import type { CrossProcessor } from "./c_compiler.js";

export interface CompileSettings {
  /** What the files are called, and what begins the names of functions. */
  readonly name: CIdentifier;
  /** One of the back end's; default: its first. */
  readonly weights?: WeightsPlace;
  /** What weights are kept as until the result is loaded; default: what the model has them as. */
  readonly weightsType?: WeightsType;
  /** Dimensions of inputs that the model leaves open, by name; an open batch becomes 1. */
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** What is said of pictures in place of what the model says. */
  readonly pictures?: PictureOptions;
  /** Adds what shows the model at work (default: false). */
  readonly example?: boolean;
  /** Checks the program, what it reads and where it writes, before it is printed (default: false). */
  readonly verify?: boolean;
  /** The processor that an addon is made for, where it is another machine's. */
  readonly cross?: CrossProcessor;
  /**
   * Whether weights are made ready once, in memory for it, where the back end leaves the choice (default: false); the
   * others do so always.
   */
  readonly prepare?: boolean;
}

/** A model as a target's files. */
export interface CompiledModel {
  readonly files: readonly EmittedFile[];
  readonly summary: ProgramSummary;
  /** How the model takes pictures, if it does. */
  readonly pictures: PictureFormat | undefined;
  /** What of the model is left out, for people. */
  readonly notices: readonly string[];
  /** Of what a C compiler had to build. */
  readonly builtWith?: BuiltWith;
}

/**
 * Compiles a model for a target, with what the model, or else the settings, say of pictures written into it. What has to
 * be built is built.
 * @throws PenniError "unsupported" naming the first node that cannot be compiled, "shape" if a dimension is open,
 *   "bad-option" if the settings do not fit the model or the back end, "bad-model" if its metadata make no sense; of an addon
 *   "unsupported" also where there is no C compiler
 */
export async function compileModel(
  given: Graph,
  backend: Backend,
  settings: CompileSettings,
): Promise<CompiledModel> {
  const { name, weights, inputShapes = new Map(), pictures: stated = {} } = settings;
  const { graph: fixed, notices: ofNames } = withUsableNames(fixInputShape(given, inputShapes));
  const pictures = picturesOf(fixed, stated);
  const target = settings.prepare === true ? (backend.preparingTarget ?? backend.target) : backend.target;
  const program = compileProgram(withPreprocessing(fixed, pictures), target, settings.weightsType);
  if (settings.verify === true) verifyProgram(program, target.width);
  const emitted = backend.emit(program, {
    name,
    ...(weights === undefined ? {} : { weights }),
    ...(settings.example === true ? { example: await partsOf(backend) } : {}),
  });
  const { execution } = backend;
  const notices = [
    ...ofNames,
    ...preparationNotices(program, settings),
    ...exampleNotices(program, settings),
  ];
  const result = { summary: summarizeProgram(program), pictures, notices };
  if (execution.kind !== "addon") return { ...result, files: emitted };
  return { ...result, ...(await buildAddon(emitted, execution, name, settings.cross)) };
}

function preparationNotices({ preparation }: Program, { prepare, name }: CompileSettings): readonly string[] {
  if (prepare !== true || preparation.length > 0) return [];
  return [`There is nothing to make ready in this model: ${name}_run is the same as without --prepare.`];
}

function exampleNotices(program: Program, { example }: CompileSettings): readonly string[] {
  const note = example === true ? detectorNote(statedOutputs(program)) : undefined;
  return note === undefined ? [] : [note];
}

/** The texts that a back end puts into an example. */
function partsOf({ exampleParts }: Backend): Promise<readonly string[]> {
  return Promise.all(exampleParts.map((part) => readFile(new URL(`../${part}`, import.meta.url), "utf8")));
}

/** Without class names that are not those of the scores: a compiled model would call its classes by them. */
function withUsableNames(graph: Graph): { readonly graph: Graph; readonly notices: readonly string[] } {
  if (readClassNames(graph.metadata) === undefined) return { graph, notices: [] };
  const notice = unusableNames(graph);
  if (notice === undefined) return { graph, notices: [] };
  return { graph: { ...graph, metadata: withoutClassNames(graph.metadata) }, notices: [notice] };
}

/** How the model takes pictures: as in its metadata and the options, else as most models in colour do. */
function picturesOf(graph: Graph, options: PictureOptions): PictureFormat | undefined {
  const isStated = graph.inputs.length === 1 && readPreprocessing(graph.metadata) !== undefined;
  const isGiven = Object.keys(options).length > 0;
  return isStated || isGiven || takesColour(graph) ? pictureFormat(graph, options) : undefined;
}

function withPreprocessing(graph: Graph, pictures: PictureFormat | undefined): Graph {
  if (pictures === undefined) return graph;
  const metadata = new Map(graph.metadata);
  return { ...graph, metadata: metadata.set(PREPROCESSING_KEY, JSON.stringify(pictures.preprocessing)) };
}
