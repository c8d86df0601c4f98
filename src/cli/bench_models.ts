import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Session } from "../execute/engine.js";
import { at, present } from "../graph/at.js";
import { messageOf, PenniError } from "../graph/errors.js";
import { naming } from "../graph/naming.js";
import type { Graph, ValueInfo } from "../graph/types.js";
import type { BenchedModel, ModelFigures } from "../measure/bench_models.js";
import type { Budget, BudgetLine } from "../measure/budget.js";
import type { LoadedModule } from "../measure/compiled_module.js";
import type { Interval } from "../measure/interval.js";
import { openModel } from "./model_and_images.js";
import type { InputShapes } from "./options.js";
import { progressBar } from "./progress.js";
import type { Terminal } from "./terminal.js";

export interface CompareOptions {
  readonly rounds: number;
  readonly budget?: string;
  readonly data?: string;
  readonly limit?: number;
  readonly inputShape?: InputShapes;
}

/** Of a model on test images. */
export interface MeasuredAccuracy {
  readonly correct: number;
  readonly total: number;
  readonly top1: number;
  readonly interval: Interval;
}

export interface Compared extends ModelFigures {
  readonly accuracy?: MeasuredAccuracy;
}

/** Models in all engines, in the order in which they were given, and what the budget says of the first. */
export interface Comparison {
  readonly models: readonly Compared[];
  readonly budget?: readonly BudgetLine[];
}

/** @throws PenniError naming the file that cannot be read, compiled, run, or judged */
export async function compareModels(
  files: readonly string[],
  options: CompareOptions,
  terminal: Terminal,
): Promise<Comparison> {
  const [{ benchModels, compiledFigures }, { judgeBudget }] = await Promise.all([
    import("../measure/bench_models.js"),
    import("../measure/budget.js"),
  ]);
  const budget = options.budget === undefined ? undefined : await readBudget(options.budget);
  if (budget !== undefined && options.budget !== undefined)
    checkCanBeJudged(budget, files, options.budget, options.data);
  const models: BenchedModel[] = [];
  for (const file of files) models.push(await openBenched(file, options.inputShape));
  const accuracies: (MeasuredAccuracy | undefined)[] = [];
  for (const model of models) accuracies.push(await accuracyOf(model, options, terminal));
  const figures = await benchModels(models, options.rounds);
  const compared = figures.map((each, index): Compared => {
    const accuracy = accuracies[index];
    return { ...each, ...(accuracy === undefined ? {} : { accuracy }) };
  });
  const [first, second] = compared;
  if (budget === undefined || first === undefined) return { models: compared };
  const lines = judgeBudget(budget, {
    compiled: compiledFigures(first),
    peer: second === undefined ? undefined : compiledFigures(second),
    top1: first.accuracy?.top1,
  });
  return { models: compared, budget: lines };
}

async function readBudget(file: string): Promise<Budget> {
  const [{ budgetSchema }, { readRegularFile }, { schemaProblem }] = await Promise.all([
    import("../measure/budget.js"),
    import("../files/regular_file.js"),
    import("./schema_problem.js"),
  ]);
  const text = new TextDecoder().decode(await readRegularFile(file, "cannot read the budget"));
  const content = jsonOf(text, file);
  const parsed = budgetSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  throw schemaProblem(file, "the budget", budgetSchema, content, parsed.error);
}

/** @throws PenniError "bad-option" for a limit that nothing is measured for, before anything is */
function checkCanBeJudged(
  { atMost, atLeast }: Budget,
  files: readonly string[],
  file: string,
  data: string | undefined,
): void {
  if (atLeast?.top1 !== undefined && data === undefined) {
    throw new PenniError("bad-option", "atLeast.top1 needs test images to be measured on", {
      file,
      expected: "--data SPEC",
      found: "none",
      advice: "Add --data folder:DIR, or leave the limit out",
    });
  }
  if (atMost?.timeRatio !== undefined && files.length < 2) {
    throw new PenniError("bad-option", "atMost.timeRatio needs a second model to compare with", {
      file,
      expected: "penni bench NEW BEFORE --budget FILE",
      found: "one model",
      advice: "Add the model as it was before, or leave the limit out",
    });
  }
}

/** @throws PenniError "bad-file" where it is no JSON */
function jsonOf(text: string, file: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new PenniError("bad-file", "the budget is no JSON", {
      file,
      expected: BUDGET_FORM,
      found: messageOf(error),
    });
  }
}

const BUDGET_FORM = '{"atMost": {"gzippedBytes": 100000, "timeRatio": 1.1}, "atLeast": {"top1": 0.9}}';

async function openBenched(file: string, shapes: InputShapes | undefined): Promise<BenchedModel> {
  const { isCompiledFile, loadCompiledFile } = await import("../measure/compiled_module.js");
  if (!isCompiledFile(file)) return { name: file, kind: "network", graph: await openModel(file, shapes) };
  return { name: file, kind: "module", module: await loadCompiledFile(file) };
}

async function accuracyOf(
  model: BenchedModel,
  { data, limit }: CompareOptions,
  terminal: Terminal,
): Promise<MeasuredAccuracy | undefined> {
  if (data === undefined) return undefined;
  const [
    { imagesFor },
    { allIndices },
    { classifierInterface, evaluate, evaluateSession, expectImages },
    { shareInterval },
  ] = await Promise.all([
    import("./model_and_images.js"),
    import("../data/batches.js"),
    import("../measure/accuracy.js"),
    import("../measure/interval.js"),
  ]);
  const graph = model.kind === "network" ? model.graph : model.module.statement;
  const { dataset, preprocessing } = await imagesFor(model.name, graph, { data }, () => true);
  const split = await dataset.test();
  expectImages(split.count, "test images");
  const bar = progressBar(terminal.stderr, "images");
  const settings = { indices: allIndices(split).subarray(0, limit), onProgress: bar.update };
  try {
    const { correct, total, top1 } = await naming(model.name, async () =>
      model.kind === "network"
        ? await evaluate(graph, split, preprocessing, settings)
        : await evaluateSession(
            runsModule(model.module, graph),
            classifierInterface(graph, split, preprocessing),
            split,
            preprocessing,
            settings,
          ),
    );
    return { correct, total, top1, interval: shareInterval(correct, total) };
  } finally {
    bar.stop();
  }
}

/** A compiled classifier as a session that runs it. */
function runsModule({ model }: LoadedModule, { inputs, outputs }: Graph): Pick<Session, "run"> {
  const [input, output] = [at(inputs, 0).name, at(outputs, 0)];
  const [, ...dims] = wholeDims(output);
  return {
    run: async (feeds) => {
      const images = present(feeds[input]);
      const results = model.run(images.data as Float32Array);
      const scores = ArrayBuffer.isView(results) ? results : present(results[output.name]);
      if (!(scores instanceof Float32Array)) {
        throw new PenniError("bad-data", "the module gives no scores", {
          expected: "float32",
          found: `${output.type?.elementType}`,
        });
      }
      return { [output.name]: new OrtTensor("float32", scores, [at(images.dims, 0), ...dims]) };
    },
  };
}

/** A module's dimensions are all fixed. */
function wholeDims({ type }: ValueInfo): readonly number[] {
  return present(type?.shape).map(Number);
}
