import path from "node:path";
import type { BuiltWith } from "../build/addon.js";
import type { CompiledLayer, ProgramSummary } from "../compile/summary.js";
import { describePictureFormat, type PictureFormat } from "../data/picture_format.js";
import { terminalLine } from "../text/destinations.js";
import { type Column, compactNumber, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

export interface CompiledFile {
  readonly name: string;
  readonly bytes: number;
  readonly gzippedBytes: number;
}

/** What `penni compile` did. */
export interface Compilation extends ProgramSummary {
  readonly directory: string;
  readonly files: readonly CompiledFile[];
  /** How the model takes pictures, if it does. */
  readonly pictures?: PictureFormat;
  /** Of what a C compiler had to build. */
  readonly builtWith?: BuiltWith;
}

const columns: readonly Column<CompiledLayer>[] = [
  { title: "layer", cell: (layer) => layer.name, dropOrder: 0 },
  { title: "operator", cell: (layer) => layer.op, dropOrder: 1 },
  { title: "kernels", cell: (layer) => layer.kernels.join(" "), dropOrder: 2 },
  { title: "MACs", cell: (layer) => compactNumber(layer.multiplyAccumulates), align: "right", dropOrder: 0 },
];

/** Where there is any. */
const preparation: Column<CompiledLayer> = {
  title: "when loaded",
  cell: (layer) => layer.preparation.join(" "),
  dropOrder: 3,
};

const grouped = (value: number): string => value.toLocaleString("en-US");

/** What `penni compile` prints, in lines of at most `width` characters. */
export function describeCompilation(compilation: Compilation, width: number): string {
  const {
    directory,
    files,
    layers,
    multiplyAccumulates,
    weightBytes,
    preparedBytes,
    arenaBytes,
    pictures,
    builtWith,
    weightsType,
  } = compilation;
  const computing = layers.filter((layer) => layer.multiplyAccumulates > 0);
  const isPrepared = computing.some((layer) => layer.preparation.length > 0);
  const shown = isPrepared ? columns.toSpliced(-1, 0, preparation) : columns;
  const table = computing.length === 0 ? [] : [formatTable(shown, computing, width)];
  const others = new Set(layers.filter((layer) => layer.multiplyAccumulates === 0).map(({ op }) => op));
  const prepared =
    preparedBytes === 0 ? "" : `${grouped(preparedBytes)} bytes that are made of them when they are loaded, `;
  const stored = weightsType === "float32" ? "" : ` (kept as ${weightsType} until they are loaded)`;
  const texts = [
    `Totals: ${grouped(multiplyAccumulates)} multiply-accumulates executed in one run, ` +
      `${grouped(weightBytes)} bytes of weights${stored}, ${prepared}${grouped(arenaBytes)} bytes for intermediate values (arena).`,
    ...(others.size === 0
      ? []
      : [`Without multiply-accumulates: ${[...others].map(terminalLine).join(", ")}.`]),
    ...(pictures === undefined ? [] : [`Pictures: ${describePictureFormat(pictures)}.`]),
    ...(builtWith === undefined ? [] : [describeBuild(builtWith)]),
    files
      .map(({ name, bytes, gzippedBytes }) => {
        return `${terminalLine(path.join(directory, name))}: ${grouped(bytes)} bytes, gzipped ${grouped(gzippedBytes)}`;
      })
      .join("\n"),
  ];
  return [...table, ...texts.map((text) => wrap(text, width))].join("\n\n");
}

function describeBuild({ compiler, processor, instructionSets }: BuiltWith): string {
  const sets = instructionSets.length === 1 ? "" : `, chosen when loaded from ${instructionSets.join(", ")}`;
  return `Code for ${terminalLine(processor)}${sets}; built by ${terminalLine(compiler)}.`;
}
