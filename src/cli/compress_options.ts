import type { Command } from "commander";
import type { PictureOptions } from "../data/picture_format.js";
import type { SettingOptions } from "./compress_settings.js";
import { askedRule, ruleOptionsOf } from "./goal_options.js";
import type { InputShapes } from "./options.js";

/** What the options of `penni compress` say. */
export interface CompressOptions extends SettingOptions, PictureOptions {
  /** Of a configuration file. */
  readonly model?: string;
  readonly data?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly seed: number;
  readonly inputShape?: InputShapes;
  readonly classes?: string;
  readonly externalData?: boolean;
  readonly json?: boolean;
  readonly plan?: boolean;
  readonly open?: boolean;
  readonly dequantize?: boolean;
}

/** The options with the rule of pruning that one of them asks for. */
export function withRule(options: CompressOptions, command: Command): CompressOptions {
  const rule = askedRule(command, ruleOptionsOf(command));
  return rule === undefined ? options : { ...options, rule };
}
