import assert from "node:assert/strict";
import { test } from "node:test";
import type { Session } from "../../src/execute/engine.js";
import { PhaseSessions } from "../../src/train/phase_sessions.js";

/** Phases whose sessions compute nothing; `events` tells when each is loaded and released. */
async function phases(count: number): Promise<{ sessions: PhaseSessions; events: string[] }> {
  const events: string[] = [];
  const opener = (phase: number) => async (): Promise<Session> => {
    events.push(`load ${phase}`);
    return {
      inputNames: [],
      outputNames: [],
      run: async () => ({}),
      release: async () => void events.push(`release ${phase}`),
    };
  };
  const openers = Array.from({ length: count }, (_, phase) => opener(phase));
  const sessions = await PhaseSessions.open(openers);
  assert.deepEqual(
    events,
    openers.map((_, phase) => `load ${phase}`),
  );
  events.length = 0;
  return { sessions, events };
}

async function run(sessions: PhaseSessions, phase: number, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await sessions.forStep(phase);
}

test("phases that alternate every few steps stay loaded", async () => {
  const { sessions, events } = await phases(2);
  for (let turn = 0; turn < 10; turn++) await run(sessions, turn % 2, 99);
  assert.deepEqual(events, []);
  await sessions.release();
  assert.deepEqual(events, ["release 0", "release 1"]);
});

test("a long phase is released once another is loaded, and loaded again for its next turn", async () => {
  const { sessions, events } = await phases(2);
  await run(sessions, 0, 100);
  assert.deepEqual(events, []);
  await run(sessions, 1, 1);
  assert.deepEqual(events.splice(0), ["release 0"]);
  await run(sessions, 1, 150);
  await run(sessions, 0, 1);
  assert.deepEqual(events.splice(0), ["load 0", "release 1"]);
  await sessions.release();
  assert.deepEqual(events.splice(0), ["release 0"]);
});

test("a step's session is the phase's own", async () => {
  const { sessions } = await phases(3);
  const [first, second] = [await sessions.forStep(0), await sessions.forStep(2)];
  assert.notEqual(first, second);
  assert.equal(await sessions.forStep(0), first);
  await assert.rejects(sessions.forStep(3), /no phase 3/);
});
