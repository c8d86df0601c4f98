/** Names that the command line offers without loading what is behind them. */

/** Named settings. */
export const presetNames = ["fast", "calibrate", "paper"] as const;

export type PresetName = (typeof presetNames)[number];

/** What the penalty of retraining sets to zero: single coefficients, or all that read an input channel. */
export const penalties = ["coefficients", "channels"] as const;

export type Penalty = (typeof penalties)[number];

/** Where bases and coefficients come from. */
export const starts = ["svd", "calibrate"] as const;
