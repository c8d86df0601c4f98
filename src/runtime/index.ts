/**
 * penni/runtime: loads what `penni compile --target wasm` wrote and runs it, in browsers (pages and workers), Node and
 * Deno. It imports nothing, so this one file can also be copied beside a model.
 *
 * @example
 * const model = await load("model.wasm");
 * const logits = model.run(pixels); // Float32Array in, Float32Array out
 */

import type { Body, ImageLike, InputData, LoadOptions, Model, OutputData, Port, Source } from "./types.js";

export type * from "./types.js";

/**
 * Loads a compiled model.
 * @throws TypeError if this is no source or no module of Penni's, or a damaged one, Error if it cannot be read or
 *   compiled
 */
export async function load<Output extends OutputData | Readonly<Record<string, OutputData>> = Float32Array>(
  source: Source | Promise<Source>,
  options: LoadOptions = {},
): Promise<Model<Output>> {
  const bytes = await bytesOf(await source);
  const sections = sectionsOf(bytes);
  const content = sections.find(({ name }) => name === "penni")?.content;
  if (!content) throw notOurs(bytes);
  if (options.verify) await verify(bytes, sections.at(-1));
  const fast = sections.find(({ name }) => name === "penni.relaxed");
  const relaxed = !!fast && options.relaxed !== false && WebAssembly.validate(relaxedProbe);
  const module = relaxed ? withCode(bytes, sections, fast.content) : bytes;
  let instance: { readonly exports: Exports };
  try {
    ({ instance } = await WebAssembly.instantiate(module));
  } catch (error) {
    throw failure("cannot compile the model, which needs WebAssembly with SIMD", error);
  }
  try {
    const details: unknown = JSON.parse(new TextDecoder().decode(content));
    // The caller says what the outputs are; TypeScript cannot know.
    if (isDescription(details))
      return modelOf(details, instance.exports, relaxed) as unknown as Model<Output>;
  } catch {
    // No JSON, or a place outside of the module's memory.
  }
  throw new TypeError("load: the module is damaged: its description makes no sense");
}

/** Compares a module with the digest in its last section. */
async function verify(bytes: Uint8Array, last: Section | undefined): Promise<void> {
  const { subtle } = (globalThis as Host).crypto ?? {};
  if (!subtle) throw new Error("load: verify needs crypto.subtle, as secure contexts have it");
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes.subarray(0, last?.start)));
  if (last?.name === "penni.sha256" && `${digest}` === `${last.content}`) return;
  throw new TypeError("load: the module is damaged: its digest is another");
}

const place = { name: "", type: "", address: 0, dims: [0] };
const ports = { inputs: [place], outputs: [place] };
/** What a description need not have. */
const statements = { classNames: [""], preprocessing: { mean: [0], std: [0], scale: 0 } };

function isDescription(found: unknown): found is Description {
  return isLike(found, ports) && isLike({ ...statements, ...Object(found) }, statements);
}

/** Whether a value has all that `like` has, of the same types; lists have any length. */
function isLike(value: unknown, like: unknown): boolean {
  if (Array.isArray(like)) return Array.isArray(value) && value.every((item) => isLike(item, like[0]));
  if (typeof like !== "object") return typeof value === typeof like;
  return Object.entries(Object(like)).every(([key, part]) => isLike(Object(value)[key], part));
}

/** The parts of the host that not every set of types knows. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  instantiate(bytes: Uint8Array): Promise<{ readonly instance: { readonly exports: Exports } }>;
};

interface Host {
  readonly location?: unknown;
  readonly crypto?: {
    readonly subtle?: { digest(algorithm: string, bytes: Uint8Array): Promise<ArrayBuffer> };
  };
  readonly process?: {
    getBuiltinModule?(name: string): {
      readonly promises: { readFile(file: string | URL): Promise<Uint8Array> };
    };
  };
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  run(): void;
}

/** The JSON of the custom section "penni"; see src/compile/wasm/module.ts. */
interface Description {
  readonly inputs: readonly Place[];
  readonly outputs: readonly Place[];
  readonly preprocessing?: Preprocessing;
  readonly classNames?: readonly string[];
}

