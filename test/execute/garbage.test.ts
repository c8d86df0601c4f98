import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { collectGarbage, collectGrownGarbage, collectLargeGarbage } from "../../src/execute/garbage.js";

const MEBIBYTES = 2 ** 20;
const held = (): number => process.memoryUsage().arrayBuffers;

/** Arrays that nobody holds when it returns. */
function litter(mebibytes: number): void {
  for (let count = 0; count < mebibytes / 8; count++) new Float32Array((8 * MEBIBYTES) / 4).fill(1);
}

/** Arrays are given back by a thread of their own, soon after a collection. */
async function assertLeft(most: number): Promise<void> {
  for (let turn = 0; turn < 200 && held() >= most; turn++) await setTimeout(10);
  assert.ok(held() < most, `${held()} bytes`);
}

test("what nobody holds is given back, in a process without --expose-gc", async () => {
  assert.equal(globalThis.gc, undefined);
  collectGarbage();
  litter(16);
  collectGarbage();
  await assertLeft(8 * MEBIBYTES);
});

test("of arrays that nobody holds less than 64 MiB are left", async () => {
  litter(128);
  collectLargeGarbage();
  await assertLeft(64 * MEBIBYTES);
});

test("what is done often collects when much has come since it did last", async () => {
  const kept = new Float32Array((128 * MEBIBYTES) / 4).fill(1);
  for (let time = 0; time < 3; time++) {
    litter(128);
    collectGrownGarbage();
    await assertLeft(1.6 * kept.byteLength);
  }
  assert.ok(held() >= kept.byteLength);
});
