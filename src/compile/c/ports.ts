import { type CComment, type CIdentifier, cComment } from "../../text/destinations.js";
import type { Port, Program } from "../program.js";
import { Names } from "./names.js";

/** An input or output of a program as C knows it. */
export interface CPort extends Pick<Port, "buffer" | "elementType"> {
  /** Its name in the model. */
  readonly title: CComment;
  /** Of NAME_run: "input", or "input_NAME" where there are several. */
  readonly parameter: CIdentifier;
  /** What its macros begin with: no other port's is the same in another case. */
  readonly macro: CIdentifier;
  /** At least one axis. */
  readonly shape: readonly number[];
}

export interface CPorts {
  readonly inputs: readonly CPort[];
  readonly outputs: readonly CPort[];
}

/** Names for the inputs and outputs of a program. @param prefix of all macros */
export function namePorts(program: Pick<Program, "inputs" | "outputs">, prefix: CIdentifier): CPorts {
  const named = (ports: readonly Port[], role: "input" | "output"): readonly CPort[] => {
    // Macros are the names in capitals.
    const names = new Names([], (name) => name.toUpperCase());
    return ports.map(({ name, dims, buffer, elementType }) => {
      const parameter = (ports.length === 1 ? role : `${role}_${names.take(name)}`) as CIdentifier;
      const macro = `${prefix}_${parameter.toUpperCase()}` as CIdentifier;
      const shape = dims.length === 0 ? [1] : dims;
      return { buffer, elementType, title: cComment(name), parameter, macro, shape };
    });
  };
  return { inputs: named(program.inputs, "input"), outputs: named(program.outputs, "output") };
}
