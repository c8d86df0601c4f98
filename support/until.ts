import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 25;
/** So long that a machine with other work comes to it, and that a test which never would ends. */
const LONGEST_MS = 120_000;

/**
 * Waits until a condition holds.
 * @param what said where it never does
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: () => string = () => "it did not come to that",
): Promise<void> {
  const end = performance.now() + LONGEST_MS;
  while (!(await condition())) {
    assert.ok(performance.now() < end, what());
    await sleep(LOOK_MS);
  }
}
