/** The commands that configuration files are for. */
export const configuredNames = ["compress", "train"] as const;

export type ConfiguredName = (typeof configuredNames)[number];

export const CONFIG_DESCRIPTION =
  "settings from this file (default: penni.config.json, .yaml, .mjs or .ts in this directory); options that are given come before them";
