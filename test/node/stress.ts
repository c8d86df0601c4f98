/**
 * What an addon must bear, in a process of its own: node --expose-gc stress.js ADDON OTHER ROOMY COUNT. The first two
 * are of `smallNetwork`, the third of `roomyNetwork`, of which so many are loaded; ends with status 0 where every value is right.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { at, present } from "../../src/graph/at.js";
import { load } from "../../src/runtime/index.js";

const [file, other, roomy] = [at(process.argv, 2), at(process.argv, 3), at(process.argv, 4)];
const count = Number(at(process.argv, 5));
const collect = present(globalThis.gc);
const ELEMENTS = 128;

const inputOf = (seed: number): Float32Array =>
  Float32Array.from({ length: ELEMENTS }, (_, index) => Math.sin(index * (seed + 1)));

/** An object of an addon, as it comes without the loader. */
interface Native {
  run(...values: readonly unknown[]): unknown;
  runAsync(...values: readonly unknown[]): unknown;
}

const nativeOf = (path: string): Native => {
  const { create } = createRequire(import.meta.url)(path) as { create(isa?: string): Native };
  return create();
};

/** Neither inputs, outputs nor model are held by anybody while a thread computes. */
async function collectedWhileComputing(): Promise<void> {
  const expected = (await load(file)).run(inputOf(1));
  for (let round = 0; round < 10; round++) {
    const promises = [];
    for (let call = 0; call < 8; call++) promises.push((await load(file)).runAsync(inputOf(1)));
    collect();
    for (const found of await Promise.all(promises)) assert.deepEqual(found, expected);
    collect();
  }
}

const MIB = 2 ** 20;

/** Arenas of 1 MiB, of models that nobody holds any more: V8 knows of them without being told to collect. */
async function memoryComesBack(): Promise<void> {
  collect();
  const before = process.memoryUsage.rss();
  for (let index = 0; index < count; index++) {
    const model = await load(roomy);
    model.run(new Float32Array(MIB / 4).fill(index));
    await new Promise(setImmediate);
  }
  const grown = (process.memoryUsage.rss() - before) / MIB;
  assert.ok(grown < 250, `${grown} MiB are held after ${count} models of 1 MiB`);
}

/** What the loader never passes: an error each time, and never a crash. */
async function wrongArguments(): Promise<void> {
  const native = nativeOf(file);
  const input = inputOf(3);
  const output = new Float32Array(5);
  const detached = new Float32Array(ELEMENTS);
  structuredClone(detached, { transfer: [detached.buffer] });
  const evil = {
    get 0(): Float32Array {
      throw new Error("no element");
    },
  };
  const wrong: readonly (readonly unknown[])[] = [
    [],
    [input, output, 1],
    [[input], [output]],
    [[input], [output], 2],
    [[input], [output], 0xffffffff],
    [[input], [output], "1"],
    [[], [output], 1],
    [[input], [], 1],
    [[new Float64Array(ELEMENTS)], [output], 1],
    [[input], [new Int32Array(5)], 1],
    [[input.subarray(1)], [output], 1],
    [[detached], [output], 1],
    [[new DataView(input.buffer)], [output], 1],
    [[null], [undefined], 1],
    [null, undefined, 1],
    [evil, [output], 1],
    [[input], evil, 1],
  ];
  for (const method of ["run", "runAsync"] as const) {
    for (const values of wrong) assert.throws(() => native[method](...values), Error);
    for (const self of [undefined, null, {}, 3, Object.create(native), nativeOf(other)])
      assert.throws(() => Reflect.apply(native[method], self, [[input], [output], 1]), TypeError);
  }
  native.run([input], [output], 1);
  const expected = (await load(file)).run(input);
  assert.deepEqual(output, expected);
  // An output whose memory is gone when the thread is done.
  const gone = new Float32Array(5);
  const late = native.runAsync([input], [gone], 1);
  structuredClone(gone, { transfer: [gone.buffer] });
  await assert.rejects(Promise.resolve(late), Error);
  // A list that changes in between.
  const list = [new Float32Array(5)];
  const changed = native.runAsync([input], list, 1);
  list.length = 0;
  await assert.rejects(Promise.resolve(changed), Error);
}

const work = `
  const { workerData, parentPort } = require("node:worker_threads");
  import(workerData.runtime).then(async ({ load }) => {
    const model = await load(workerData.file);
    const inputs = Array.from({ length: 16 }, (_, seed) =>
      Float32Array.from({ length: ${ELEMENTS} }, (_, index) => Math.sin(index * (seed + 1))));
    parentPort.postMessage(await Promise.all(inputs.map((input) => model.runAsync(input))));
    if (workerData.goesOn) for (;;) await Promise.all(inputs.map((input) => model.runAsync(input)));
  });
`;

/** Several environments have the addon at once; some end while their threads compute. */
async function workers(): Promise<void> {
  const model = await load(file);
  const expected = Array.from({ length: 16 }, (_, seed) => model.run(inputOf(seed)));
  const runtime = new URL("../../src/runtime/index.js", import.meta.url).href;
  const all = Array.from({ length: 6 }, async (_, index) => {
    const goesOn = index % 2 === 1;
    const worker = new Worker(work, { eval: true, workerData: { runtime, file, goesOn } });
    const found = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    assert.deepEqual(found, expected);
    await worker.terminate();
  });
  const own = Promise.all(Array.from({ length: 16 }, (_, seed) => model.runAsync(inputOf(seed))));
  assert.deepEqual(await own, expected);
  await Promise.all(all);
}

/** The thread of JavaScript is free while others compute. */
async function staysResponsive(): Promise<void> {
  const model = await load(file);
  let isDone = false;
  let turns = 0;
  const images = 5000;
  const promise = model.runAsync(new Float32Array(images * ELEMENTS)).then((found) => {
    isDone = true;
    return found;
  });
  for (; !isDone; turns++) await new Promise(setImmediate);
  assert.equal((await promise).length, images * 5);
  assert.ok(turns > 1, `${turns}`);
}

await collectedWhileComputing();
await memoryComesBack();
await wrongArguments();
await workers();
await staysResponsive();
console.log("done");
// Work that is under way when a process ends.
const last = await load(file);
for (let call = 0; call < 8; call++) void last.runAsync(new Float32Array(100 * ELEMENTS));
process.exit(0);
