import { create } from "@bufbuild/protobuf";
import { orDefault } from "../graph/at.js";
import { PenniError } from "../graph/errors.js";
import { normalDomain } from "./attributes.js";
import {
  type FunctionProto,
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
} from "./gen/onnx_pb.js";

/**
 * Versions of the standard operator set in which the form or the meaning of an operator changed so that an earlier node
 * is not a later one (ONNX Changelog, 9 to 26). What only took more types or attributes is not here.
 */
const changes: ReadonlyMap<string, readonly number[]> = new Map([
  ["BatchNormalization", [14]],
  ["Clip", [11]],
  ["Dropout", [12]],
  ["GroupNormalization", [21]],
  ["Hardmax", [13]],
  ["LogSoftmax", [13]],
  ["Pad", [11]],
  ["ReduceSum", [13]],
  ["Resize", [11, 13]],
  ["Slice", [10]],
  ["Softmax", [13]],
  ["Split", [13, 18]],
  ["Squeeze", [13]],
  ["TopK", [10]],
  ["Unsqueeze", [13]],
  ["Upsample", [10]],
  ...["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"].map(
    (reduction): [string, readonly number[]] => [`Reduce${reduction}`, [18]],
  ),
]);

/**
 * Makes a function's operator sets the model's: adds those that the model does not have, and checks that none of the
 * function's operators has another form in the model's version.
 * @throws PenniError "unsupported" naming the operator that has
 */
export function checkFunctionOpsets(model: ModelProto, called: FunctionProto, call: NodeProto): void {
  for (const { domain, version } of called.opsetImport) {
    const own = model.opsetImport.find((each) => normalDomain(each.domain) === normalDomain(domain));
    if (own === undefined) {
      model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain, version }));
      continue;
    }
    if (own.version === version) continue;
    const changed = called.node.find((node) => changesBetween(node, domain, own.version, version));
    if (changed === undefined) continue;
    throw new PenniError("unsupported", `the function uses "${changed.opType}" of another operator set`, {
      node: call.name,
      op: call.opType,
      expected: `operator set ${own.version}, which the model uses`,
      found: `${version}`,
      advice: "Export the model again with one operator set",
    });
  }
}

function changesBetween(node: NodeProto, domain: string, one: bigint, other: bigint): boolean {
  if (normalDomain(node.domain) !== normalDomain(domain)) return false;
  if (normalDomain(domain) !== "") return true;
  const [earlier, later] = one < other ? [one, other] : [other, one];
  return orDefault(changes.get(node.opType), []).some((version) => version > earlier && version <= later);
}
