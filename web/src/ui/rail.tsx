import type { NetworkRow } from "../../../src/report/data/network.js";

/** Wider drawings are cut: what is on lanes beyond shares the last one. */
const MOST_LANES = 10;
const LANE_WIDTH = 16;
const MARGIN = 3;
/** Radii of the largest and the smallest layer, in pixels. */
const LARGEST = 8;
const SMALLEST = 3.5;

export const railWidth = (lanes: number): number => LANE_WIDTH * Math.min(MOST_LANES, lanes) + 2 * MARGIN;

interface RailProps {
  readonly row: NetworkRow;
  readonly lanes: number;
  /** The layer's share of the largest layer's multiply-accumulates. */
  readonly size: number;
  /** Share of them that is gone. */
  readonly removed: number;
}

/** One row of the network's picture: values that pass, what the node reads, the node. It meets those of the next rows. */
export function Rail({ row: { lane, from, passing, isRead, kind }, lanes, size, removed }: RailProps) {
  const center = (at: number): number =>
    LANE_WIDTH * (Math.min(at, Math.min(MOST_LANES, lanes) - 1) + 0.5) + MARGIN;
  const own = center(lane);
  const lines = [
    ...passing.filter((other) => other !== lane).map((other) => `M${center(other)} 0V40`),
    ...from.map((other) =>
      other === lane ? `M${own} 0V20` : `M${center(other)} 0C${center(other)} 14 ${own} 6 ${own} 20`,
    ),
    ...(isRead ? [`M${own} 20V40`] : []),
  ];
  const radius = kind === "layer" ? SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(size) : SMALLEST;
  const node = { left: `${own}px`, width: `${2 * radius}px`, height: `${2 * radius}px` };
  return (
    <div class="rail" style={{ width: `${railWidth(lanes)}px` }}>
      <svg viewBox={`0 0 ${railWidth(lanes)} 40`} preserveAspectRatio="none" aria-hidden="true">
        <path d={lines.join("")} />
      </svg>
      <i class={kind} style={{ ...node, "--removed": `${Math.round(100 * removed)}%` }} />
    </div>
  );
}
