/** A name that is to stand beside a point, all in pixels. */
export interface PointName {
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

/** Where a name stands: its beginning, or its end. */
export interface PlacedName extends PointName {
  readonly anchor: "start" | "end";
}

/** Of a character, and of a line, in the size of names. */
const CHARACTER = 6.2;
const LINE = 11;
/** From a point to its name. */
const AWAY = 7;
const ABOVE = 6;

interface Box {
  readonly left: number;
  readonly right: number;
  readonly bottom: number;
}

/**
 * Names beside their points, to the left where there is no room on the right. One that would cover another that comes
 * before it is left out: undefined. Points that lie on each other have one name between them.
 */
export function placeNames(names: readonly PointName[], width: number): readonly (PlacedName | undefined)[] {
  const taken: Box[] = [];
  return names.map(({ x, y, text }) => {
    const long = CHARACTER * text.length;
    const anchor = x + AWAY + long > width ? "end" : "start";
    const left = anchor === "start" ? x + AWAY : x - AWAY - long;
    const box = { left, right: left + long, bottom: y - ABOVE };
    if (left < 0 || taken.some((other) => isCovered(box, other))) return undefined;
    taken.push(box);
    return { x: anchor === "start" ? left : box.right, y: box.bottom, text, anchor };
  });
}

function isCovered(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && Math.abs(a.bottom - b.bottom) < LINE;
}
