/**
 * Draws which coefficients a compressed layer has kept, a pixel for each (rows: outputs; columns: inputs by basis kernels), blue
 * where positive, orange where negative; for docs/method.md:
 *   node dist/bench/sparsity-picture.js MODEL LAYER docs/images/sparsity.png
 */
import sharp from "sharp";
import { readModel } from "../src/files/model_files.js";
import { PenniError } from "../src/graph/errors.js";
import { importForCompression } from "../src/method/import_for_compression.js";
import { layersOnBases, sparsityPixels } from "../src/report/data/kernel_view.js";

const [file, name, out] = process.argv.slice(2);
if (file === undefined || name === undefined || out === undefined)
  throw new Error("usage: sparsity-picture MODEL LAYER OUT.png");

const layers = layersOnBases(importForCompression(await readModel(file)));
const layer = layers.find(({ view }) => view.name === name);
if (layer === undefined)
  throw new PenniError("bad-option", "no such layer shares basis kernels", {
    file,
    node: name,
    expected: layers.map(({ view }) => view.name).join(", "),
  });

const { width, height, rgba, block } = sparsityPixels(layer);
await sharp(rgba, { raw: { width, height, channels: 4 } })
  // Whole pixels, so that each coefficient stays sharp.
  .resize({ width: 2 * width, kernel: "nearest" })
  .png({ compressionLevel: 9, palette: true })
  .toFile(out);

const { K, C, d, nonZeros } = layer.view;
const share = ((100 * nonZeros) / (K * C * d)).toFixed(1);
process.stdout.write(
  `${K} outputs, ${C} inputs, d = ${d}: ${nonZeros} of ${K * C * d} coefficients (${share} %); ${block.width} x ${block.height} a pixel\n`,
);
