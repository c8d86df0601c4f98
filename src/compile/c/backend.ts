import { type Backend, type LinkedExecution, weightPlaces } from "../backend.js";
import { cFiles } from "./files.js";
import { cTarget, preparingCTarget } from "./target.js";

/** C99, for any machine. */
export const backend: Backend<LinkedExecution> = {
  target: cTarget,
  preparingTarget: preparingCTarget,
  weightPlaces,
  exampleParts: [],
  emit: (program, { name, weights = "inside", example }) =>
    cFiles(program, { name, weights, example: example !== undefined }),
  execution: {
    kind: "linked",
    build: (name) => ({
      options: ["-O3", "-march=native"],
      sources: [`${name}.c`],
      libraries: ["-lm"],
    }),
  },
};
