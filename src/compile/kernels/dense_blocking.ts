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

type DenseTarget = Pick<Target, "width" | "hasRoomyMachines">;

interface RatedBlocking extends DenseBlocking {
  readonly cost: number;
}

/** One for each number of outputs, with what it costs in relation to the others. */
function blockingsOf(
  conv: BlockedConvolution,
  { width, hasRoomyMachines }: DenseTarget,
): readonly RatedBlocking[] {
  const usual = blockingsWith(usualMachine, conv, width);
  if (hasRoomyMachines === undefined) return usual;
  const roomy = blockingsWith(roomyMachine, conv, width);
  const [leastUsual, leastRoomy] = [leastOf(usual), leastOf(roomy)];
  return usual.map(({ outputs, shape, cost }, index) => {
    const { shape: roomyShape, cost: roomyCost } = at(roomy, index);
    return { outputs, shape, roomyShape, cost: cost / leastUsual + roomyCost / leastRoomy };
  });
}

const leastOf = (blockings: readonly RatedBlocking[]): number =>
  blockings.reduce((least, { cost }) => Math.min(least, cost), Number.POSITIVE_INFINITY);

/** What sums are made with. */
interface Machine {
  /** The most vectors of positions for so many outputs. */
  mostVectors(outputs: number): number;
  /** What one step of all sums of a block costs. */
  step(vectors: number, outputs: number): number;
}

/** Multiplications and additions are counted apart. */
const usualMachine: Machine = {
  mostVectors: (outputs) => Math.floor((REGISTERS - outputs) / (outputs + 1)),
  step: (vectors, outputs) => vectors + outputs + 2 * vectors * outputs,
};

/** Of 32 registers all that hold neither sums nor positions but one, for weights one after the other, and one to spare. */
const ROOMY_REGISTERS = 30;

/** Two multiply-adds begin at once and take four steps: fewer sums than that wait for themselves. */
const FEWEST_SUMS = 8;

const roomyMachine: Machine = {
  mostVectors: (outputs) => Math.floor(ROOMY_REGISTERS / (outputs + 1)),
  step: (vectors, outputs) => (vectors + outputs) / 4 + Math.max(FEWEST_SUMS, vectors * outputs),
};

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
