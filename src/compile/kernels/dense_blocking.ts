import { at, present } from "../../graph/at.js";
import type { Target } from "../target.js";
import { type BlockShape, blockShape, blockSizes, type PixelGrid } from "./pixel_blocks.js";
import { REGISTERS } from "./taps.js";

/** How many output channels and vectors of positions are computed at once. */
export interface DenseBlocking {
  readonly outputs: number;
  readonly shape: BlockShape;
  /** With twice as many registers; the weights are packed by outputs, so these are the same. */
  readonly roomyShape?: BlockShape;
}

/** What of a convolution its blocks depend on. */
interface BlockedConvolution {
  readonly outputs: number;
  readonly grid: PixelGrid;
}

const LARGEST_OUTPUT_BLOCK = 8;

/** Weights that are packed already are taken as they are if that costs at most so much more than the best blocking. */
const MOST_DETOUR = 1.25;

/**
 * The blocking with the fewest loads and multiply-adds in all; of that for two kinds of machines, the one that is nearest
 * to the best of each.
 * @param packed blocks of outputs for which the same weights are packed already: each other would be a further copy
 */
export function denseBlocking(
  conv: BlockedConvolution,
  target: DenseTarget,
  packed: ReadonlySet<number> = new Set(),
): DenseBlocking {
  const blockings = blockingsOf(conv, target);
  const least = leastOf(blockings);
  const inReach = blockings.filter(
    ({ outputs: block, cost }) => packed.has(block) && cost <= MOST_DETOUR * least,
  );
  const [best] = (inReach.length > 0 ? inReach : blockings).toSorted((one, other) => one.cost - other.cost);
  const { cost: _, ...blocking } = present(best, "a blocking of a convolution");
  return blocking;
}

/** A second body is worth its code where it takes at most so much of the first one's time. */
const LEAST_GAIN = 0.94;

type DenseTarget = Pick<Target, "width" | "isNative">;

interface RatedBlocking extends DenseBlocking {
  readonly cost: number;
}

/** One for each number of outputs, with what it costs in relation to the others. */
function blockingsOf(conv: BlockedConvolution, { width, isNative }: DenseTarget): readonly RatedBlocking[] {
  if (isNative === undefined) return blockingsWith(webMachine, conv, width);
  const [usual, roomy] = [blockingsWith(usualMachine, conv, width), blockingsWith(roomyMachine, conv, width)];
  const [leastUsual, leastRoomy] = [leastOf(usual), leastOf(roomy)];
  return usual.map(({ outputs, shape, cost }, index) => {
    const { shape: larger, cost: roomyCost } = at(roomy, index);
    const relative = cost / leastUsual + roomyCost / leastRoomy;
    return { outputs, shape, roomyShape: roomyCost < LEAST_GAIN * cost ? larger : shape, cost: relative };
  });
}

const leastOf = (blockings: readonly RatedBlocking[]): number =>
  blockings.reduce((least, { cost }) => Math.min(least, cost), Number.POSITIVE_INFINITY);

/** What sums are made with. */
interface Machine {
  /** The most vectors of positions for so many outputs; not less than one is taken. */
  mostVectors(outputs: number): number;
  /** What one step of all sums of a block costs. */
  step(vectors: number, outputs: number): number;
}

/** Multiplications and additions are counted apart, and all factors of a step are there at once. */
const webMachine: Machine = {
  mostVectors: (outputs) => Math.floor((REGISTERS - outputs) / (outputs + 1)),
  step: (vectors, outputs) => vectors + outputs + 2 * vectors * outputs,
};

/** Two multiply-adds begin at once and take four turns, or more where they wait for loads: fewer sums wait for themselves. */
const FEWEST_SUMS = 10;

/** A vector anywhere in memory lies in two lines of a cache as often as not. */
const LOADS_OF_VECTOR = 1.5;

/**
 * In multiply-adds, beside which two loads go on. What is loaded comes from the second cache more often than not, which
 * costs as much again: the figures are fitted to the times of 17 shapes in 26 blockings, by GCC and Clang.
 */
function fusedStep(vectors: number, outputs: number): number {
  const loads = LOADS_OF_VECTOR * vectors + outputs;
  return Math.max(FEWEST_SUMS, vectors * outputs, loads) + vectors + outputs / 4;
}

/** Registers of 8 lanes beside the one for weights, which come one after the other. With one more sum GCC spills: half as fast. */
const nativeMachine = (registers: number): Machine => ({
  mostVectors: (outputs) => Math.floor(registers / (outputs + 1)),
  step: fusedStep,
});
const usualMachine = nativeMachine(15);
const roomyMachine = nativeMachine(30);

function blockingsWith(
  machine: Machine,
  { outputs, grid }: BlockedConvolution,
  width: number,
): readonly RatedBlocking[] {
  return Array.from({ length: Math.min(LARGEST_OUTPUT_BLOCK, outputs) }, (_, index) => {
    const block = index + 1;
    const shape = blockShape(grid, width, Math.max(1, machine.mostVectors(block)));
    const sizes = blockSizes(grid, width, shape);
    const one = (channels: number): number =>
      sizes.reduce((sum, { size, count }) => sum + count * machine.step(size, channels), 0);
    const rest = outputs % block;
    const cost = Math.floor(outputs / block) * one(block) + (rest === 0 ? 0 : one(rest));
    return { outputs: block, shape, cost };
  });
}
