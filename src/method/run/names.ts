/** Names that the command line offers without loading what is behind them. */

/** Named settings. */
export const presetNames = ["fast", "calibrate", "paper"] as const;

export type PresetName = (typeof presetNames)[number];

/** Where bases and coefficients come from. */
export const starts = ["svd", "calibrate"] as const;
