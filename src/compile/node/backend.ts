import { at } from "../../graph/at.js";
import type { CIdentifier } from "../../text/destinations.js";
import type { AddonBuild, AddonExecution, Backend, Machine } from "../backend.js";
import { headerFile } from "../c/header.js";
import { cUnit, sourceFile } from "../c/source.js";
import { preparingCTarget } from "../c/target.js";
import type { Program } from "../program.js";
import { addonData, addonSource, nameInObject, objectFunctions, setMacro } from "./addon.js";
import { addonExample } from "./example.js";
import { instructionSetsOf } from "./instruction_sets.js";

/** The code of the C target in an addon for Node, once for each instruction set, with one copy of the weights. */
export const backend: Backend<AddonExecution> = {
  // Weights are read as they lie in the file, but memory for more is there.
  target: preparingCTarget,
  weightPlaces: [],
  exampleParts: ["runtime/index.js"],
  emit: (given, { name, example }) => {
    const program = expanded(given);
    const unit = cUnit(program, name, "binary");
    const data = addonData(program, unit);
    const files = [
      { name: `${name}.h`, content: headerFile(unit) },
      { name: `${name}.c`, content: sourceFile(unit) },
      { name: `${name}_addon.c`, content: addonSource(unit, data) },
      { name: `${name}_data.bin`, content: data.bytes },
    ];
    return example === undefined ? files : [...files, ...addonExample(name, at(example, 0))];
  },
  execution: { kind: "addon", build },
};

/** Weights as they are read: a server has room, and all of its models map one copy of them. */
function expanded({ weightsType: _, ...program }: Program): Program {
  return program;
}

const SHARED = ["-O3", "-fPIC", "-fvisibility=hidden", "-pthread", "-c"];

function build(name: CIdentifier, { processor, isApple }: Machine): AddonBuild {
  const sets = instructionSetsOf(processor);
  const addon = `${name}_addon`;
  const kernels = sets.map(({ name: set, options }) => {
    const renamed = objectFunctions.map((what) => `-D${name}_${what}=${nameInObject(name, what, set)}`);
    const files = [`${name}.c`, "-o", `${name}_${set}.o`];
    return { options: ["-std=c99", ...SHARED, ...options, ...renamed, ...files], needsHeaders: false };
  });
  const defined = sets.map(({ name: set }) => `-D${setMacro(set)}`);
  const file = `${name}.node`;
  const kind = isApple ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared", "-s"];
  return {
    file,
    sources: [`${name}.h`, `${name}.c`, `${addon}.c`, `${name}_data.bin`],
    instructionSets: sets.map((set) => set.name),
    objects: [
      ...kernels,
      {
        options: ["-std=c99", ...SHARED, ...defined, `${addon}.c`, "-o", `${addon}.o`],
        needsHeaders: true,
      },
    ],
    link: [
      ...kind,
      ...sets.map(({ name: set }) => `${name}_${set}.o`),
      `${addon}.o`,
      ...["-pthread", "-lm", "-o", file],
    ],
  };
}
