import {
  at,
  entryOf,
  hasInput,
  hasOutput,
  inputOf,
  last,
  orDefault,
  outputOf,
  present,
} from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { removeDeadNodes } from "../graph/passes/remove_dead_nodes.js";
import { isSelfChecking } from "../graph/self_check.js";
import { elementCount, float32Data, numericData } from "../graph/tensor.js";
import type { Graph, Node, Tensor, ValueInfo } from "../graph/types.js";
import { findDecompositions } from "../layers/weights.js";
import { standardOpset } from "../ops/core/definition.js";
import { isStatic } from "../ops/core/dims.js";
import { type Inference, inferGraph, nodeContext, staticDims } from "../ops/inference/infer.js";
import { type FusedStep, fuseOperations, type Operation } from "./fuse.js";
import { constant } from "./kernel_builder.js";
import { type Epilogue, epilogueOf, noEpilogue } from "./kernels/epilogue.js";
import { once } from "./kernels/functions.js";
import { stridedKernel } from "./kernels/strided.js";
import type { ConvFactors, ElementContext, LoweringContext } from "./lower/definition.js";
import { viewOf } from "./lower/movement.js";
import { findLowering } from "./lower/registry.js";
import type { Location, Port, Program, WeightLayout } from "./program.js";
import { ProgramBuilder } from "./program_builder.js";
import type { Target } from "./target.js";
import { verifyProgram } from "./verify/program.js";

/** The nodes that multiply coefficients and bases: compiled convolutions do without the product. */
export function factorMakers(graph: Graph): ReadonlySet<Node> {
  const decomposed = new Set(findDecompositions(graph).map((layer) => layer.conv));
  if (decomposed.size === 0) return decomposed;
  const kept = graph.nodes.map((node) =>
    decomposed.has(node) ? { ...node, inputs: node.inputs.with(1, "") } : node,
  );
  const rest = new Set(
    removeDeadNodes({ ...graph, nodes: kept }).nodes.map((node) => node.name + node.outputs[0]),
  );
  return new Set(graph.nodes.filter((node) => !rest.has(node.name + node.outputs[0])));
}

/** As many float32 elements as 4 GiB hold. */
const LARGEST_VALUE = 2 ** 30;

/** Lowers a prepared graph. */
export class ProgramCompiler {
  private readonly builder: ProgramBuilder;
  private readonly inference: Inference;
  private readonly opset: number;
  private readonly places = new Map<string, Location>();
  private readonly outputs = new Map<string, Location>();
  private readonly factors: ReadonlyMap<Node, ConvFactors>;

  constructor(
    private readonly graph: Graph,
    private readonly target: Target,
    /** Whether there is memory for what is made of constants before the first run. */
    private readonly preparesWeights: boolean,
  ) {
    this.builder = new ProgramBuilder(graph.nodes.length);
    this.inference = inferGraph(graph);
    this.opset = standardOpset(graph);
    this.factors = convFactors(graph);
  }

  compile(): Program {
    const { graph } = this;
    for (const node of graph.nodes) this.checkSizes(node);
    const inputs = graph.inputs.map((info) => this.port(info, "input"));
    for (const port of inputs) this.places.set(port.name, { buffer: port.buffer, offset: 0 });
    const outputs = graph.outputs.map((info) => this.port(info, "output"));
    for (const port of outputs) this.outputs.set(port.name, { buffer: port.buffer, offset: 0 });
    const makers = factorMakers(graph);
    for (const operation of fuseOperations(graph, this.inference, (node) => this.elementContext(node))) {
      if (!makers.has(operation.node)) this.lower(operation);
    }
    for (const port of outputs) this.deliver(port);
    const program = this.builder.finish(graph.name, inputs, outputs, graph.metadata);
    if (isSelfChecking()) verifyProgram(program, this.target.width);
    return program;
  }

  private checkSizes({ name, op, outputs }: Node): void {
    for (const output of outputs) {
      const shape = this.inference.types.get(output)?.shape;
      if (!isStatic(shape) || elementCount(shape) <= LARGEST_VALUE) continue;
      throw new PenniError("unsupported", "a value is larger than the memory that compiled models can have", {
        node: name,
        op,
        expected: `at most ${LARGEST_VALUE} elements`,
        found: `[${shape.join(", ")}]`,
      });
    }
  }

  private port(info: ValueInfo, kind: "input" | "output"): Port {
    const dims = staticDims(this.inference.types, info.name);
    const { elementType } = entryOf(this.inference.types, info.name);
    if (elementType === "string" || elementType === "other") {
      throw new PenniError("unsupported", `the ${kind} "${info.name}" cannot be compiled`, {
        expected: "numbers",
        found: elementType === "string" ? "strings" : "elements of an unknown type",
      });
    }
    const { buffer } = this.builder.buffer(kind, elementCount(dims));
    return { name: info.name, dims, elementType, buffer };
  }

