/** Names of a run's stages and of the files that its networks are kept in. */

/**
 * The method, in order; nothing else says which stage comes before which. What a stage has made is kept under its
 * name, by which runs of earlier versions are resumed: a stage is not renamed.
 */
export const stageNames = [
  "simplify",
  "normalize",
  "channels",
  "recover",
  "decompose",
  "retrain",
  "prune",
  "fine-tune",
  "shrink",
  "export",
] as const;

export type StageName = (typeof stageNames)[number];

/** What a run is busy with: a stage, or at its end finding out what it has come to. */
export type Activity = StageName | "measure";

/** What the names of stages end with: nothing in a run's own stages, "-2" in those of the second try of a search. */
export type TrySuffix = "" | `-${number}`;

/** Networks that a run has from its start. */
export const startNames = ["original", "rest", "teacher"] as const;

export type StartName = (typeof startNames)[number];

/** The parts of `penni train`. */
export type TrainingPartName = "train" | `train-${number}`;

/** Under this name, with ".onnx" behind it, a network lies in `stages/`. */
export type KeptName = StartName | `${StageName}${TrySuffix}` | TrainingPartName;
