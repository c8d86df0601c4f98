/** Element types of ONNX tensors that Penni knows by name. */
export type ElementType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool"
  | "string"
  | "other";

/** One dimension: a size, a named symbol ("batch"), or unknown. */
export type Dim = number | string | undefined;
export type Shape = readonly Dim[];

/** Element type and shape of a value; an undefined shape means that not even the rank is known. */
export interface ValueType {
  readonly elementType: ElementType;
  readonly shape: Shape | undefined;
}

/**
 * A constant: little-endian, row-major bytes (what ONNX calls raw data). `bytes` may be a window into the
 * file it was read from; read it with the accessors in `tensor.ts`, never by casting the buffer.
 */
export interface Tensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
  /** The elements of a tensor of type "string", in place of `bytes`. */
  readonly strings?: readonly Uint8Array[];
}

/** Something another layer keeps with a part of the graph so as to write it back unchanged. */
export type Opaque = unknown;

/** An attribute of a node. Kinds that Penni does not interpret travel as `opaque`. */
export type Attribute =
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "ints"; readonly value: readonly bigint[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "tensor"; readonly value: Tensor }
  /**
   * `captures`: names of values outside a subgraph that it reads; `inner`: the nodes inside, at any depth; `branch`: what
   * a branch of If is made of, to be written in its place once the condition is known.
   */
  | {
      readonly kind: "opaque";
      readonly value: Opaque;
      readonly captures: readonly string[];
      readonly inner?: readonly InnerNode[];
      readonly branch?: Branch;
    };

/** The content of a subgraph without inputs. Names that it does not define are the surrounding graph's. */
export interface Branch {
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly valueInfo: readonly ValueInfo[];
  /** Names, in order. */
  readonly outputs: readonly string[];
}

/** What is known of a node inside a subgraph. */
export type InnerNode = Pick<Node, "name" | "op" | "domain">;

export type Attributes = ReadonlyMap<string, Attribute>;

/** One operation. An empty string among `inputs` or `outputs` means an omitted optional one, as in ONNX. */
export interface Node {
  readonly name: string;
  readonly op: string;
  /** "" is the standard ONNX domain. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
  readonly extra?: Opaque;
}

export interface ValueInfo {
  readonly name: string;
  readonly type: ValueType | undefined;
  readonly extra?: Opaque;
}

/**
 * A whole ONNX model as plain data: named values, nodes in topological order, initializers. Every stage of
 * Penni is a function from a `Graph` to a `Graph`; nobody changes one in place.
 */
export interface Graph {
  readonly name: string;
  /** Operator set version by domain; "" is the standard domain. */
  readonly opsets: ReadonlyMap<string, number>;
  /** What the user feeds: initializers are not listed here, whatever the file did. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  /** Types the file declares for intermediate values. */
  readonly valueInfo: ReadonlyMap<string, ValueInfo>;
  /** `metadata_props`. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly extra?: Opaque;
}
