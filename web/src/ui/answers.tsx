import { percent } from "../../../src/report/format.js";
import type { Seen } from "../worker/runtime_calls.js";

/** What both see. */
export function Answers({
  original,
  compiled: changed,
}: {
  readonly original: Seen;
  readonly compiled: Seen;
}) {
  const [first, second] = [original?.[0], changed?.[0]];
  const isSame = first?.name === second?.name;
  return (
    <dl class={isSame ? "answers" : "answers differs"}>
      <dt>Original</dt>
      <dd>{first === undefined ? "\u2013" : `${first.name} ${percent(first.probability, 0)}`}</dd>
      <dt>Changed</dt>
      <dd>{second === undefined ? "\u2013" : `${second.name} ${percent(second.probability, 0)}`}</dd>
    </dl>
  );
}
