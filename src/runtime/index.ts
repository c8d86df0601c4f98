/**
 * penni/runtime: loads what `penni compile --target wasm` wrote and runs it, in browsers (pages and workers), Node and
 * Deno; in Node also the addons of `--target node`. It imports nothing, so this one file can also be copied beside a model.
 *
 * @module penni/runtime
 *
 * @example
 * const model = await load("model.wasm");
 * const logits = model.run(pixels); // Float32Array in, Float32Array out
 */

import type {
  Body,
  CompiledModule,
  Fit,
  ImageLike,
  InputData,
  LoadOptions,
  Model,
  OutputData,
  Port,
  Source,
} from "./types.js";

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
  const given = await source;
  const { content, engineOf } = addonOf(given, options) ?? (await moduleOf(given, options));
  try {
    const details: unknown = JSON.parse(content);
    // The caller says what the outputs are; TypeScript cannot know.
    if (isDescription(details)) return modelOf(details, engineOf(details)) as unknown as Model<Output>;
  } catch {
    // No JSON, or a place outside of the module's memory.
  }
  throw new TypeError("load: the module is damaged: its description makes no sense");
}

/** A compiled network with what it says of itself, JSON. */
interface Loaded {
  readonly content: string;
  engineOf(description: Description): Engine;
}

/** What computes: the outputs of so many runs, each array those of all runs one after the other. */
interface Engine extends Pick<Model, "relaxed" | "isa"> {
  run(data: readonly Numbers[], results: readonly OutputData[], runs: number): void;
  /** Undefined where there is but one thread. */
  readonly runAsync?: (
    data: readonly Numbers[],
    results: readonly OutputData[],
    runs: number,
  ) => Promise<void>;
}

/** What a `.node` file exports; see src/compile/node/addon.ts. */
interface Addon {
  readonly penni?: unknown;
  create(isa: string | undefined): Native;
}

interface Native {
  readonly isa: string;
  run(inputs: readonly Numbers[], outputs: readonly Float32Array[], runs: number): void;
  runAsync(inputs: readonly Numbers[], outputs: readonly Float32Array[], runs: number): Promise<void>;
}

/** An addon, where the source is the name of a `.node` file. */
function addonOf(source: Source, { verify, relaxed, isa }: LoadOptions): Loaded | undefined {
  const address = typeof source === "string" ? source : Object(source).href;
  if (!/\.node$/i.test(address)) return undefined;
  if (verify) throw needsBytes("an addon");
  let addon: Addon | undefined;
  let native: Native;
  try {
    const local = localFile(address);
    const files = builtin("node:fs");
    if (!files || !local) throw new TypeError("expected a file, in Node");
    const path = files.realpathSync(local);
    if (isCutOff(files.readFileSync(path))) throw new TypeError("the file is cut off");
    addon = there(builtin("node:module")).createRequire(path)(path);
    if (typeof addon?.create !== "function") throw foreign();
    native = addon.create(isa ?? (relaxed === false ? "baseline" : undefined));
  } catch (error) {
    throw failure(`cannot load ${address}, an addon for Node`, error);
  }
  return { content: `${addon.penni}`, engineOf: () => nativeEngine(native) };
}

/** Whether an ELF file ends before its last table: loading it would end the process. */
function isCutOff({ buffer, byteOffset, byteLength }: Uint8Array): boolean {
  if (byteLength < 64) return true;
  const view = new DataView(buffer, byteOffset, byteLength);
  const end = view.getUint32(40, true) + view.getUint16(58, true) * view.getUint16(60, true);
  return view.getUint32(0) === 0x7f454c46 && end > byteLength;
}

