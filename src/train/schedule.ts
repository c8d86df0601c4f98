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
  | { readonly kind: "cosine"; readonly initial: number }
  /**
   * Rises in a straight line from a tenth of the peak over the share `warmUp` (0 to below 1) of the training, then falls to
   * 0, in a straight line or by half a cosine (after Smith 2018).
   */
  | {
      readonly kind: "one-cycle";
      readonly peak: number;
      readonly warmUp: number;
      readonly fall: "linear" | "cosine";
    };

export function highestRate(schedule: Schedule): number {
  return schedule.kind === "one-cycle" ? schedule.peak : schedule.initial;
}

/** A schedule with another highest learning rate. */
export function withRate(schedule: Schedule, rate: number): Schedule {
  return schedule.kind === "one-cycle" ? { ...schedule, peak: rate } : { ...schedule, initial: rate };
}

/** Where a one-cycle schedule starts, as a share of its peak. */
const START_SHARE = 0.1;

/** The learning rate at a progress from 0 (first step) up to but excluding 1. */
export function learningRate(schedule: Schedule, progress: number): number {
  if (schedule.kind === "cosine") return schedule.initial * halfCosine(progress);
  if (schedule.kind === "one-cycle") return schedule.peak * oneCycle(schedule, progress);
  const passed = schedule.milestones.filter((milestone) => progress >= milestone).length;
  return schedule.initial * schedule.factor ** passed;
}

/** From 1 at 0 down to 0 at 1. */
function halfCosine(progress: number): number {
  return 0.5 * (1 + Math.cos(Math.PI * progress));
}

/** The share of the peak. */
function oneCycle(
  { warmUp, fall }: Extract<Schedule, { readonly kind: "one-cycle" }>,
  progress: number,
): number {
  if (progress < warmUp) return START_SHARE + (1 - START_SHARE) * (progress / warmUp);
  const fallen = (progress - warmUp) / (1 - warmUp);
  return fall === "cosine" ? halfCosine(fallen) : 1 - fallen;
}
