import { at } from "../../graph/at.js";
import type { StaticWindow } from "../core/window.js";

/** For each position of one axis the taps of the window there that lie inside the map. */
function tapsInside(window: StaticWindow, size: number, axis: number): readonly (readonly number[])[] {
  const { kernel, strides, dilations, pads, output } = window;
  const taps = Array.from({ length: at(kernel, axis) }, (_, tap) => tap);
  const [stride, dilation, pad] = [at(strides, axis), at(dilations, axis), at(pads, axis)];
  return Array.from({ length: at(output, axis) }, (_, position) => {
    const first = position * stride - pad;
    return taps.filter((tap) => {
      const place = first + tap * dilation;
      return place >= 0 && place < size;
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
      const extent = at(window.kernel, axis);
      return positions.flatMap((before) =>
        tapsInside(window, size, axis).map((taps) =>
          before.flatMap((tap) => taps.map((next) => tap * extent + next)),
        ),
      );
    },
    [[0]],
  );
}
