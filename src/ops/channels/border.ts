import type { StaticWindow } from "../core/window.js";

/** For each position of one axis the taps of the window there that lie inside the map. */
function tapsInside(window: StaticWindow, size: number, axis: number): readonly (readonly number[])[] {
  const { kernel, strides, dilations, pads, output } = window;
  const taps = Array.from({ length: kernel[axis] ?? 1 }, (_, tap) => tap);
  return Array.from({ length: output[axis] ?? 1 }, (_, position) => {
    const first = position * (strides[axis] ?? 1) - (pads[axis] ?? 0);
    return taps.filter((tap) => {
      const at = first + tap * (dilations[axis] ?? 1);
      return at >= 0 && at < size;
    });
  });
}

/**
 * For each output position of a zero-padded convolution, row-major, the (flat) taps that lie inside the map: what a
 * constant channel adds there is its constant times the sum of these taps.
 */
export function innerTaps(
  window: StaticWindow,
  inputSpatial: readonly number[],
): readonly (readonly number[])[] {
  return inputSpatial.reduce<readonly (readonly number[])[]>(
    (positions, size, axis) => {
      const extent = window.kernel[axis] ?? 1;
      return positions.flatMap((before) =>
        tapsInside(window, size, axis).map((taps) =>
          before.flatMap((tap) => taps.map((next) => tap * extent + next)),
        ),
      );
    },
    [[0]],
  );
}