function nativeEngine(native: Native): Engine {
  const floats = (data: readonly Numbers[]): readonly Float32Array[] =>
    data.map((each) => (kindOf(each) === "Float32Array" ? (each as Float32Array) : new Float32Array(each)));
  const blank = (results: readonly OutputData[]): readonly Float32Array[] =>
    results.map((each) => (each instanceof Float32Array ? each : new Float32Array(each.length)));
  const fill = (results: readonly OutputData[], found: readonly Float32Array[]): void =>
    results.forEach((each, index) => {
      if (each !== found[index]) each.set(there(found[index]));
    });
  return {
    relaxed: native.isa !== "baseline",
    isa: native.isa,
    run(data, results, runs) {
      const found = blank(results);
      native.run(floats(data), found, runs);
      fill(results, found);
    },
    async runAsync(data, results, runs) {
      const found = blank(results);
      await native.runAsync(floats(data), found, runs);
      fill(results, found);
    },
  };
}

/** What is instantiated, and what is known of it. */
interface Loadable {
  readonly code: Uint8Array | CompiledModule;
  /** Of the custom section "penni". */
  readonly content: Uint8Array;
  readonly relaxed: boolean;
}

async function moduleOf(source: Source, options: LoadOptions): Promise<Loaded> {
  const { code, content, relaxed } = await loadable(source, options);
  let exports: Exports;
  try {
    const made = await WebAssembly.instantiate(code);
    exports = "instance" in made ? made.instance.exports : made.exports;
  } catch (error) {
    throw failure("cannot compile the model, which needs WebAssembly with SIMD", error);
  }
  return {
    content: new TextDecoder().decode(content),
    engineOf: (description) => moduleEngine(description, exports, relaxed),
  };
}

async function loadable(source: Source, options: LoadOptions): Promise<Loadable> {
  if (kindOf(source) === "WebAssembly.Module") return compiledModule(source as CompiledModule, options);
  const bytes = await bytesOf(source);
  const sections = sectionsOf(bytes);
  const content = sections.find(({ name }) => name === "penni")?.content;
  if (!content) throw notOurs(bytes);
  if (options.verify) await verify(bytes, sections.at(-1));
  const fast = sections.find(({ name }) => name === "penni.relaxed");
  const relaxed = !!fast && options.relaxed !== false && WebAssembly.validate(relaxedProbe);
  return { code: relaxed ? withCode(bytes, sections, fast.content) : bytes, content, relaxed };
}

/** Of a compiled module all that can be read is what it says of itself. */
function compiledModule(module: CompiledModule, options: LoadOptions): Loadable {
  if (options.verify) throw needsBytes("a WebAssembly.Module");
  const [content] = WebAssembly.Module.customSections(module, "penni");
  if (!content) throw foreign();
  return { code: module, content: new Uint8Array(content), relaxed: false };
}

function foreign(): TypeError {
  return new TypeError("load: expected a module written by penni compile, found another");
}

function needsBytes(found: string): TypeError {
  return new TypeError(`load: verify needs the module's bytes, found ${found}`);
}

/** Compares a module with the digest in its last section. */
async function verify(bytes: Uint8Array, last: Section | undefined): Promise<void> {
  const { subtle } = (globalThis as Host).crypto ?? {};
  if (!subtle) throw new Error("load: verify needs crypto.subtle, as secure contexts have it");
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes.subarray(0, last?.start)));
  if (last?.name === "penni.sha256" && `${digest}` === `${last.content}`) return;
  throw new TypeError("load: the module is damaged: its digest is another");
}

const place = { name: "", type: "", address: 1, dims: [1] };
const ports = { inputs: [place], outputs: [place] };
/** What a description need not have. */
const statements = { classNames: [""], preprocessing: { mean: [0], std: [0], scale: 0 } };

function isDescription(found: unknown): found is Description {
  return isLike(found, ports) && isLike({ ...statements, ...Object(found) }, statements);
}

/** Whether a value has all that `like` has, of the same types, with whole numbers for 1; lists have any length. */
function isLike(value: unknown, like: unknown): boolean {
  if (Array.isArray(like)) return Array.isArray(value) && value.every((item) => isLike(item, like[0]));
  if (like === 1) return Number.isInteger(value);
  if (typeof like !== "object") return typeof value === typeof like;
  return Object.entries(Object(like)).every(([key, part]) => isLike(Object(value)[key], part));
}

