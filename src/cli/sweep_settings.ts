import { Command } from "commander";
import { PenniError } from "../graph/errors.js";
import type { TrialMaker } from "../sweep/engine.js";
import { type InputDigests, trialId } from "../sweep/identity.js";
import type { SweepSpec } from "../sweep/spec.js";
import type { AxisValue } from "../sweep/trial.js";
import { addCompressCommand } from "./compress.js";
import { type CompressOptions, withRule } from "./compress_options.js";
import { settingsFrom } from "./compress_settings.js";
import { parsedValue } from "./config_file.js";
import { ruleOptionNames } from "./goal_options.js";
import type { Terminal } from "./terminal.js";

type Values = Readonly<Record<string, AxisValue>>;
type Settings = Readonly<Record<string, unknown>>;

/** A fresh `penni compress`, which no value was given. */
export function compressCommand(terminal: Terminal): Promise<Command> {
  return addCompressCommand(new Command("penni"), terminal, ["compress"]);
}

/** Makes trials of a sweep, and finds what is wrong with one before it is run. */
export class TrialSettings {
  private command: Promise<Command> | undefined;

  constructor(
    private readonly terminal: Terminal,
    private readonly spec: Pick<SweepSpec, "base" | "axes">,
    private readonly digests: InputDigests,
    /** The sweep file. */
    readonly file: string,
  ) {}

  /** @throws PenniError "bad-option" naming the values if they contradict each other */
  readonly make: TrialMaker = async (values) => {
    const settings = this.settingsOf(values);
    await this.optionsOf(values);
    return { id: await trialId(settings, this.digests), settings };
  };

  /** Reads the files and images of a trial, whose digests are kept. */
  async digest(values: Values): Promise<void> {
    await trialId(this.settingsOf(values), this.digests);
  }

  settingsOf(values: Values): Settings {
    return { ...this.spec.base, ...values };
  }

  /** The options of `penni compress` that a trial's settings are. @throws as `make` */
  async optionsOf(values: Values): Promise<CompressOptions> {
    // One for all trials: making it takes longer than everything else here.
    this.command ??= compressCommand(this.terminal);
    const options = this.read(await this.command, this.settingsOf(values));
    try {
      const [{ checkSettings }, checked] = await Promise.all([
        import("../run/settings_checks.js"),
        settingsFrom(options),
      ]);
      checkSettings(checked);
    } catch (error) {
      throw error instanceof PenniError ? this.withValues(error, values) : error;
    }
    return options;
  }

  /** How many epochs a trial has of a stage. */
  async epochsOf(values: Values, stage: "retrain" | "fine-tune"): Promise<number> {
    const { retrain, fineTune } = await settingsFrom(await this.optionsOf(values));
    return stage === "retrain" ? retrain.epochs : fineTune.epochs;
  }

  /** Gives a command these settings, and takes them away again. */
  private read(command: Command, settings: Settings): CompressOptions {
    this.checkRules(command, settings);
    const before = Object.keys(settings).map((name) => ({
      name,
      value: command.getOptionValue(name) as unknown,
      source: command.getOptionValueSource(name),
    }));
    try {
      for (const [name, value] of Object.entries(settings)) {
        if (value === undefined) continue;
        const option = command.options.find((one) => one.attributeName() === name);
        const parsed =
          option === undefined ? value : parsedValue(option, value, this.placeOf(name), this.file);
        command.setOptionValueWithSource(name, parsed, "config");
      }
      return withRule({ ...command.opts<CompressOptions>() }, command);
    } finally {
      for (const { name, value, source } of before)
        command.setOptionValueWithSource(name, value, source ?? "default");
    }
  }

  /** Where a setting stands in the sweep file. */
  placeOf(name: string): string {
    return name in this.spec.axes ? `axes.${name}` : `base.${name}`;
  }

  private checkRules(command: Command, settings: Settings): void {
    const rules = ruleOptionNames(command);
    const [rule, other] = Object.keys(settings).filter((name) => rules.includes(name));
    if (rule === undefined || other === undefined) return;
    throw new PenniError("bad-option", `${this.placeOf(other)} contradicts ${this.placeOf(rule)}`, {
      file: this.file,
      expected: `one of ${rules.join(", ")}`,
    });
  }

  private withValues(error: PenniError, values: Values): PenniError {
    const { code, problem, details } = error;
    return new PenniError(code, `a trial with ${describeValues(values)}: ${problem}`, {
      file: this.file,
      ...details,
    });
  }
}

/** "basis 5, l1 0.001" */
export function describeValues(values: Values): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${describeValue(value)}`)
    .join(", ");
}

/** Drawn numbers have many digits, of which a reader needs a few; files their names only. */
export function describeValue(value: AxisValue): string {
  if (typeof value === "number") return `${Number(value.toPrecision(4))}`;
  return typeof value === "string" && value.includes("/")
    ? value.slice(value.lastIndexOf("/") + 1)
    : String(value);
}
