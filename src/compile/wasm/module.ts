import { orDefault } from "../../graph/at.js";
import { PenniError } from "../../graph/errors.js";
import { type Preprocessing, readClassNames, readPreprocessing } from "../../graph/image_metadata.js";
import type { ModulePort, ModuleVariant } from "../backend.js";
import { uniqueKernels } from "../kernel_pool.js";
import type { Kernel } from "../loops.js";
import { type MemoryPlan, planMemory, planPrepared } from "../memory_plan.js";
import { type PackedWeights, packWeights } from "../packing.js";
import type { Location, Port, Program, Step } from "../program.js";
import { ByteWriter } from "./bytes.js";
import { functionBody } from "./function_body.js";
import { control, integer, valueTypes } from "./instructions.js";
import { sha256 } from "./sha256.js";
import { unpackFunction } from "./unpack.js";

const PAGE = 65536;
/** 4 GiB: what 32-bit addresses reach. */
const MOST_PAGES = 65536;

const sectionIds = {
  custom: 0,
  type: 1,
  function: 3,
  memory: 5,
  export: 7,
  start: 8,
  code: 10,
  data: 11,
} as const;

/** Custom section with what the loader must know, as JSON (`ModuleDescription`). */
export const DESCRIPTION_SECTION = "penni";
/** Custom section with the content of a code section that uses relaxed SIMD, in place of the module's own. */
export const RELAXED_SECTION = "penni.relaxed";

/** Last custom section: the SHA-256 digest of everything before it. */
export const DIGEST_SECTION = "penni.sha256";

export interface ModuleDescription {
  readonly inputs: readonly ModulePort[];
  readonly outputs: readonly ModulePort[];
  /** What the model's metadata states; the loader's `classify` needs it. */
  readonly preprocessing: Preprocessing | undefined;
  readonly classNames: readonly string[] | undefined;
}

/** The memory of a module: weights, what is prepared of them, then inputs and outputs, then the arena; in bytes. */
interface Layout {
  readonly bytes: number;
  /** Address of the arena. */
  readonly arena: number;
  addressOf(location: Location): number;
}

/** The name under which a module exports a step. */
export function stepExport(index: number): string {
  return `step ${index}`;
}

/**
 * A WebAssembly module without imports that exports `memory` and `run`: weights inside, float32 inputs and outputs at
 * the addresses that its custom section "penni" names, and a digest by which the loader can tell damage.
 * @throws PenniError "bad-model" if the model's metadata states a preprocessing or class names that make no sense,
 *   "unsupported" if the memory that it needs is beyond what WebAssembly has
 */
export function wasmModule(
  program: Program,
  { exportsSteps = false, isRelaxed = false, isBare = false }: ModuleVariant = {},
): Uint8Array {
  const layout = memoryLayout(program);
  const packed = isBare ? undefined : packedWeights(program);
  const pages = memoryPages(Math.max(layout.bytes, layout.arena + orDefault(packed?.bytes.length, 0)));
  const { preparation } = program;
  const { kernels, indexOf } = uniqueKernels([...preparation, ...program.steps].map(({ kernel }) => kernel));
  const module = new ByteWriter().bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  section(module, "type", typeSection(kernels));
  // Whoever puts weights into a bare module does so when it is there: it prepares them in every run.
  const run = isBare ? [...preparation, ...program.steps] : program.steps;
  const calls = [run, ...(exportsSteps ? program.steps.map((step) => [step]) : [])];
  const callers = calls.map((steps) => runFunction(steps, layout, indexOf));
  // What is packed lies in the arena, which is free before the first run, as nothing is prepared there.
  if (packed !== undefined) callers.push(unpackFunction(layout.arena, packed));
  const unpacking = packed && kernels.length + callers.length - 1;
  if (!isBare && preparation.length > 0) callers.push(runFunction(preparation, layout, indexOf, unpacking));
  section(module, "function", functionSection(kernels, callers.length));
  section(module, "memory", new ByteWriter().unsigned(1).byte(0).unsigned(pages));
  section(module, "export", exportSection(kernels.length, calls.length));
  // The last function makes the weights ready.
  if (callers.length > calls.length)
    section(module, "start", new ByteWriter().unsigned(kernels.length + callers.length - 1));
  section(module, "code", codeSection(kernels, callers, isRelaxed));
  if (isBare) return module.view().slice();
  // Beside the other code, so that what they have in common is near enough for compression to find.
  customSection(module, RELAXED_SECTION, codeSection(kernels, callers, true).view());
  if (packed !== undefined) section(module, "data", dataSection(packed.bytes, layout.arena));
  else if (program.weights.length > 0) section(module, "data", dataSection(program.weights, 0));
  const description = new TextEncoder().encode(JSON.stringify(describe(program, layout)));
  customSection(module, DESCRIPTION_SECTION, description);
  customSection(module, DIGEST_SECTION, sha256(module.view()));
  return module.view().slice();
}

