/** Names that the command line offers without loading what is behind them. */

/** Named settings. */
export const presetNames = ["fast", "best", "calibrate", "paper"] as const;

export type PresetName = (typeof presetNames)[number];

/** What the penalty of retraining sets to zero: single coefficients, or all that read an input channel. */
export const penalties = ["coefficients", "channels"] as const;

export type Penalty = (typeof penalties)[number];

/** By what it is chosen which coefficients go; the first by default. What the others are, says `src/method/saliency.ts`. */
export const saliencies = ["magnitude", "fisher", "taylor"] as const;

export type Saliency = (typeof saliencies)[number];

/** Where bases and coefficients come from. */
export const starts = ["svd", "calibrate"] as const;