interface Place extends Port {
  /** Of its float32 elements, in bytes. */
  readonly address: number;
}

interface Preprocessing {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly scale: number;
}

async function bytesOf(source: Source): Promise<Uint8Array> {
  if (typeof source === "string") return read(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (kindOf(source) === "ArrayBuffer") return new Uint8Array(source as ArrayBuffer);
  if ("href" in Object(source)) return read((source as { readonly href: string }).href);
  if (!("arrayBuffer" in Object(source))) {
    throw new TypeError(`load: expected bytes, a URL or a Response, found ${kindOf(source)}`);
  }
  const { ok, status, url } = source as Body;
  if (ok === false) throw new Error(`cannot load ${url}: HTTP status ${status}`);
  return new Uint8Array(await (source as Body).arrayBuffer());
}

/** A file in Node (whose `fetch` knows none), else whatever the host can fetch. */
async function read(address: string): Promise<Uint8Array> {
  const host = globalThis as Host;
  const isFile = /^file:/i.test(address);
  const isUrl = /^[a-z][a-z\d+.-]+:/i.test(address);
  const files = host.process?.getBuiltinModule?.("node:fs");
  let found: Source;
  try {
    const isLocal = files && (isFile || (!isUrl && !host.location));
    found = await (isLocal ? files.promises.readFile(isFile ? new URL(address) : address) : fetch(address));
  } catch (error) {
    throw failure(`cannot load ${address}`, error);
  }
  return bytesOf(found);
}

function failure(problem: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`${problem}: ${reason}`, { cause: error });
}

function notOurs(bytes: Uint8Array): TypeError {
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0"));
  return new TypeError(
    `load: expected a module written by penni compile, found ${bytes.length} bytes (${start.join(" ")} ...)`,
  );
}

interface Section {
  readonly id: number;
  /** Of a custom section. */
  readonly name: string;
  /** In bytes, from the section's id to its end. */
  readonly start: number;
  readonly end: number;
  readonly content: Uint8Array;
}

const CODE = 10;

function sectionsOf(bytes: Uint8Array): readonly Section[] {
  if (String.fromCharCode(...bytes.subarray(0, 4)) !== "\0asm") throw notOurs(bytes);
  const sections: Section[] = [];
  let at = 8;
  /** Unsigned LEB128. */
  const size = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const start = at;
    const id = bytes[at++] ?? 0;
    const length = size();
    const end = at + length;
    if (end > bytes.length) throw new TypeError("load: the module is cut off");
    let name = "";
    if (id === 0) {
      const letters = size();
      name = new TextDecoder().decode(bytes.subarray(at, at + letters));
      at += letters;
    }
    sections.push({ id, name, start, end, content: bytes.subarray(at, end) });
    at = end;
  }
  return sections;
}

/** The module with other code. */
function withCode(bytes: Uint8Array, sections: readonly Section[], code: Uint8Array): Uint8Array {
  const { length } = code;
  const digits = [0, 7, 14, 21].map((shift) => ((length >> shift) & 127) | 128);
  const parts = sections
    .filter(({ id }) => id !== 0)
    .flatMap(({ id, start, end }) =>
      id === CODE ? [Uint8Array.of(CODE, ...digits, length >>> 28), code] : [bytes.subarray(start, end)],
    );
  parts.unshift(bytes.subarray(0, 8));
  const module = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    module.set(part, at);
    at += part.length;
  }
  return module;
}

/** A module of one function: f32x4.relaxed_madd of three zeros. */
const relaxedProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0],
  ...[65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11],
);

/** A place in the module's memory. */
interface View extends Port {
  readonly elements: Float32Array;
}

