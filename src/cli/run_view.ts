import { Presets, SingleBar } from "cli-progress";
import { shareInterval } from "../measure/interval.js";
import type { OutputAgreement } from "../measure/output_comparison.js";
import type { RunListener } from "../run/pipeline.js";
import { terminalLine } from "../text/destinations.js";
import type { EpochMetrics, TrainingProgress } from "../train/plan.js";
import { classFigure } from "./class_figure.js";
import type { Output } from "./terminal.js";

/** Seconds between progress lines where the output is no terminal. */
const PLAIN_INTERVAL_SECONDS = 30;

export interface RunView extends RunListener {
  /** Announces the next stage, of a run or around one. */
  stage(name: string): void;
  stop(): void;
}

/** Shows a run: a live line on a terminal, a line now and then in a pipe or file. */
export function runView(output: Output): RunView {
  const bar = output.isTTY ? liveBar(output) : undefined;
  const line = (text: string): void => {
    bar?.stop();
    output.write(`${terminalLine(text)}\n`);
  };
  let lastPlain = 0;
  const show = (text: string, done: number, total: number): void => {
    if (bar !== undefined) {
      bar.show(terminalLine(text), done, total);
      return;
    }
    if (Date.now() - lastPlain < PLAIN_INTERVAL_SECONDS * 1000) return;
    lastPlain = Date.now();
    line(`  ${text}`);
  };
  return {
    stage: (name) => line(`${name} ...`),
    progress: (progress) => show(describeProgress(progress), progress.step, progress.steps),
    images: (what, done, total) => show(`${what}: ${done} of ${total} images`, done, total),
    times: (what, done, total) => show(`times ${what} (${done + 1} of ${total})`, done, total),
    layers: (what, done, total, layer, { share, secondsLeft }) => {
      const left = secondsLeft === undefined ? [] : [`about ${duration(secondsLeft)} left`];
      // Where there is no bar to show it.
      const part = bar === undefined && share > 0 ? [`${Math.floor(100 * share)} %`] : [];
      // The most wanted first: a narrow terminal cuts the line off.
      const text = [...part, ...left, `${what} layer ${done + 1} of ${total}: ${layer}`].join(" | ");
      show(text, Math.round(1000 * share), 1000);
    },
    notice: (text) => line(`  ${text}`),
    epoch: (metrics) => line(`  ${describeEpoch(metrics)}`),
    stop: () => bar?.stop(),
  };
}

interface LiveBar {
  show(text: string, done: number, total: number): void;
  stop(): void;
}

function liveBar(output: Output): LiveBar {
  let bar: SingleBar | undefined;
  const open = (total: number): SingleBar => {
    const opened = new SingleBar(
      {
        format: " {bar} {percentage}% {text}",
        stream: output.stream,
        barsize: 16,
        clearOnComplete: true,
        hideCursor: true,
      },
      Presets.shades_classic,
    );
    opened.start(total, 0, { text: "" });
    return opened;
  };
  return {
    show: (text, done, total) => {
      bar ??= open(total);
      bar.setTotal(total);
      bar.update(done, { text });
    },
    stop: () => {
      bar?.stop();
      bar = undefined;
    },
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** 3725 -> "1 h 02 min"; 95 -> "1 min 35 s". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number): string => String(value).padStart(2, "0");
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${whole} s`;
}

function describeProgress(progress: TrainingProgress): string {
  const { epoch, epochs, phase, imagesPerSecond, loss, accuracy, sparsity, secondsLeft } = progress;
  // The most wanted first: a narrow terminal cuts the line off.
  return [
    `epoch ${epoch}/${epochs} ${phase}`,
    `${duration(secondsLeft)} left`,
    `${Math.round(imagesPerSecond)} images/s`,
    `loss ${loss.toFixed(4)}`,
    ...(accuracy === undefined ? [] : [`top-1 ${percent(accuracy)}`]),
    ...zeros(sparsity),
  ].join(" | ");
}

/** Nothing of a network that has none, as in a training without a compression. */
function zeros(sparsity: number): readonly string[] {
  return sparsity === 0 ? [] : [`zeros ${percent(sparsity)}`];
}

function describeEpoch(metrics: EpochMetrics): string {
  const { epoch, phase, loss, accuracy, sparsity, validation, validationImages, outputs = [] } = metrics;
  const parts = [
    `loss ${loss.toFixed(4)}`,
    ...(accuracy === undefined ? [] : [`top-1 ${percent(accuracy)}`]),
    ...zeros(sparsity),
    ...(validation === undefined ? [] : [describeValidation(validation, validationImages)]),
    ...describeOutputs(outputs),
  ];
  return `epoch ${epoch} (${phase}): ${parts.join(", ")}`;
}

/** With the larger side of its interval: of few images it says little. */
function describeValidation(share: number, images: number | undefined): string {
  const text = `validation top-1 ${percent(share)}`;
  if (images === undefined) return text;
  const { low, high } = shareInterval(Math.round(share * images), images);
  return `${text} \u00b1${(100 * Math.max(high - share, share - low)).toFixed(1)}`;
}

/** Outputs that a line has room for. */
const MOST_OUTPUTS = 4;

function describeOutputs(outputs: readonly OutputAgreement[]): string[] {
  const shown = outputs.slice(0, MOST_OUTPUTS).map((agreement) => {
    const { output, error } = agreement;
    const figure = classFigure(agreement);
    const same = figure === undefined ? "" : ` (${figure.name} ${percent(figure.value)})`;
    return `validation error of ${output} ${relativeError(error)}${same}`;
  });
  const more = outputs.length - shown.length;
  return more > 0 ? [...shown, `and ${more} more outputs`] : shown;
}

/** The error of an output as a share of its deviation from image to image. */
function relativeError(error: number | null): string {
  return error === null ? "not finite" : percent(error);
}
