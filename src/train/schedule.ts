/** How the learning rate changes over a training stage. */
export type Schedule =
  /** Multiplied by `factor` each time the progress (0 to 1) passes a milestone (paper: 0.1 at 0.5 and 0.75). */
  | {
      readonly kind: "step";
      readonly initial: number;
      readonly factor: number;
      readonly milestones: readonly number[];
    }
  /** Half a cosine from `initial` down to 0 (Loshchilov and Hutter 2017, without restarts). */
  | { readonly kind: "cosine"; readonly initial: number };

/** The learning rate at a progress from 0 (first step) up to but excluding 1. */
export function learningRate(schedule: Schedule, progress: number): number {
  if (schedule.kind === "cosine") return schedule.initial * 0.5 * (1 + Math.cos(Math.PI * progress));
  const passed = schedule.milestones.filter((milestone) => progress >= milestone).length;
  return schedule.initial * schedule.factor ** passed;
}