function modelOf(
  { inputs, outputs, preprocessing, classNames }: Description,
  { memory, run }: Exports,
  relaxed: boolean,
): Model<OutputData | Record<string, OutputData>> {
  const viewOf = ({ address, ...port }: Place): View => {
    return { ...port, elements: new Float32Array(memory.buffer, address, sizeOf(port)) };
  };
  const [from, to] = [inputs.map(viewOf), outputs.map(viewOf)];
  const ports = (views: readonly View[]): readonly Port[] =>
    views.map(({ name, dims, type }) => ({ name, dims, type }));

  const runAll = (input: InputData | Readonly<Record<string, InputData>>): readonly OutputData[] => {
    const data = dataOf(from, input);
    const runs = countRuns(from, data);
    const results = to.map(({ type, elements }) => arrayOf(type, runs * elements.length));
    for (let done = 0; done < runs; done++) {
      from.forEach(({ elements }, index) => {
        const start = done * elements.length;
        elements.set(data[index]?.subarray(start, start + elements.length) ?? []);
      });
      run();
      to.forEach(({ elements }, index) => {
        results[index]?.set(elements, done * elements.length);
      });
    }
    return results;
  };

  return {
    inputs: ports(from),
    outputs: ports(to),
    classNames,
    relaxed,
    run(input) {
      const results = runAll(input);
      const [only] = results;
      if (results.length === 1 && only) return only;
      return Object.fromEntries(results.map((result, index) => [to[index]?.name, result]));
    },
    classify(image) {
      const pixels = pixelsOf(image, classifierInput(from, to), preprocessing);
      const scores = probabilitiesOf(Array.from(runAll(pixels)[0] ?? []));
      return scores
        .map((probability, index) => ({ index, name: classNames?.[index] ?? `${index}`, probability }))
        .sort((a, b) => b.probability - a.probability);
    },
  };
}

function sizeOf({ dims }: Port): number {
  return dims.reduce((size, dim) => size * dim, 1);
}

/** "Float32Array", "Array", "Null": also of objects from another frame. */
function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

const isWhole = (type: string): boolean => /int|bool/.test(type);

function arrayOf(type: string, length: number): OutputData {
  if (type === "bool") return new Uint8Array(length);
  return isWhole(type) ? new Int32Array(length) : new Float32Array(length);
}

/** What can be copied into memory, input by input. */
type Numbers = Exclude<InputData, BigInt64Array>;

function dataOf(
  ports: readonly Port[],
  input: InputData | Readonly<Record<string, InputData>>,
): readonly Numbers[] {
  const [first] = ports;
  const isRecord = kindOf(input) === "Object";
  const names = ports.map(({ name }) => `"${name}"`).join(", ");
  if (!isRecord && ports.length !== 1) {
    throw new TypeError(`run: expected an object with the inputs ${names}, found ${kindOf(input)}`);
  }
  if (!isRecord && first) return [numbersOf(first, input)];
  for (const name of Object.keys(input)) {
    if (!ports.some((port) => port.name === name)) {
      throw new TypeError(`run: expected the inputs ${names}, found "${name}"`);
    }
  }
  const record = input as Readonly<Record<string, InputData>>;
  return ports.map((port) =>
    numbersOf(port, Object.hasOwn(record, port.name) ? record[port.name] : undefined),
  );
}

function numbersOf({ name, type }: Port, data: unknown): Numbers {
  const kind = kindOf(data);
  const fits = isWhole(type) ? ArrayBuffer.isView(data) && kind.endsWith("Array") : kind === "Float32Array";
  if (!fits) {
    const expected = isWhole(type) ? `a typed array (of ${type})` : "Float32Array";
    throw new TypeError(`input "${name}": expected ${expected}, found ${kind}`);
  }
  return /^Big/.test(kind) ? Float32Array.from(data as BigInt64Array, Number) : (data as Numbers);
}