function memoryLayout(program: Program): Layout {
  const plan = planMemory(program);
  const preparedPlan = planPrepared(program);
  const prepared = aligned(program.weights.length);
  const ports = new Map<number, number>();
  let end = aligned(prepared + 4 * preparedPlan.size);
  for (const { buffer } of [...program.inputs, ...program.outputs]) {
    if (ports.has(buffer.id)) continue;
    ports.set(buffer.id, end);
    end = aligned(end + 4 * buffer.size + PAGE_SLACK);
  }
  const arena = end;
  const bases: Readonly<Record<Location["buffer"]["kind"], (id: number) => number | undefined>> = {
    weights: (id) => program.weightOffsets.get(id),
    input: (id) => ports.get(id),
    output: (id) => ports.get(id),
    prepared: (id) => addressIn(prepared, preparedPlan, id),
    value: (id) => addressIn(arena, plan, id),
    scratch: (id) => addressIn(arena, plan, id),
  };
  function addressIn(base: number, { offsets }: MemoryPlan, id: number): number | undefined {
    const offset = offsets.get(id);
    return offset === undefined ? undefined : base + 4 * offset;
  }
  return {
    bytes: arena + 4 * plan.size,
    arena,
    addressOf({ buffer, offset }) {
      const base = bases[buffer.kind](buffer.id);
      if (base === undefined) throw new PenniError("internal", `buffer ${buffer.id} has no place in memory`);
      return base + 4 * offset;
    },
  };
}

/** Packed weights, where they save more than the code that expands them takes. */
function packedWeights(program: Program): PackedWeights | undefined {
  const packed = packWeights(program);
  return packed !== undefined && packed.bytes.length + UNPACKING_BYTES < program.weights.length
    ? packed
    : undefined;
}

/** Of the code that expands weights, which a module holds twice. */
const UNPACKING_BYTES = 2048;

function memoryPages(bytes: number): number {
  const pages = Math.ceil(bytes / PAGE);
  if (pages <= MOST_PAGES) return pages;
  throw new PenniError("unsupported", "the model needs more memory than WebAssembly has", {
    expected: `at most ${MOST_PAGES * PAGE} bytes`,
    found: `${bytes}`,
  });
}

/** A vector that begins at the last element of an input may be loaded whole. */
const PAGE_SLACK = 64;

function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** Addresses of a program's inputs and outputs in its module's memory. */
export function modulePorts(program: Program): Pick<ModuleDescription, "inputs" | "outputs"> {
  const { inputs, outputs } = describe({ ...program, metadata: new Map() }, memoryLayout(program));
  return { inputs, outputs };
}

function describe(program: Program, layout: Layout): ModuleDescription {
  const port = ({ name, dims, elementType, buffer }: Port): ModulePort => {
    return { name, dims, type: elementType, address: layout.addressOf({ buffer, offset: 0 }) };
  };
  return {
    inputs: program.inputs.map(port),
    outputs: program.outputs.map(port),
    preprocessing: readPreprocessing(program.metadata),
    classNames: readClassNames(program.metadata),
  };
}

/** Function types by number of parameters, all i32; type 0 is that of `run`. */
function parameterCounts(kernels: readonly Kernel[]): readonly number[] {
  return [...new Set([0, ...kernels.map((kernel) => kernel.parameters.length)])];
}

function typeSection(kernels: readonly Kernel[]): ByteWriter {
  const counts = parameterCounts(kernels);
  const content = new ByteWriter().unsigned(counts.length);
  for (const count of counts) {
    content.byte(0x60).vector(new Uint8Array(count).fill(valueTypes.i32)).unsigned(0);
  }
  return content;
}

function functionSection(kernels: readonly Kernel[], callers: number): ByteWriter {
  const counts = parameterCounts(kernels);
  const content = new ByteWriter().unsigned(kernels.length + callers);
  for (const kernel of kernels) content.unsigned(counts.indexOf(kernel.parameters.length));
  for (let caller = 0; caller < callers; caller++) content.unsigned(0);
  return content;
}

/** `run` is the first of the functions that call kernels; the steps, where they are exported, follow. */
function exportSection(runIndex: number, callers: number): ByteWriter {
  const content = new ByteWriter()
    .unsigned(1 + callers)
    .text("memory")
    .byte(2)
    .unsigned(0);
  for (let caller = 0; caller < callers; caller++) {
    const name = caller === 0 ? "run" : stepExport(caller - 1);
    content
      .text(name)
      .byte(0)
      .unsigned(runIndex + caller);
  }
  return content;
}

function codeSection(
  kernels: readonly Kernel[],
  callers: readonly Uint8Array[],
  relaxed: boolean,
): ByteWriter {
  const content = new ByteWriter().unsigned(kernels.length + callers.length);
  for (const kernel of kernels) content.vector(functionBody(kernel, { relaxed }));
  for (const caller of callers) content.vector(caller);
  return content;
}

/** @param before a function that is called first */
function runFunction(
  steps: readonly Step[],
  layout: Layout,
  indexOf: (kernel: Kernel) => number,
  before?: number,
): Uint8Array {
  const body = new ByteWriter().unsigned(0);
  if (before !== undefined) body.byte(control.call).unsigned(before);
  for (const step of steps) {
    for (const location of step.arguments) body.byte(integer.constant).signed(layout.addressOf(location));
    body.byte(control.call).unsigned(indexOf(step.kernel));
  }
  return body.byte(control.end).view();
}

function dataSection(weights: Uint8Array, address: number): ByteWriter {
  return new ByteWriter()
    .unsigned(1)
    .unsigned(0)
    .byte(integer.constant)
    .signed(address)
    .byte(control.end)
    .vector(weights);
}

function section(module: ByteWriter, name: keyof typeof sectionIds, content: ByteWriter): void {
  module.byte(sectionIds[name]).vector(content.view());
}

function customSection(module: ByteWriter, name: string, content: Uint8Array): void {
  section(module, "custom", new ByteWriter().text(name).bytes(content));
}
