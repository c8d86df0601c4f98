/**
 * Draws what the method does with the kernels of one layer: some kernels, the basis that all of the layer's share, and the
 * same kernels made of it; for docs/method.md:
 *   node dist/bench/kernel-pictures.js MODEL LAYER docs/images/kernels.svg
 */
import { writeFile } from "node:fs/promises";
import { readModel } from "../src/files/model_files.js";
import { at, entryOf } from "../src/graph/at.js";
import { PenniError } from "../src/graph/errors.js";
import { float32Data } from "../src/graph/tensor.js";
import { mergedKernels } from "../src/layers/forms.js";
import { convolutions, type DecomposedLayer, denseLayer, findDecompositions } from "../src/layers/weights.js";
import { decompose } from "../src/method/decompose.js";
import { importForCompression } from "../src/method/import_for_compression.js";
import { escapeHtml } from "../src/text/destinations.js";

const SHOWN = 16;
const BASIS = 5;
const CELL = 10;
const GAP = 8;
const TITLE = 22;

type Kernel = readonly number[];

const [file, layerName, out] = process.argv.slice(2);
if (file === undefined || layerName === undefined || out === undefined)
  throw new Error("usage: kernel-pictures MODEL LAYER OUT.svg");

const graph = importForCompression(await readModel(file));
const conv = convolutions(graph).find(({ name }) => name === layerName);
const layer = conv === undefined ? "there is no such convolution" : denseLayer(graph, conv);
if (typeof layer === "string") throw new PenniError("bad-option", layer, { file, node: layerName });
const decomposed = decompose(graph, { basis: BASIS });
const found = findDecompositions(decomposed).find(({ conv: { name } }) => name === layerName);
if (found === undefined)
  throw new PenniError("bad-option", "this layer gets no basis", { file, node: layerName });

const taps = found.R * found.S;
const original = kernelsOf(float32Data(entryOf(graph.initializers, layer.weight)));
const rebuilt = kernelsOf(float32Data(mergedKernels(decomposed, found)));
const basis = kernelsOf(float32Data(entryOf(decomposed.initializers, found.basis)));
// Spread over the layer: those of one output look alike in no way that matters.
const chosen = Array.from({ length: SHOWN }, (_, index) => Math.floor((index * original.length) / SHOWN));
const pick = (kernels: readonly Kernel[]): readonly Kernel[] => chosen.map((index) => at(kernels, index));

const rows = [
  { title: `${SHOWN} of ${original.length} kernels`, kernels: pick(original) },
  { title: `the ${BASIS} of the basis`, kernels: basis },
  { title: `made of the ${BASIS}`, kernels: pick(rebuilt) },
];
await writeFile(out, `${picture(found)}\n`);
process.stdout.write(`${(100 * energyKept()).toFixed(1)} % of the energy of ${original.length} kernels\n`);

function kernelsOf(values: Float32Array): readonly Kernel[] {
  return Array.from({ length: values.length / taps }, (_, index) => [
    ...values.subarray(index * taps, (index + 1) * taps),
  ]);
}

function energyKept(): number {
  const energy = (kernels: readonly Kernel[]): number =>
    kernels.reduce((sum, kernel) => sum + kernel.reduce((own, value) => own + value * value, 0), 0);
  return energy(rebuilt) / energy(original);
}

function picture({ R, S, K, C }: DecomposedLayer): string {
  const [across, down] = [S * CELL + GAP, TITLE + R * CELL + 2 * GAP];
  const [width, height] = [SHOWN * across - GAP, rows.length * down - 2 * GAP];
  const body = rows.map(({ title, kernels }, row) => {
    const top = row * down;
    const name = `<text x="0" y="${top + TITLE - 7}">${escapeHtml(title)}</text>`;
    return [name, ...kernels.map((kernel, index) => cells(kernel, S, index * across, top + TITLE))].join(
      "\n",
    );
  });
  const text = `Kernels of a layer of ${K} x ${C} kernels, the basis that they share, and the kernels made of it`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${text}">`,
    "<style>",
    "text { font: 20px system-ui, sans-serif; fill: #24292f }",
    ".p { fill: #1f6feb } .n { fill: #d9730d } .k { fill: #f2f2f2 }",
    "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .k { fill: #30363d } }",
    "</style>",
    ...body,
    "</svg>",
  ].join("\n");
}

/** Positive taps blue, negative ones orange, each kernel by its own largest. */
function cells(kernel: Kernel, columns: number, left: number, top: number): string {
  const most = Math.max(...kernel.map(Math.abs));
  const rowsOfTaps = kernel.length / columns;
  const ground = `<rect class="k" x="${left}" y="${top}" width="${columns * CELL}" height="${rowsOfTaps * CELL}"/>`;
  const squares = kernel.map((value, tap) => {
    const [x, y] = [left + (tap % columns) * CELL, top + Math.floor(tap / columns) * CELL];
    const strength = (most === 0 ? 0 : Math.abs(value) / most).toFixed(2);
    return `<rect class="${value > 0 ? "p" : "n"}" x="${x}" y="${y}" width="${CELL}" height="${CELL}" opacity="${strength}"/>`;
  });
  return [ground, ...squares].join("");
}