  private lower(operation: Operation): void {
    const lowering = present(findLowering(operation.node), `a lowering of ${operation.node.op}`);
    lowering.lower(this.context(operation));
  }

  private elementContext(node: Node): ElementContext {
    return {
      ...nodeContext(node, this.opset, this.inference.types, this.inference.values),
      constantData: (index) => {
        const tensor = this.initializer(node, index);
        return tensor === undefined ? undefined : asFloat32(tensor);
      },
    };
  }

  private context({ node, steps, sides, output }: Operation): LoweringContext {
    const { builder, target, inference, preparesWeights } = this;
    const nameOf = (index: number): string => (index === 0 ? output : outputOf(node, index));
    const details = { node: node.name, op: node.op };
    return {
      ...this.elementContext(node),
      epilogue: fusedEpilogue(steps, sides.length),
      sides: sides.map((name) => this.read(name)),
      ...target,
      convFactors: this.factors.get(node),
      inputDims: (index) => staticDims(inference.types, inputOf(node, index)),
      outputDims: (index = 0) => staticDims(inference.types, nameOf(index)),
      hasInput: (index) => hasInput(node, index),
      hasOutput: (index) => hasOutput(node, index),
      constant: (index) => this.initializer(node, index),
      read: (index, layout) => this.read(inputOf(node, index), layout),
      write: (index = 0) => this.write(nameOf(index)),
      alias: (location, index = 0) => {
        this.places.set(nameOf(index), location);
      },
      scratch: (size) => builder.buffer("scratch", size),
      weights: (data, layout) => builder.constant(data, layout),
      packedBlocks: (weights) => builder.packedBlocks(weights),
      preparesWeights,
      prepared: (kernel, inputs, size) => {
        if (preparesWeights) return builder.prepared(kernel, inputs, size, details);
        const made = builder.buffer("scratch", size);
        builder.call(kernel, [...inputs, made], details);
        return made;
      },
      call: (kernel, locations, multiplyAccumulates = 0) => {
        builder.call(kernel, locations, { ...details, multiplyAccumulates });
      },
    };
  }

  /** The constant behind an input; undefined if it is computed or absent. */
  private initializer(node: Node, index: number): Tensor | undefined {
    return hasInput(node, index) ? this.graph.initializers.get(inputOf(node, index)) : undefined;
  }

  private read(name: string, layout?: WeightLayout): Location {
    const place = this.places.get(name);
    if (place !== undefined) return place;
    const tensor = this.graph.initializers.get(name);
    if (tensor === undefined)
      throw new PenniError("internal", `value "${name}" is read before it is computed`);
    const rows: WeightLayout = { kind: "blocks", outputs: orDefault(tensor.dims[0], 1), block: 1 };
    const location = this.builder.constant(asFloat32(tensor), layout ?? rows);
    this.places.set(name, location);
    return location;
  }

  private write(name: string): Location {
    const place =
      this.outputs.get(name) ??
      this.builder.buffer("value", elementCount(staticDims(this.inference.types, name)));
    this.places.set(name, place);
    return place;
  }

  /** An output that is another value's memory, an input or a constant is copied. */
  private deliver({ name, dims, buffer }: Port): void {
    const place = this.read(name);
    if (place.buffer === buffer) return;
    const count = elementCount(dims);
    const kernel = stridedKernel(
      {
        name: "copy",
        comment: `Copies ${count} elements.`,
        dims: [count],
        inputs: [{ strides: [1] }],
        output: { strides: [1] },
        compute: ([x]) => present(x),
      },
      this.target.width,
    );
    this.builder.call(kernel, [place, viewOf({ buffer, offset: 0 }, dims).location], {
      node: name,
      op: "output",
    });
  }
}

/** What an operation's steps make of its result. */
function fusedEpilogue(steps: readonly FusedStep[], sides: number): Epilogue {
  if (steps.length === 0) return noEpilogue;
  const name = steps.map(({ node }) => `_${node.op.toLowerCase()}`).join("");
  return epilogueOf(name, sides, (place, value, others) => {
    const made = [once(place, value, "y")];
    for (const { operation, operands } of steps) {
      const values = operands.map((operand) => {
        if (operand.kind === "constant") return constant(operand.value);
        return at(operand.kind === "made" ? made : others, operand.index);
      });
      made.push(once(place, operation.compute(place, values), "y"));
    }
    return last(made);
  });
}

function asFloat32(tensor: Tensor): Float32Array {
  return tensor.type === "float32" ? float32Data(tensor) : Float32Array.from(numericData(tensor));
}

function convFactors(graph: Graph): ReadonlyMap<Node, ConvFactors> {
  return new Map(
    findDecompositions(graph).flatMap((layer) => {
      const coefs = graph.initializers.get(layer.coefs);
      const basis = graph.initializers.get(layer.basis);
      if (coefs === undefined || basis === undefined) return [];
      const { d, R, S, conv } = layer;
      return [[conv, { coefs: float32Data(coefs), basis: float32Data(basis), d, taps: R * S }] as const];
    }),
  );
}
