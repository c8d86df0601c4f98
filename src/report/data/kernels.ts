import type { Graph } from "../../graph/types.js";
import { type BasisView, layersOnBases, type SparsityPixels, sparsityPixels } from "./kernel_view.js";

/** A layer on its basis, as it can be drawn. */
export interface KernelView extends BasisView {
  readonly map: SparsityMap;
}

/** The coefficients [K, C*d] as a picture: a pixel is a coefficient, or of large layers a block of them. */
export interface SparsityMap extends Omit<SparsityPixels, "rgba"> {
  /** A PNG in base64, transparent where all are zero. */
  readonly png: string;
}

/** All layers of a network that share basis kernels, in its order. */
export async function kernelViews(graph: Graph): Promise<readonly KernelView[]> {
  const views: KernelView[] = [];
  for (const layer of layersOnBases(graph))
    views.push({ ...layer.view, map: await sparsityMap(sparsityPixels(layer)) });
  return views;
}

async function sparsityMap({ rgba, ...map }: SparsityPixels): Promise<SparsityMap> {
  const { default: sharp } = await import("sharp");
  const { width, height } = map;
  const png = await sharp(rgba, { raw: { width, height, channels: 4 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  return { ...map, png: png.toString("base64") };
}
