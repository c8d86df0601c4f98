import type { Node } from "../../graph/types.js";

/** Domains of the operators into whose layouts ONNX Runtime brings a network for the machine at hand. */
const DOMAINS: ReadonlySet<string> = new Set(["com.microsoft.nchwc", "com.ms.internal.nhwc"]);

/** Whether a node is written for one machine: its weights are ordered as that machine's processor likes them. */
export const isForOneMachine = ({ domain }: Pick<Node, "domain">): boolean => DOMAINS.has(domain);

/** What to do about a file that holds such nodes. */
export const INSTEAD_OF_ONE_MACHINE =
  "ONNX Runtime saved this file as it prepared it for one machine: take the model as it was exported, or let it save with graph optimization level extended (ORT_ENABLE_EXTENDED) or lower";
