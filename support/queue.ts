import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { writeModel } from "../src/files/model_files.js";
import { queueAddress } from "../src/queue/address.js";
import { inProcess } from "../src/queue/computation.js";
import { DirectoryStore } from "../src/queue/directory_store.js";
import type { Workshop } from "../src/queue/perform.js";
import { WorkDirectory } from "../src/queue/work_directory.js";
import { runWorker, type WorkerOptions, type WorkerReport } from "../src/queue/worker.js";
import { versions } from "../src/run/provenance.js";
import type { Trial, TrialEpoch, TrialWatch } from "../src/sweep/trial.js";
import { projectRoot } from "./shared.js";
import { tinyCnn } from "./tiny_cnn.js";

const fakeTrial = path.join(projectRoot, "dist/support/fake_trial.js");

/** What a fake trial (`fake_trial.ts`) does. */
export interface FakePlan {
  readonly epochs: number;
  readonly milliseconds: number;
  /** Lets nothing else happen in its process meanwhile. */
  readonly isBlocking?: boolean;
  /** Goes no further than this epoch when it runs for the first time: what is done with it meanwhile is never too late. */
  readonly holdsAt?: number;
  /** Ends with this error after an epoch. */
  readonly fails?: string;
}

/** Makes trials over a tiny network in a folder. */
export class TrialMaker {
  private count = 0;
  readonly model: string;

  constructor(readonly folder: string) {
    mkdirSync(folder, { recursive: true });
    this.model = path.join(folder, "tiny.onnx");
  }

  async prepare(): Promise<void> {
    await writeModel(this.model, tinyCnn());
  }

  real(settings: Readonly<Record<string, unknown>>): Trial {
    const whole = { model: this.model, data: "synthetic:200", ...settings };
    const id = createHash("sha256").update(JSON.stringify(whole)).digest("hex");
    const number = this.count++;
    return { id, number, values: {}, settings: whole };
  }

  fake(plan: FakePlan, data = "synthetic:200"): Trial {
    const log = path.join(this.folder, `log-${this.count}`);
    writeFileSync(log, "");
    const classesPlan = Buffer.from(JSON.stringify({ ...plan, log })).toString("base64");
    return this.real({ data, classesPlan, seed: this.count });
  }

  /** What the processes of a fake trial have done. */
  log({ number }: Trial): readonly string[] {
    return readFileSync(path.join(this.folder, `log-${number}`), "utf8")
      .split("\n")
      .slice(0, -1);
  }

  directory({ number }: Trial): string {
    return path.join(this.folder, `trial-${number}`);
  }
}

export const ownVersions = (): Workshop["versions"] => {
  const { penni, onnxruntime } = versions();
  return { penni, onnxruntime };
};

export interface TestWorker {
  readonly notices: string[];
  readonly report: Promise<WorkerReport>;
  /** Asks it to end, as Ctrl-C does. */
  leave(): void;
}

/** A worker in this process, whose trials are fake unless it is said otherwise. */
export async function startWorker(
  url: string,
  store: string,
  given: Partial<Omit<WorkerOptions, "workshop">> & { readonly workshop?: Partial<Workshop> } = {},
): Promise<TestWorker> {
  const controller = new AbortController();
  const notices: string[] = [];
  const work = await WorkDirectory.make(undefined);
  const { workshop, ...others } = given;
  const report = runWorker({
    address: queueAddress(url),
    jobs: 1,
    isMixed: false,
    isOnce: false,
    // However long a machine that has other work lets nothing happen here.
    lostAfterMs: 10_000,
    signal: controller.signal,
    ...others,
    workshop: {
      store: await DirectoryStore.open(store),
      work,
      compute: inProcess([process.execPath, fakeTrial]),
      local: { maps: [], check: () => undefined, threads: 1 },
      versions: ownVersions(),
      worker: "tester",
      lookMs: 50,
      uploadMs: 0,
      notice: (text) => notices.push(text),
      ...workshop,
    },
  }).finally(() => work.remove());
  return { notices, report, leave: () => controller.abort() };
}

/** What a sweep would be told of a trial. */
export class WatchedEpochs implements TrialWatch {
  readonly epochs: TrialEpoch[] = [];
  private readonly controller = new AbortController();

  /** @param stopAfter epochs after which the trial falls behind */
  constructor(private readonly stopAfter = Number.POSITIVE_INFINITY) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  pause(): void {
    this.controller.abort();
  }

  onEpoch(epoch: TrialEpoch): "go-on" | "stop" {
    this.epochs.push(epoch);
    return this.epochs.length >= this.stopAfter ? "stop" : "go-on";
  }
}
