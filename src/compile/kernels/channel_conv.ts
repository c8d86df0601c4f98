import { broadcast, constant, KernelBuilder, load, multiplyAdd, plus, times } from "../kernel_builder.js";
import type { Index, Kernel, Pointer } from "../loops.js";
import { destination, type Epilogue, finish, storeCells } from "./epilogue.js";
import { copyRows, fillRange, type PaddedPlanes, paddedLayout } from "./pad.js";
import { blockShape, overPixelBlocks, type PixelGrid } from "./pixel_blocks.js";
import { overTaps, REGISTERS, tapParameter } from "./taps.js";

/** A convolution that makes `maps` planes of each input plane: of a factored layer's basis, or depthwise. */
export interface ChannelConvolution {
  readonly channels: number;
  readonly maps: number;
  readonly taps: readonly number[];
  readonly inputPlane: number;
  readonly outputPlane: number;
  readonly grid: PixelGrid;
  /** Whether all channels have the same kernels, as in a basis: weights [taps, maps], else [channels, taps, maps]. */
  readonly shared: boolean;
  readonly bias: boolean;
  /** Of each input plane, where it has no borders of its own: it is copied into a padded one before it is used. */
  readonly padding?: PaddedPlanes;
  readonly epilogue: Epilogue;
}

/** Maps of a plane that are computed together. */
const MOST_MAPS = 9;

/** Parameters: input planes, (a padded plane,) weights, (taps,) (bias [channels * maps],) the epilogue's sides, output planes. */
export function channelConvKernel(conv: ChannelConvolution, width: number): Kernel {
  const { channels, maps, taps, outputPlane, grid, shared, epilogue } = conv;
  const k = new KernelBuilder(
    `${shared ? "basis" : "depthwise"}_conv_${channels}_times_${maps}${epilogue.name}`,
    `${maps} convolutions of each of ${channels} planes to ${grid.rows} x ${grid.columns}, ${taps.length} taps.`,
  );
  const input = k.input("input");
  const source = paddedSource(k, conv, input, width);
  const weights = k.input("weights");
  const tapTable = tapParameter(k, taps);
  const bias = conv.bias ? k.input("bias") : undefined;
  const ending = destination(k, epilogue);
  source.begin();
  k.loop("channel", 0, channels, 1, (channel) => {
    source.take(channel);
    const kernel = shared ? 0 : k.index("kernel", times(channel, taps.length * maps)).read;
    for (let first = 0; first < maps; first += MOST_MAPS) {
      const count = Math.min(MOST_MAPS, maps - first);
      const shape = blockShape(grid, width, Math.max(1, Math.floor((REGISTERS - count) / (count + 1))));
      overPixelBlocks(k, grid, width, shape, (from, to, cells) => {
        const plane = k.index("plane", plus(from, times(channel, source.distance))).read;
        const sums = Array.from({ length: count }, (_, map) => {
          const place = plus(times(channel, maps), first + map);
          const initial = bias === undefined ? constant(0) : broadcast(bias, place);
          return cells.map(() => k.value("sum", "vector", initial));
        });
        overTaps(k, taps, tapTable, 0, (tap, offset) => {
          const loaded = cells.map(
            (cell) => k.value("x", "vector", load(source.planes, plus(plane, cell.input, offset))).read,
          );
          const place = plus(kernel, times(tap, maps));
          sums.forEach((row, map) => {
            const weight = k.value("weight", "vector", broadcast(weights, plus(place, first + map))).read;
            row.forEach((sum, cell) => {
              const x = loaded[cell];
              if (x !== undefined) sum.set(multiplyAdd(x, weight, sum.read));
            });
          });
        });
        sums.forEach((row, map) => {
          const start = times(plus(times(channel, maps), first + map), outputPlane);
          storeCells(
            k,
            ending,
            plus(start, to),
            cells,
            row.map((sum) => sum.read),
          );
        });
      });
    }
    const planes = { count: maps, distance: outputPlane, grid };
    finish(k, ending, times(times(channel, maps), outputPlane), planes, width);
  });
  return k.build();
}

/** What the taps are read from. */
interface Source {
  readonly planes: Pointer;
  /** From one channel's plane to the next's. */
  readonly distance: number;
  /** Before all channels, and before each. */
  begin(): void;
  take(channel: Index): void;
}

/** The input itself, or one padded plane that stays in the nearest cache while every channel goes through it. */
function paddedSource(
  k: KernelBuilder,
  { inputPlane, padding }: ChannelConvolution,
  input: Pointer,
  width: number,
): Source {
  if (padding === undefined) {
    return { planes: input, distance: inputPlane, begin: () => {}, take: () => {} };
  }
  const padded = k.output("padded");
  const size = padding.height * padding.width;
  return {
    planes: padded,
    distance: 0,
    begin: () => fillRange(k, width, padded, 0, paddedLayout(padding).plane, 0),
    take: (channel) =>
      copyRows(k, padding, width, { input, from: times(channel, size), output: padded, to: 0 }, undefined),
  };
}
