import { escapeHtml, type Html } from "../text/destinations.js";

/** Numbers as a page says them. A thin no-break space stands before units, so that no line ends there. */
const SPACE = "\u202f";
const MINUS = "\u2212";

/** 91.73 %. @param share 0 to 1 */
export function percent(share: number, digits = 1): string {
  return `${signedText(100 * share, digits)}${SPACE}%`;
}

/** +0.12, -2.14, 0.00: with a true minus, and no sign before zero. */
export function signed(value: number, digits = 2): string {
  const text = signedText(value, digits);
  return value > 0 && Number(value.toFixed(digits)) !== 0 ? `+${text}` : text;
}

function signedText(value: number, digits: number): string {
  const text = value.toFixed(digits);
  if (Number(text) === 0) return (0).toFixed(digits);
  return text.replace("-", MINUS);
}

const units: readonly (readonly [size: number, unit: string])[] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** 40551040 as "40.6 M". */
export function compact(value: number): string {
  const unit = units.find(([size]) => Math.abs(value) >= size);
  return unit === undefined
    ? `${Number(value.toPrecision(3))}`.replace("-", MINUS)
    : `${threeDigits(value / unit[0])}${SPACE}${unit[1]}`;
}

/** 443133 as "443 kB". */
export function bytes(value: number): string {
  return value < 1000 ? `${value}${SPACE}B` : `${compact(value)}B`;
}

/** 1.22 ms, 834 ms. */
export function milliseconds(value: number): string {
  return `${threeDigits(value)}${SPACE}ms`;
}

/** 83.1 us, of milliseconds. */
export function microseconds(ms: number): string {
  return `${threeDigits(1000 * ms)}${SPACE}\u00b5s`;
}

/** All of its digits, in groups: for figures that are compared with files. */
export function exact(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 9 });
}

/** How many times less: "2.5x", or "1.0x" of what is the same. */
export function times(before: number, after: number): string {
  return `${threeDigits(before / after, 2)}\u00d7`;
}

/** "1 layer", "20 layers". */
export function counted(count: number, one: string, more = `${one}s`): string {
  return `${exact(count)} ${count === 1 ? one : more}`;
}

function threeDigits(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "?";
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  return value.toFixed(size >= 10 ? Math.min(1, digits - 1) : digits - 1);
}

/** A number of an attribute or a style, as coordinates are: short, never in exponents. */
export function number(value: number, digits = 2): Html {
  return escapeHtml(`${Number(value.toFixed(digits))}`);
}
