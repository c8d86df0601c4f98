import { bytes, compact, milliseconds, percent, times } from "../../../src/report/format.js";
import type { Agreement } from "../model/agreement.js";
import { agreement, fileBytes, network, source, variant, varying } from "../state.js";
import { errorNote, errorText } from "./error_text.js";
import { WorkNote } from "./work_note.js";

interface Figure {
  readonly name: string;
  readonly before: number;
  readonly after: number | undefined;
  readonly show: (value: number) => string;
  readonly note: string;
}

/** What the network costs, before and after, and what that did to its answers. */
export function Figures() {
  const summary = network.value;
  if (summary === undefined) return null;
  const { figures: before } = summary;
  const after = variant.value?.figures;
  const figures: readonly Figure[] = [
    {
      name: "File",
      before: summary.fileBytes,
      after: fileBytes.value,
      show: bytes,
      note: "the .onnx file, zeros left out",
    },
    {
      name: "Multiply-accumulates",
      before: before.paperMacs,
      after: after?.paperMacs,
      show: compact,
      note: "of a program that skips zeros",
    },
    {
      name: "Run by ONNX Runtime",
      before: before.executedMacs,
      after: after?.executedMacs,
      show: compact,
      note: "multiply-accumulates, zeros included",
    },
    {
      name: "Compiled, predicted",
      before: before.predictedMs,
      after: after?.predictedMs,
      show: milliseconds,
      note: "by the compiler's cost model; race it below",
    },
  ];
  return (
    <section aria-labelledby="figures" class="figures-section">
      <h2 id="figures">What it costs</h2>
      <div class="figures" aria-busy={varying.value.progress !== undefined && variant.value === undefined}>
        {figures.map((figure) => (
          <Card key={figure.name} {...figure} />
        ))}
        <ErrorCard />
      </div>
      {varying.value.failure !== undefined && <WorkNote work={varying.value} />}
    </section>
  );
}

function Card({ name, before, after, show, note }: Figure) {
  return (
    <article class="figure">
      <h3>{name}</h3>
      <p class="value">
        {after === undefined ? <span class="pending">{"\u2026"}</span> : show(after)}
        {after !== undefined && <small class="factor">{factor(before, after)}</small>}
      </p>
      <p class="note">{`was ${show(before)}; ${note}`}</p>
    </article>
  );
}

/** A change of less than this has no factor. */
const CHANGE = 0.05;

function factor(before: number, after: number): string {
  if (before === after) return "the same";
  if (Math.abs(after / before - 1) < CHANGE) return "about the same";
  return after < before ? `${times(before, after)} less` : `${times(after, before)} more`;
}

function ErrorCard() {
  const found = agreement.value;
  return (
    <article class="figure">
      <h3>Error of the output</h3>
      <p class="value">
        {found === undefined ? (
          <span class="pending">{"\u2026"}</span>
        ) : found.error === undefined ? (
          "not finite"
        ) : (
          errorText(found.error)
        )}
      </p>
      <p class="note">
        {found === undefined
          ? "of its deviation from picture to picture"
          : `${agreementNote(found)}${errorNote(found.error)}`}
      </p>
    </article>
  );
}

function agreementNote({ pictures: count, sameClass }: Agreement): string {
  const isGenerated = source.value.kind === "generated";
  const on = isGenerated ? `on ${count} generated inputs` : `on your ${count} pictures`;
  return sameClass === undefined ? on : `${percent(sameClass, 0)} the same best class, ${on}`;
}
