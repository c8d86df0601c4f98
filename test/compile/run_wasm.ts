import {
  DESCRIPTION_SECTION,
  type ModuleDescription,
  RELAXED_SECTION,
} from "../../src/compile/wasm/module.js";

// The parts of the engine's interface that are used here; Node's types leave them out.
interface WasmModule {
  readonly kind?: "module";
}
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: {
  readonly Module: {
    new (bytes: Uint8Array): WasmModule;
    customSections(module: WasmModule, name: string): readonly ArrayBuffer[];
  };
  readonly Memory: new () => WasmMemory;
  readonly Instance: new (module: WasmModule) => { readonly exports: Readonly<Record<string, unknown>> };
  validate(bytes: Uint8Array): boolean;
};

/** Values by name, as float32 elements. */
export type Values = ReadonlyMap<string, Float32Array>;

const CODE_SECTION = 10;

function readUnsigned(bytes: Uint8Array, at: number): readonly [value: number, next: number] {
  let value = 0;
  for (let shift = 0, position = at; ; shift += 7, position++) {
    const byte = bytes[position] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, position + 1];
  }
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(Math.floor(value / 0x80))];
}

/** The module with the code section that its section "penni.relaxed" holds. */
export function relaxedModule(bytes: Uint8Array): Uint8Array {
  const [relaxed] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), RELAXED_SECTION);
  if (relaxed === undefined) throw new Error("the module has no relaxed code");
  const code = new Uint8Array(relaxed);
  const parts: Uint8Array[] = [bytes.subarray(0, 8)];
  for (let at = 8; at < bytes.length; ) {
    const [length, content] = readUnsigned(bytes, at + 1);
    const end = content + length;
    if (bytes[at] === CODE_SECTION)
      parts.push(Uint8Array.from([CODE_SECTION, ...unsigned(code.length)]), code);
    else parts.push(bytes.subarray(at, end));
    at = end;
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Whether the engine knows relaxed SIMD; Node 20 does so only behind the flag that the contract test sets. */
export function validates(bytes: Uint8Array): boolean {
  return WebAssembly.validate(bytes);
}

const POISON = Number.NaN;

/** Runs a compiled module, with everything but its weights poisoned before. */
export function runModule(bytes: Uint8Array, feeds: Values): Values {
  const module = new WebAssembly.Module(bytes);
  const [section] = WebAssembly.Module.customSections(module, DESCRIPTION_SECTION);
  const description: ModuleDescription = JSON.parse(new TextDecoder().decode(section));
  const { memory, run } = new WebAssembly.Instance(module).exports;
  if (!(memory instanceof WebAssembly.Memory) || typeof run !== "function")
    throw new Error("no module of ours");
  const all = [...description.inputs, ...description.outputs];
  const lowest = Math.min(...all.map((port) => port.address));
  new Float32Array(memory.buffer, lowest).fill(POISON);
  for (const { name, address } of description.inputs) {
    new Float32Array(memory.buffer, address).set(feeds.get(name) ?? []);
  }
  run();
  return new Map(
    description.outputs.map(({ name, dims, address }) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      return [name, new Float32Array(memory.buffer, address, count).slice()];
    }),
  );
}
