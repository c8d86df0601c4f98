/** Names of goals and of what they are measured by, without what is behind them. */

/** What a size is the size of: the file of the result as written, or the module that it compiles to. */
export const sizedFiles = ["onnx", "wasm"] as const;

export type SizedFile = (typeof sizedFiles)[number];

/** How losses are measured: points of top-1 against labels, or the largest error of the matched outputs. */
export const lossMeasures = ["top1", "error"] as const;

export type LossMeasure = (typeof lossMeasures)[number];

/** Rules that say what is wanted of the result: the fraction of MACs that gives it is searched for. */
export const goalNames = ["size", "latency", "loss"] as const;

export type GoalName = (typeof goalNames)[number];
