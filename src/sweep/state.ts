import { PenniError } from "../graph/errors.js";
import type { Summary } from "../run/summary.js";
import type { RungEntry } from "./halving.js";
import type { SweepEvent } from "./journal.js";
import type { AxisValue, TrialProvenance } from "./trial.js";

/** What is known of a trial: all of it from the journal. */
export interface TrialState {
  readonly number: number;
  readonly values: Readonly<Record<string, AxisValue>>;
  /** Undefined of one whose settings contradict each other. */
  readonly id?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** "waiting" also of one that was begun and goes on from its checkpoint. */
  readonly status: "waiting" | "stopped" | "done" | "failed";
  readonly wasStarted: boolean;
  /** Whether it was found too bad to go on, at the last of its rungs. */
  readonly isHeld: boolean;
  /** Its values at the rungs that it has come to, from the lowest. */
  readonly rungs: readonly (number | null)[];
  readonly summary?: Summary;
  readonly provenance?: TrialProvenance;
  /** The trial of the same id that was computed in its place. */
  readonly sameAs?: number;
  /** Why it failed. */
  readonly reason?: string;
}

export type SweepState = readonly TrialState[];

/** Notes in the state what has happened. @throws PenniError "bad-file" for what cannot happen */
export function applyEvent(state: TrialState[], event: SweepEvent): void {
  if (event.event === "asked" || event.event === "refused") {
    state.push(asked(state, event));
    return;
  }
  const trial = state[event.number];
  if (trial === undefined) throw impossible(event);
  state[event.number] = changed(trial, event);
}

function asked(
  state: SweepState,
  event: Extract<SweepEvent, { readonly event: "asked" | "refused" }>,
): TrialState {
  const { number, values } = event;
  if (number !== state.length) throw impossible(event);
  const begun = { number, values, wasStarted: false, isHeld: false, rungs: [] };
  if (event.event === "refused") return { ...begun, status: "failed", reason: event.reason };
  return { ...begun, status: "waiting", id: event.id, settings: event.settings };
}

function changed(
  trial: TrialState,
  event: Exclude<SweepEvent, { readonly event: "asked" | "refused" }>,
): TrialState {
  switch (event.event) {
    case "started":
      return { ...trial, status: "waiting", wasStarted: true };
    case "rung":
      if (event.rung !== trial.rungs.length) throw impossible(event);
      return { ...trial, isHeld: !event.goesOn, rungs: [...trial.rungs, event.value] };
    case "stopped":
      return { ...trial, status: "stopped", provenance: event.provenance };
    case "promoted":
      return { ...trial, status: "waiting", isHeld: false };
    case "done": {
      const { summary, provenance, sameAs } = event;
      return { ...trial, status: "done", summary, provenance, ...(sameAs === undefined ? {} : { sameAs }) };
    }
    case "failed":
      return { ...trial, status: "failed", reason: event.reason };
    case "retried": {
      const { reason: _, ...rest } = trial;
      return { ...rest, status: "waiting" };
    }
  }
}

function impossible({ event, number }: SweepEvent): PenniError {
  return new PenniError(
    "bad-file",
    `the sweep's journal says "${event}" of trial ${number}, which cannot be`,
    {
      expected: "lines in the order in which they were written",
      advice: "Put the file back as it was",
    },
  );
}

export function stateOf(events: readonly SweepEvent[]): TrialState[] {
  const state: TrialState[] = [];
  for (const event of events) applyEvent(state, event);
  return state;
}

/** What trials had at each of so many rungs. */
export function rungEntries(state: SweepState, rungs: number): readonly (readonly RungEntry[])[] {
  return Array.from({ length: rungs }, (_, rung) =>
    state.flatMap(({ number, rungs: values }): RungEntry[] => {
      const value = values[rung];
      return value === undefined ? [] : [{ trial: number, value }];
    }),
  );
}

/** The rung that each stopped trial stopped at. */
export function stoppedAt(state: SweepState): ReadonlyMap<number, number> {
  return new Map(
    state.flatMap(({ number, status, rungs }) =>
      status === "stopped" ? [[number, rungs.length - 1] as const] : [],
    ),
  );
}
