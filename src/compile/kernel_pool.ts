import { orDefault, present } from "../graph/at.js";
import { bodiesOf, type Kernel } from "./loops.js";

/** The different kernels among some, each with a name of its own. */
export interface KernelPool {
  readonly kernels: readonly Kernel[];
  indexOf(kernel: Kernel): number;
}

/** Kernels with the same code are one, so that layers of the same shape share it. */
export function uniqueKernels(all: readonly Kernel[]): KernelPool {
  const kernels: Kernel[] = [];
  const indexByCode = new Map<string, number>();
  const indices = new Map<Kernel, number>();
  const uses = new Map<string, number>();
  for (const kernel of new Set(all)) {
    const code = JSON.stringify([kernel.parameters, ...bodiesOf(kernel)], exactNumbers);
    let index = indexByCode.get(code);
    if (index === undefined) {
      index = kernels.length;
      indexByCode.set(code, index);
      const count = orDefault(uses.get(kernel.name), 0) + 1;
      uses.set(kernel.name, count);
      kernels.push(count === 1 ? kernel : { ...kernel, name: `${kernel.name}_${count}` });
    }
    indices.set(kernel, index);
  }
  return {
    kernels,
    indexOf(kernel) {
      return present(indices.get(kernel), `a pool's kernel ${kernel.name}`);
    },
  };
}

/** JSON has neither infinities nor NaN nor a negative zero. */
function exactNumbers(_: string, value: unknown): unknown {
  if (typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return Object.is(value, -0) ? "-0" : `${value}`;
}
