import { last, orDefault } from "../../graph/at.js";
import { sameAnswers } from "../../measure/likeness.js";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import type { EpochMetrics } from "../../train/plan.js";
import type { RunReport } from "../data/run.js";
import { counted, percent } from "../format.js";
import { type PlotBand, type PlotPoint, type PlotSeries, plot } from "../plot.js";
import type { ReportSection } from "../shell.js";

/** An epoch of a run, on an axis that goes through all stages. */
interface PlacedEpoch extends EpochMetrics {
  readonly at: number;
}

/** Accuracy, loss and sparsity over the epochs of all trainings; nothing where there is no epoch yet. */
export function trainingSection({ metrics }: RunReport): readonly ReportSection[] {
  if (metrics.length === 0) return [];
  const { epochs, bands } = placed(metrics);
  const charts = [
    chart("Accuracy", "top-1", bands, share, [
      curve("training images, augmented", epochs, ({ accuracy }) => accuracy),
      curve("validation images", epochs, ({ validation }) => validation),
      ...agreementCurves(epochs),
    ]),
    chart("Loss", "mean over an epoch", bands, undefined, [curve("loss", epochs, ({ loss }) => loss)]),
    chart("Zeros among coefficients", "share of zeros", bands, share, [
      curve("zeros", epochs, ({ sparsity }) => sparsity),
    ]),
    chart("Learning rate", "at the epoch's end", bands, undefined, [
      curve("learning rate", epochs, ({ learningRate }) => learningRate),
    ]),
  ];
  const stages = bands.map(({ name }) => name).join(", ");
  const intro = `${counted(metrics.length, "epoch")} in ${counted(bands.length, "stretch", "stretches")}: ${stages}. Shaded and plain ground tells stretches apart.`;
  return [
    {
      id: "training",
      title: "How it was trained",
      short: "Training",
      body: [
        html`<p class="muted">${escapeHtml(intro)}</p>`,
        html`<div class="plots">${charts.flat()}</div>`,
        ...recoveries(metrics),
      ],
    },
  ];
}

const share = (value: number): string => percent(value);

/** Stages one after the other; stretches of one phase have one name. */
function placed(metrics: readonly EpochMetrics[]): {
  readonly epochs: readonly PlacedEpoch[];
  readonly bands: readonly PlotBand[];
} {
  const epochs: PlacedEpoch[] = [];
  const bands: PlotBand[] = [];
  let offset = 0;
  for (const [index, epoch] of metrics.entries()) {
    const previous = metrics[index - 1];
    if (previous !== undefined && (previous.stage !== epoch.stage || epoch.epoch <= previous.epoch))
      offset = last(epochs).at - (epoch.stage.startsWith("train-") ? epoch.epoch - 1 : 0);
    const at = offset + epoch.epoch;
    const name = epoch.phase === "all" ? epoch.stage : `${epoch.stage}: ${epoch.phase}`;
    const band = bands.at(-1);
    if (band?.name === name) bands[bands.length - 1] = { ...band, to: at };
    else bands.push({ from: epochs.at(-1)?.at ?? offset, to: at, name });
    epochs.push({ ...epoch, at });
  }
  return { epochs, bands };
}

function curve(
  name: string,
  epochs: readonly PlacedEpoch[],
  value: (epoch: PlacedEpoch) => number | undefined,
): PlotSeries {
  const points = epochs.flatMap((epoch): PlotPoint[] => {
    const y = value(epoch);
    return y === undefined ? [] : [{ x: epoch.at, y }];
  });
  return { name, points };
}

/** Where the original is the reference: the share of same answers, by output. */
function agreementCurves(epochs: readonly PlacedEpoch[]): readonly PlotSeries[] {
  const outputs = [
    ...new Set(epochs.flatMap((epoch) => orDefault(epoch.outputs, []).map(({ output }) => output))),
  ];
  return outputs.map((output) =>
    curve(`${output}: same answers as the original`, epochs, (epoch) => {
      const found = epoch.outputs?.find((one) => one.output === output);
      return found === undefined ? undefined : sameAnswers(found);
    }),
  );
}

function chart(
  title: string,
  yLabel: string,
  bands: readonly PlotBand[],
  yText: ((value: number) => string) | undefined,
  series: readonly PlotSeries[],
): readonly Html[] {
  const drawn = series.filter(({ points }) => points.length > 0);
  if (drawn.every(({ points }) => points.every(({ y }) => y === 0))) return [];
  return [
    plot({
      title,
      xLabel: "epoch",
      isCounted: true,
      yLabel,
      bands,
      series: drawn,
      ...(yText === undefined ? {} : { yText }),
    }),
  ];
}

/** Where a training went back to a checkpoint. */
function recoveries(metrics: readonly EpochMetrics[]): readonly Html[] {
  const found = metrics.flatMap(({ stage, epoch, recoveries: all = [] }) =>
    all.map(
      ({ problem, step, backTo }) =>
        `${stage}, epoch ${epoch}: ${problem} at step ${step}; gone back to step ${backTo} with a smaller learning rate.`,
    ),
  );
  return found.length === 0
    ? []
    : [html`<ul class="notes">${found.map((text) => html`<li>${escapeHtml(text)}</li>`)}</ul>`];
}