function countRuns(ports: readonly Port[], data: readonly Numbers[]): number {
  const counts = ports.map((port, index) => {
    const length = data[index]?.length ?? 0;
    const size = sizeOf(port);
    if (length > 0 && length % size === 0) return length / size;
    const shape = port.dims.join("x");
    throw new RangeError(
      `input "${port.name}": expected ${size} elements (${shape}) or a multiple, found ${length}`,
    );
  });
  const [runs = 1] = counts;
  counts.forEach((count, index) => {
    if (count === runs) return;
    const expected = `expected data for ${runs} runs as in "${ports[0]?.name}"`;
    throw new RangeError(`input "${ports[index]?.name}": ${expected}, found ${count}`);
  });
  return runs;
}

interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

function classifierInput(inputs: readonly Port[], outputs: readonly Port[]): ImageShape {
  const [batch, channels = 0, height = 0, width = 0, ...more] = inputs[0]?.dims ?? [];
  const scores = outputs[0]?.dims ?? [];
  const isImage = batch === 1 && (channels === 1 || channels === 3) && width > 0 && more.length === 0;
  const isClassifier = outputs[0] && Math.max(...scores) === sizeOf(outputs[0]) && !isWhole(outputs[0].type);
  if (inputs.length + outputs.length === 2 && isImage && isClassifier) return { channels, height, width };
  const list = (ports: readonly Port[]): string => ports.map(({ dims }) => `[${dims.join(", ")}]`).join(", ");
  throw new TypeError(
    "classify: expected a model from one image, [1, 3 or 1, height, width], to one row of scores, " +
      `found ${list(inputs)} to ${list(outputs)}`,
  );
}

/** The image at the model's size, preprocessed: [channels, height, width]. */
function pixelsOf(
  image: ImageLike,
  { channels, height, width }: ImageShape,
  preprocessing: Preprocessing | undefined,
): Float32Array {
  if (preprocessing?.mean.length !== channels) {
    throw new TypeError(
      `classify: expected a preprocessing of ${channels} channels in the model's metadata ("penni.preprocessing"), ` +
        `found ${preprocessing ? preprocessing.mean.length : "none"}`,
    );
  }
  const { mean, std, scale } = preprocessing;
  const { data } = image;
  const [rows, columns] = [samples(image.height, height), samples(image.width, width)];
  if (!(image.width > 0) || data?.length !== 4 * image.width * image.height || !/^Uint8/.test(kindOf(data))) {
    const found = `${kindOf(data)} of ${data?.length} for ${image.width} x ${image.height} pixels`;
    throw new TypeError(`classify: expected 4 bytes per pixel (RGBA), found ${found}`);
  }
  const result = new Float32Array(channels * height * width);
  rows.forEach(([top, bottom, down], y) => {
    columns.forEach(([left, right, along], x) => {
      const at = (channel: number): number => {
        const value = (row: number, column: number): number =>
          data[4 * (row * image.width + column) + channel] ?? 0;
        const above = value(top, left) + along * (value(top, right) - value(top, left));
        const below = value(bottom, left) + along * (value(bottom, right) - value(bottom, left));
        return above + down * (below - above);
      };
      for (let channel = 0; channel < channels; channel++) {
        // Rec. 601 luma, as image libraries make pictures grey.
        const level = channels === 3 ? at(channel) : 0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2);
        const centred = level * scale - (mean[channel] ?? 0);
        result[(channel * height + y) * width + x] = centred / (std[channel] ?? 1);
      }
    });
  });
  return result;
}

/** For each of `count` samples of `size` pixels: its two neighbours, and how far it is from the first to the second. */
function samples(size: number, count: number): readonly (readonly [number, number, number])[] {
  return Array.from({ length: count }, (_, index) => {
    const position = Math.min(Math.max(((index + 0.5) * size) / count - 0.5, 0), size - 1);
    const first = Math.floor(position);
    return [first, Math.min(first + 1, size - 1), position - first];
  });
}

function probabilitiesOf(scores: readonly number[]): readonly number[] {
  const total = scores.reduce((sum, score) => sum + score, 0);
  if (Math.abs(total - 1) < 1e-3 && scores.every((score) => score >= 0)) return scores;
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}