/** The parts of the host that not every set of types knows. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  instantiate(module: Uint8Array | CompiledModule): Promise<Instance | { readonly instance: Instance }>;
  readonly Module: { customSections(module: CompiledModule, name: string): readonly ArrayBuffer[] };
};

interface Instance {
  readonly exports: Exports;
}

interface Host {
  readonly location?: unknown;
  readonly crypto?: {
    readonly subtle?: { digest(algorithm: string, bytes: Uint8Array): Promise<ArrayBuffer> };
  };
  readonly process?: {
    getBuiltinModule?(name: string): Builtin;
  };
}

/** What is used of Node's modules. */
interface Builtin {
  readonly promises: { readFile(file: string | URL): Promise<Uint8Array> };
  realpathSync(file: string | URL): string;
  readFileSync(file: string): Uint8Array;
  createRequire(file: string): (file: string) => Addon | undefined;
}

/** A module of Node's, where this is Node. */
function builtin(name: string): Builtin | undefined {
  return (globalThis as Host).process?.getBuiltinModule?.(name);
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

interface Preprocessing extends Fit {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly scale: number;
  readonly layout?: string;
  readonly colour?: string;
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

/** What Node's functions take for a file that an address names; undefined for any other address. */
function localFile(address: string): string | URL | undefined {
  if (/^file:/i.test(address)) return new URL(address);
  return /^[a-z][a-z\d+.-]+:/i.test(address) || (globalThis as Host).location ? undefined : address;
}

/** A file in Node (whose `fetch` knows none), else whatever the host can fetch. */
async function read(address: string): Promise<Uint8Array> {
  const files = builtin("node:fs");
  let found: Source;
  try {
    const local = localFile(address);
    found = await (files && local ? files.promises.readFile(local) : fetch(address));
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
  const expectUpTo = (end: number): void => {
    if (end > bytes.length) throw new TypeError("load: the module is cut off");
  };
  const next = (): number => {
    expectUpTo(at + 1);
    return there(bytes[at++]);
  };
  /** Unsigned LEB128. */
  const size = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = next();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const start = at;
    const id = next();
    const length = size();
    const end = at + length;
    expectUpTo(end);
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

function moduleEngine({ inputs, outputs }: Description, { memory, run }: Exports, relaxed: boolean): Engine {
  const viewOf = (port: Place): Float32Array => new Float32Array(memory.buffer, port.address, sizeOf(port));
  const [from, to] = [inputs.map(viewOf), outputs.map(viewOf)];
  return {
    relaxed,
    isa: undefined,
    run(data, results, runs) {
      for (let done = 0; done < runs; done++) {
        from.forEach((elements, index) => {
          const start = done * elements.length;
          elements.set(there(data[index]).subarray(start, start + elements.length));
        });
        run();
        to.forEach((elements, index) => {
          results[index]?.set(elements, done * elements.length);
        });
      }
    },
  };
}

function modelOf(
  { inputs, outputs, preprocessing, classNames }: Description,
  engine: Engine,
): Model<OutputData | Record<string, OutputData>> {
  const ports = (places: readonly Place[]): readonly Port[] =>
    places.map(({ name, dims, type }) => ({ name, dims, type }));
  const [from, to] = [ports(inputs), ports(outputs)];

  type Task = readonly [data: readonly Numbers[], results: readonly OutputData[], runs: number];
  const taskOf = (input: InputData | Readonly<Record<string, InputData>>): Task => {
    const data = dataOf(from, input);
    const runs = countRuns(from, data);
    return [data, to.map((port) => arrayOf(port.type, runs * sizeOf(port))), runs];
  };
  const runAll = (input: InputData | Readonly<Record<string, InputData>>): readonly OutputData[] => {
    const task = taskOf(input);
    engine.run(...task);
    return task[1];
  };
  const named = (results: readonly OutputData[]): OutputData | Record<string, OutputData> => {
    const [only] = results;
    if (results.length === 1 && only) return only;
    return Object.fromEntries(results.map((result, index) => [to[index]?.name, result]));
  };

  return {
    inputs: from,
    outputs: to,
    classNames,
    fit: preprocessing,
    relaxed: engine.relaxed,
    isa: engine.isa,
    run: (input) => named(runAll(input)),
    async runAsync(input) {
      if (!engine.runAsync) return named(runAll(input));
      const task = taskOf(input);
      await engine.runAsync(...task);
      return named(task[1]);
    },
    prepare(image) {
      return prepared(image, from, preprocessing);
    },
    classify(image) {
      expectClassifier(to);
      const pixels = prepared(image, from, preprocessing);
      const scores = probabilitiesOf(Array.from(there(runAll(pixels)[0])));
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

/** What must be there, as this file counted it. A constant: a function's name would be looked up for every pixel. */
const there = <Value>(value: Value | undefined): Value => {
  if (value === undefined) throw new Error("penni/runtime: a value is missing");
  return value;
};

function countRuns(ports: readonly Port[], data: readonly Numbers[]): number {
  const counts = ports.map((port, index) => {
    const { length } = there(data[index]);
    const size = sizeOf(port);
    if (length > 0 && length % size === 0) return length / size;
    const shape = port.dims.join("x");
    throw new RangeError(
      `input "${port.name}": expected ${size} elements (${shape}) or a multiple, found ${length}`,
    );
  });
  // A network of constants alone runs once.
  const runs = counts[0] === undefined ? 1 : counts[0];
  counts.forEach((count, index) => {
    if (count === runs) return;
    const expected = `expected data for ${runs} runs as in "${ports[0]?.name}"`;
    throw new RangeError(`input "${ports[index]?.name}": ${expected}, found ${count}`);
  });
  return runs;
}

/** Where the image goes in: one input of one image; undefined where the model has no such input. */
interface ImageInput {
  readonly dims: ImageDims;
  readonly isLast: boolean;
}

function imageInput([input, ...more]: readonly Port[], layout = "NCHW"): ImageInput {
  const isLast = layout === "NHWC";
  const dims = input ? input.dims : [];
  const [batch, channels, height, width] = isLast ? [dims[0], dims[3], dims[1], dims[2]] : dims;
  const isImage = dims.length === 4 && batch === 1 && (channels === 1 || channels === 3);
  if (isImage && more.length === 0) return { dims: [channels, there(height), there(width)], isLast };
  const [expected, found] = [
    isLast ? "[1, height, width, 3 or 1]" : "[1, 3 or 1, height, width]",
    shapesOf(input ? [input, ...more] : []),
  ];
  throw new TypeError(`expected a model of one image, ${expected}, found ${found}`);
}

function shapesOf(ports: readonly Port[]): string {
  return ports.map(({ dims }) => `[${dims.join(", ")}]`).join(", ");
}

function expectClassifier([output, ...more]: readonly Port[]): void {
  const isRow = output && Math.max(...output.dims) === sizeOf(output) && !isWhole(output.type);
  if (isRow && more.length === 0) return;
  const found = shapesOf(output ? [output, ...more] : []);
  throw new TypeError(`classify: expected a model with one row of scores, found ${found}`);
}

/** The image as the input wants it. */
function prepared(
  image: ImageLike,
  inputs: readonly Port[],
  preprocessing: Preprocessing | undefined,
): Float32Array {
  const { dims, isLast } = imageInput(inputs, preprocessing?.layout);
  const [channels, height, width] = dims;
  if (preprocessing?.mean.length !== channels || preprocessing.std.length !== channels) {
    throw new TypeError(
      `expected a preprocessing of ${channels} channels in the model's metadata ("penni.preprocessing"), ` +
        `found ${preprocessing ? preprocessing.mean.length : "none"}`,
    );
  }
  const { data } = image;
  if (!(image.width > 0) || data?.length !== 4 * image.width * image.height || !/^Uint8/.test(kindOf(data))) {
    const found = `${kindOf(data)} of ${data?.length} for ${image.width} x ${image.height} pixels`;
    throw new TypeError(`expected 4 bytes per pixel (RGBA), found ${found}`);
  }
  const levels = imageLevels(image, dims, preprocessing);
  const plane = height * width;
  const values = new Float32Array(levels.length);
  const [step, stride] = isLast ? [channels, 1] : [1, plane];
  for (let channel = 0; channel < channels; channel++) {
    const source = preprocessing.colour === "bgr" ? channels - 1 - channel : channel;
    const table = Float32Array.from({ length: 256 }, (_, level) => inputValue(level, channel, preprocessing));
    for (let pixel = 0; pixel < plane; pixel++)
      values[pixel * step + channel * stride] = there(table[there(levels[source * plane + pixel])]);
  }
  return values;
}

/** Channels (3: red, green, blue; 1: grey), height and width. */
export type ImageDims = readonly [channels: number, height: number, width: number];

/** What a level, 0 to 255, is for a channel of the model: float32 after each operation. */
export function inputValue(
  level: number,
  channel: number,
  { mean, std, scale }: Pick<Preprocessing, "mean" | "std" | "scale">,
): number {
  const { fround } = Math;
  const centred = fround(fround(level * scale) - fround(there(mean[channel])));
  return fround(centred / fround(there(std[channel])));
}

/** Grey, as the detectors have it that made letterboxes usual. */
const PAD: readonly number[] = [114, 114, 114];

/**
 * An image at a model's size, the definition that data sets and compiled models share: uint8 [channels, height, width].
 * Transparent parts are black. Each pixel is the mean of the image's pixels around its centre, weighted by a cubic that
 * reaches two pixels of the coarser of the two grids to each side: first along rows, rounded to 1/256, then along
 * columns, rounded and kept within 0 to 255. "cover" keeps the image's proportions and cuts off what then lies outside, on both sides alike;
 * "stretch" does not keep them; "letterbox" keeps all of the image and its proportions, to a whole pixel, in the middle of
 * a frame of one colour. All of it is integer arithmetic, so it is the same to the bit on every machine.
 * @param image its data has 3 or 4 bytes for each pixel, row by row: red, green, blue, alpha
 */
export function imageLevels(image: ImageLike, dims: ImageDims, fit: Fit = {}): Uint8Array {
  const [channels, rows, columns] = dims;
  const levels = new Uint8Array(channels * rows * columns);
  const window = windowOf(image, dims, fit);
  if (window.rows < rows || window.columns < columns) fill(levels, dims, fit.pad ?? PAD);
  resample(image, window, levels, dims);
  return levels;
}

/** Where in the result the image goes, and how its axes are resized. */
interface Window {
  readonly top: number;
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
  readonly across: Taps;
  readonly upright: Taps;
}

function windowOf(
  { width, height }: ImageLike,
  [, rows, columns]: ImageDims,
  { resize = "cover", crop = 1 }: Fit,
): Window {
  const isWider = width * rows > height * columns;
  const along: Ratio = [width, columns];
  const down: Ratio = [height, rows];
  if (resize === "letterbox") {
    const inside: Sides = isWider ? [fitted(height, along), columns] : [rows, fitted(width, down)];
    const [innerRows, innerColumns] = inside;
    return {
      top: Math.floor((rows - innerRows) / 2),
      left: Math.floor((columns - innerColumns) / 2),
      rows: innerRows,
      columns: innerColumns,
      across: tapsOf([width, innerColumns], [width, innerColumns]),
      upright: tapsOf([height, innerRows], [height, innerRows]),
    };
  }
  const isStretched = resize === "stretch";
  const across = tapsOf(along, cropped(isStretched || !isWider ? along : down, crop));
  const upright = tapsOf(down, cropped(isStretched || isWider ? down : along, crop));
  return { top: 0, left: 0, rows, columns, across, upright };
}

/** What a side becomes that is resized as another one is, rounded; at least one pixel. */
function fitted(side: number, [from, to]: Ratio): number {
  return Math.max(1, Math.floor((2 * side * to + from) / (2 * from)));
}

/** The ratio to a result that is larger by so much. */
function cropped([from, to]: Ratio, crop: number): Ratio {
  return crop === 1 ? [from, to] : [from * Math.round(1000 * crop), to * 1000];
}

/** The colour everywhere. */
function fill(levels: Uint8Array, [channels, rows, columns]: ImageDims, pad: readonly number[]): void {
  const [red = there(pad[0]), green = red, blue = red] = pad;
  const colour = channels === 1 ? [luma(red, green, blue)] : [red, green, blue];
  colour.forEach((value, channel) => {
    levels.fill(value, channel * rows * columns, (channel + 1) * rows * columns);
  });
}

/** Writes the image into its window. */
function resample(
  { width, height, data }: ImageLike,
  { top, left, rows, columns: shown, across, upright }: Window,
  levels: Uint8Array,
  [channels, rowsInAll, columns]: ImageDims,
): void {
  const pitch = data.length / height;
  const isOpaque = pitch === 3 * width;
  const line = new Uint8Array(3 * width);
  // As many rows as one row of the result is made of: what is behind is not needed again.
  const strips = Array.from({ length: upright.most }, () => new Int32Array(3 * shown));
  const plane = rowsInAll * columns;
  const sums = new Float64Array(3 * shown);
  let made = 0;
  let tap = 0;
  for (let y = 0; y < rows; y++) {
    const first = there(upright.firsts[y]);
    const end = there(upright.ends[y]);
    for (made = Math.max(made, first); made < end; made++) {
      const pixels = data.subarray(made * pitch, (made + 1) * pitch);
      squeeze(isOpaque ? pixels : overBlack(pixels, line), across, there(strips[made % upright.most]));
    }
    sums.fill(0);
    for (let row = first; row < end; row++) {
      const weight = there(upright.weights[tap++]);
      const strip = there(strips[row % upright.most]);
      for (let at = 0; at < sums.length; at++) sums[at] = there(sums[at]) + weight * there(strip[at]);
    }
    const total = 256 * there(upright.totals[y]);
    for (let x = 0, at = (top + y) * columns + left; x < 3 * shown; x += 3, at++) {
      const red = level(there(sums[x]), total);
      const green = level(there(sums[x + 1]), total);
      const blue = level(there(sums[x + 2]), total);
      levels[at] = channels === 1 ? luma(red, green, blue) : red;
      if (channels === 1) continue;
      levels[plane + at] = green;
      levels[2 * plane + at] = blue;
    }
  }
}

type Sides = readonly [rows: number, columns: number];

/** So many pixels of the image to so many of the result. */
type Ratio = readonly [from: number, to: number];

/** What each pixel of the result is made of: pixels of the image from a first to before an end, and their weights. */
interface Taps {
  readonly firsts: Int32Array;
  readonly ends: Int32Array;
  /** The most pixels that one is made of. */
  readonly most: number;
  /** One after the other; whole numbers. */
  readonly weights: Float64Array;
  /** Their sum, for each pixel of the result. */
  readonly totals: Float64Array;
}

/** Along one axis, about its middle; distances are in units of 1 / (2 to) pixels of the image. */
function tapsOf([size, count]: Ratio, [from, to]: Ratio): Taps {
  const unit = 2 * Math.max(from, to);
  const reach = 2 * unit;
  const firsts = new Int32Array(count);
  const ends = new Int32Array(count);
  const totals = new Float64Array(count);
  const weights: number[] = [];
  let most = 1;
  for (let index = 0; index < count; index++) {
    const centre = size * to + (2 * index + 1 - count) * from;
    const first = Math.max(0, Math.floor((centre - reach - to) / (2 * to)) + 1);
    const end = Math.min(size, Math.ceil((centre + reach - to) / (2 * to)));
    let total = 0;
    for (let pixel = first; pixel < end; pixel++) {
      const weight = cubic(Math.floor((ONE * Math.abs(centre - (2 * pixel + 1) * to)) / unit));
      weights.push(weight);
      total += weight;
    }
    firsts[index] = first;
    ends[index] = end;
    totals[index] = total;
    most = Math.max(most, end - first);
  }
  return { firsts, ends, most, totals, weights: Float64Array.from(weights) };
}

/** The unit of a weight's distance. */
const ONE = 4096;

/** The cubic of Catmull and Rom (a = -1/2) at a distance from 0 to 2 ONE, in units of 2 ^ -17, rounded down. */
function cubic(x: number): number {
  const value =
    x < ONE
      ? (3 * x - 5 * ONE) * x * x + 2 * ONE ** 3
      : ((5 * ONE - x) * x - 8 * ONE ** 2) * x + 4 * ONE ** 3;
  return Math.floor(value / 2 ** 20);
}

/** From this total on, quotients may lie so close together that only division tells them apart. */
const LARGEST_SHARED = 2 ** 29;
/**
 * A half, and a little more than multiplying by 1 / total in place of dividing by it can miss, but less than lies between
 * quotients of whole numbers: so what is then rounded down is what division gives, in less time.
 */
const HALF_OF_ROW = 0.5 + 2 ** -31;
const HALF_OF_COLUMN = 0.5 + 2 ** -40;

/** sum / total, rounded. */
function rounded(sum: number, total: number, half: number): number {
  const isShared = total < LARGEST_SHARED;
  return Math.floor(isShared ? sum * (1 / total) + half : (sum + total / 2) / total);
}

/** A row of pixels at its new length, in units of 1 / 256 of a level. */
function squeeze(
  line: ImageLike["data"],
  { firsts, ends, weights, totals }: Taps,
  strip: Int32Array | Float64Array,
): void {
  let tap = 0;
  for (let x = 0, to = 0; x < firsts.length; x++, to += 3) {
    let red = 0;
    let green = 0;
    let blue = 0;
    const end = 3 * there(ends[x]);
    for (let at = 3 * there(firsts[x]); at < end; at += 3) {
      const weight = there(weights[tap++]);
      red += weight * there(line[at]);
      green += weight * there(line[at + 1]);
      blue += weight * there(line[at + 2]);
    }
    const total = there(totals[x]);
    strip[to] = rounded(256 * red, total, HALF_OF_ROW);
    strip[to + 1] = rounded(256 * green, total, HALF_OF_ROW);
    strip[to + 2] = rounded(256 * blue, total, HALF_OF_ROW);
  }
}

/** A sum of weighted levels in units of 1 / 256, rounded. */
function level(sum: number, total: number): number {
  return Math.min(255, Math.max(0, rounded(sum, total, HALF_OF_COLUMN)));
}

/** A row of pixels with alpha over black, as red, green and blue. */
function overBlack(pixels: ImageLike["data"], line: Uint8Array): Uint8Array {
  for (let to = 0, from = 0; to < line.length; to += 3, from += 4) {
    const alpha = there(pixels[from + 3]);
    for (let channel = 0; channel < 3; channel++) {
      const level = there(pixels[from + channel]);
      line[to + channel] = alpha === 255 ? level : Math.floor((level * alpha + 127) / 255);
    }
  }
  return line;
}

/** Rec. 601, as image libraries make pictures grey. */
function luma(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
}

function probabilitiesOf(scores: readonly number[]): readonly number[] {
  const total = scores.reduce((sum, score) => sum + score, 0);
  if (Math.abs(total - 1) < 1e-3 && scores.every((score) => score >= 0)) return scores;
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}
