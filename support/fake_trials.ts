import type { Summary } from "../src/run/summary.js";
import type { TrialContent, TrialMaker } from "../src/sweep/engine.js";
import { canonicalJson, sha256 } from "../src/sweep/identity.js";
import type { AxisValue, Trial, TrialOutcome, TrialRunner, TrialWatch } from "../src/sweep/trial.js";

type Values = Readonly<Record<string, AxisValue>>;

const EPOCHS = 6;

/** What a trial comes to: a function of what it was given. */
export function fakeSummary({ basis, l1 }: Values): Summary {
  const quality = 500 + 40 * Number(basis) - Math.round(400 * Math.abs(Number(l1) - 0.3));
  const figures = { parameters: 10, executedMacs: 1000, latencyMs: 1 };
  return {
    original: { ...figures, paperMacs: 1000, bytes: 900, test: { correct: 900, total: 1000 } },
    compressed: {
      ...figures,
      paperMacs: 100 * Number(basis) + Math.round(100 * Number(l1)),
      bytes: 90 * Number(basis),
      // Not every machine can measure it.
      ...(Number(basis) === 2 ? {} : { compiledMs: Number(basis) / 10 }),
      test: { correct: quality, total: 1000 },
    },
    model: "model.onnx",
  };
}

export const fakeMaker: TrialMaker = async (values): Promise<TrialContent> => ({
  id: sha256(canonicalJson(values)),
  settings: { ...values },
});

/** A runner that computes epochs of nothing, and keeps them as a disk would. */
export class FakeRunner implements TrialRunner {
  /** Epochs that were computed, by the trial's id. */
  readonly computed = new Map<string, number>();
  readonly started: number[] = [];
  mostAtOnce = 0;
  private atOnce = 0;

  constructor(
    readonly places: number,
    /** Why a trial fails, if it does. */
    private readonly fails: (trial: Trial) => string | undefined = () => undefined,
    /** Called after each epoch that is computed. */
    private readonly onEpoch: (computed: number) => void = () => undefined,
    /** The first trials wait until so many run. */
    private readonly gate = 1,
  ) {}

  private open: () => void = () => undefined;
  private readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });

  async run(trial: Trial, _directory: string, watch: TrialWatch): Promise<TrialOutcome> {
    this.started.push(trial.number);
    this.atOnce++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    if (this.atOnce >= this.gate) this.open();
    await this.opened;
    try {
      return await this.epochs(trial, watch);
    } finally {
      this.atOnce--;
    }
  }

  async close(): Promise<void> {}

  get epochsComputed(): number {
    return [...this.computed.values()].reduce((sum, epochs) => sum + epochs, 0);
  }

  private async epochs(trial: Trial, watch: TrialWatch): Promise<TrialOutcome> {
    const provenance = { penni: "0", onnxruntime: "1", worker: "fake", attempts: 1 };
    const reason = this.fails(trial);
    if (reason !== undefined) return { status: "failed", reason, attempts: 1 };
    const { test } = fakeSummary(trial.values).compressed;
    const final = test === undefined ? 0 : test.correct / test.total;
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
      await Promise.resolve();
      const done = this.computed.get(trial.id) ?? 0;
      if (epoch > done) {
        if (watch.signal.aborted) return { status: "paused" };
        this.computed.set(trial.id, epoch);
        this.onEpoch(this.epochsComputed);
      }
      const validation = (final * epoch) / EPOCHS;
      if (watch.onEpoch({ stage: "retrain", epoch, loss: 1, validation }) === "stop")
        return { status: "stopped", provenance };
    }
    return { status: "done", summary: fakeSummary(trial.values), provenance };
  }
}
