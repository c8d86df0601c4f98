import { Tensor as OrtTensor } from "onnxruntime-common";
import type { Provider } from "../src/execute/device.js";
import type { Engine } from "../src/execute/engine.js";
import { residentValues } from "../src/execute/resident.js";
import { TrainingState } from "../src/train/state.js";
import type { StateSlot } from "../src/train/state_slot.js";

/** A few training steps as data, so that the same ones run in any process and in a browser. */
export interface TrainingCase {
  /** They take turns. */
  readonly phases: readonly CasePhase[];
  readonly steps: number;
  readonly state: readonly CaseTensor[];
  /** What every step is fed besides the state. */
  readonly floats: readonly CaseTensor[];
  readonly labels: { readonly name: string; readonly data: readonly number[] };
  /** Output with the loss. */
  readonly loss: string;
  /** Whether the runtime writes results where the state wants them, as Node's alone does, in place of handing out copies. */
  readonly returnsTargets?: boolean;
}

export interface CasePhase {
  /** The step, an .onnx file in base64. */
  readonly model: string;
  readonly slots: readonly StateSlot[];
  /** State that the phase reads and leaves as it is. */
  readonly constants: readonly string[];
}

export interface CaseTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

export interface TrainingOutcome {
  readonly losses: readonly number[];
  readonly state: Readonly<Record<string, readonly number[]>>;
}

/** Runs the steps of a case with the state kept where the provider keeps it. */
export async function trainCase(
  engine: Engine,
  provider: Provider,
  trainingCase: TrainingCase,
): Promise<TrainingOutcome> {
  const state = new TrainingState(residentValues(engine, provider));
  for (const { name, dims, data } of trainingCase.state) state.declare(name, dims, Float32Array.from(data));
  const phases = [];
  const { returnsTargets = false } = trainingCase;
  for (const { model, slots, constants } of trainingCase.phases) {
    const bytes = Uint8Array.from(atob(model), (character) => character.charCodeAt(0));
    const residentOutputs = slots.map(({ output }) => output);
    const session = await engine.openSession(bytes, {
      provider,
      residentOutputs,
      threads: 1,
      returnsTargets,
    });
    phases.push({ session, slots, names: [...slots.map(({ input }) => input), ...constants] });
  }
  const { labels, floats, loss } = trainingCase;
  const feeds: Record<string, OrtTensor> = {
    [labels.name]: new OrtTensor("int64", BigInt64Array.from(labels.data.map(BigInt)), [labels.data.length]),
  };
  for (const { name, dims, data } of floats) {
    feeds[name] = new OrtTensor("float32", Float32Array.from(data), [...dims]);
  }
  const target = returnsTargets ? new OrtTensor("float32", new Float32Array(1), []) : null;
  const losses: number[] = [];
  for (let step = 0; step < trainingCase.steps; step++) {
    const phase = phases[step % phases.length];
    if (phase === undefined) throw new Error("a case needs a phase");
    const { session, slots, names } = phase;
    const results = await session.run(
      { ...feeds, ...(await state.feeds(names)) },
      { ...state.fetches(slots), [loss]: target },
    );
    state.receive(slots, results);
    state.advance(slots);
    losses.push(Number(results[loss]?.data[0]));
  }
  await state.read();
  const values = [...state.snapshot()].map(([name, { data }]) => [name, [...data]] as const);
  await state.release();
  for (const { session } of phases) await session.release();
  return { losses, state: Object.fromEntries(values) };
}
