import type { Port, Program } from "../program.js";
import { Names } from "./names.js";

/** An input or output of a program as C knows it. */
export interface CPort {
  readonly port: Port;
  /** Of NAME_run: "input", or "input_NAME" where there are several. */
  readonly parameter: string;
  /** What its macros begin with. */
  readonly macro: string;
  /** At least one axis. */
  readonly shape: readonly number[];
}

export interface CPorts {
  readonly inputs: readonly CPort[];
  readonly outputs: readonly CPort[];
}

/** Names for the inputs and outputs of a program. @param prefix of all macros */
export function namePorts(program: Program, prefix: string): CPorts {
  const named = (ports: readonly Port[], role: "input" | "output"): readonly CPort[] => {
    const names = new Names();
    return ports.map((port) => {
      const parameter = ports.length === 1 ? role : `${role}_${names.take(port.name)}`;
      const shape = port.dims.length === 0 ? [1] : port.dims;
      return { port, parameter, macro: `${prefix}_${parameter.toUpperCase()}`, shape };
    });
  };
  return { inputs: named(program.inputs, "input"), outputs: named(program.outputs, "output") };
}
