import type { LayerKind } from "../method/layer_kinds.js";
import type { FamilyShare, Prediction, Verdict } from "../method/verdict.js";
import { terminalLine } from "../text/destinations.js";
import { type Column, formatTable } from "./table.js";
import { wrap } from "./terminal.js";

/** Shares of the multiply-accumulates that `penni inspect` looks at. */
export const inspectedFractions: readonly number[] = [0.75, 0.5, 0.25];

const MACS = "of the multiply-accumulates";
/** Families with a smaller share go without saying. */
const SAID = 0.02;

const whole = (share: number): string => `${Math.round(100 * share)} %`;

const shareOf = (families: readonly FamilyShare[]): number =>
  families.reduce((sum, { share }) => sum + share, 0);

/** "3x3 and 7x7 convolutions". */
function namesOf(families: readonly FamilyShare[]): string {
  const [first, ...others] = families.filter(({ share }, index) => index === 0 || share >= SAID);
  if (first === undefined) return "";
  const shared = " convolutions";
  const names = [first, ...others].map(({ family }) => terminalLine(family));
  const isShared = names.every((name) => name.endsWith(shared));
  const parts = isShared ? names.map((name) => name.slice(0, -shared.length)) : names;
  const list = parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : parts.join("");
  return isShared ? `${list}${shared}` : list;
}

/** Whether a network is one that Penni is for, in a sentence without its end. */
export function describeSuitability({ suits, families }: Pick<Verdict, "suits" | "families">): string {
  const of = (kind: LayerKind): string =>
    `${whole(shareOf(families[kind]))} ${MACS} are ${namesOf(families[kind])}`;
  const texts: Readonly<Record<Verdict["suits"], () => string>> = {
    kernels: () => `${of("kernels")}: suits`,
    both: () => `${of("kernels")}, which suits; ${of("weights")}, for which there are sparse weights`,
    weights: () =>
      families.kernels.length === 0
        ? `${of("weights")}, none have kernels to share: bases do not apply here, sparse weights do`
        : `${of("weights")}: bases do not apply there, sparse weights do, which save time once compiled`,
    nothing: () => "there is no layer that Penni can make cheaper",
  };
  return texts[suits]();
}

/** 1234567 as "1.2 MB". */
export function megabytes(bytes: number): string {
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(0)} kB`;
}

/** 1.049 as "1.0x". */
export const times = (speedUp: number): string => `${speedUp.toFixed(1)}x`;

const columns: readonly Column<Prediction>[] = [
  { title: "MACs", cell: ({ fraction }) => whole(fraction), align: "right", dropOrder: 0 },
  { title: "compiled", cell: ({ speedUp }) => times(speedUp), align: "right", dropOrder: 0 },
  { title: ".onnx file", cell: ({ bytes }) => megabytes(bytes), align: "right", dropOrder: 0 },
];

/** What `penni inspect` ends with, in lines of at most `width` characters. */
export function describeVerdict(verdict: Verdict, width: number): readonly string[] {
  const { predictions, bytes, least, time } = verdict;
  const headline = wrap(`Verdict: ${describeSuitability(verdict)}.`, width);
  if (verdict.suits === "nothing") return [headline];
  const missing = inspectedFractions.filter((fraction) => fraction < least).map(whole);
  const [most] = predictions.slice(-1);
  const remarks = [
    `Predicted for the weights as they are (the file has ${megabytes(bytes)} now): the speed of the compiled model by the ` +
      "compiler's cost model, which counts products alone; the accuracy that is left only images can tell.",
    ...(missing.length === 0
      ? []
      : [
          `${missing.join(" and ")} cannot be reached by removing coefficients: ${whole(least)} is the least.`,
        ]),
    ...(time.length === 0
      ? []
      : [
          `${most === undefined ? "Now" : `At ${whole(most.fraction)}`} the time is in ${describeTime(time)}.`,
        ]),
  ];
  const table = predictions.length === 0 ? [] : [formatTable(columns, predictions, width)];
  return [headline, ...table, wrap(remarks.join("\n"), width)];
}

function describeTime(time: readonly FamilyShare[]): string {
  const said = time.filter(({ share }, index) => index === 0 || share >= SAID);
  const rest = 1 - shareOf(said);
  const parts = said.map(({ family, share }) => `${terminalLine(family)} (${whole(share)})`);
  return [...parts, ...(rest >= 0.005 ? [`others (${whole(rest)})`] : [])].join(", ");
}

/** Figures of what one prediction promises, for a sentence. */
export function describePrediction({ fraction, speedUp, bytes }: Prediction, now: number): string {
  return (
    `with ${whole(fraction)} ${MACS} left expect about ${times(speedUp)} the speed when compiled (by the compiler's cost ` +
    `model), and about ${megabytes(bytes)} in place of ${megabytes(now)}, as far as weights alone can tell: pictures and ` +
    "training decide which layers give most"
  );
}
