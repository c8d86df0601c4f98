import { percent } from "../../../src/report/format.js";
import type { Seen } from "../worker/runtime_calls.js";

interface AnswersProps {
  readonly original: Seen;
  readonly compiled: Seen;
}

/** Whether there is something to say of what both see. */
export const isAnswer = ({ classes, boxes }: Seen): boolean => classes !== undefined || boxes !== undefined;

/** What both see, in words. */
export function Answers({ original, compiled: changed }: AnswersProps) {
  const [first, second] = [textOf(original), textOf(changed)];
  const isSame = first.gist === second.gist;
  return (
    <dl class={isSame ? "answers" : "answers differs"}>
      <dt class={original.boxes === undefined ? "" : "dashed"}>Original</dt>
      <dd>{first.text}</dd>
      <dt class={changed.boxes === undefined ? "" : "solid"}>Changed</dt>
      <dd>{second.text}</dd>
    </dl>
  );
}

/** What is said, and what of it has to be the same. */
function textOf({ classes, boxes }: Seen): { readonly text: string; readonly gist: string } {
  const [box] = boxes ? boxes : [];
  const [score] = classes ? classes : [];
  const best = box === undefined ? score : { name: box.name, probability: box.score };
  if (best === undefined) return { text: boxes === undefined ? "\u2013" : "nothing found", gist: "" };
  const text = `${best.name} ${percent(best.probability, 0)}`;
  if (boxes === undefined) return { text, gist: best.name };
  const names = boxes.map(({ name }) => name).sort();
  return { text: boxes.length === 1 ? text : `${text} and ${boxes.length - 1} more`, gist: names.join("\n") };
}

interface BoxesProps extends AnswersProps {
  /** Of the picture that the boxes are in. */
  readonly width: number;
  readonly height: number;
}

/** The boxes of both over a picture. */
export function Boxes({ original, compiled: changed, width, height }: BoxesProps) {
  return (
    <svg
      class="boxes"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="xMidYMid meet"
      aria-hidden="true"
    >
      {[
        { kind: "dashed", boxes: original.boxes },
        { kind: "solid", boxes: changed.boxes },
      ].flatMap(({ kind, boxes = [] }) =>
        boxes.map(({ left, top, width: across, height: down }, index) => (
          <rect key={`${kind}${index}`} class={kind} x={left} y={top} width={across} height={down} />
        )),
      )}
    </svg>
  );
}
