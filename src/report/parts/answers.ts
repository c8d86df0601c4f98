import type { Answers } from "../../run/answers.js";
import { escapeHtml, type Html, html } from "../../text/destinations.js";
import type { RunReport } from "../data/run.js";
import { counted, exact } from "../format.js";
import type { ReportSection } from "../shell.js";

/** The test images whose answer changed, as small pictures. */
export function answersSection({ answers }: RunReport): readonly ReportSection[] {
  if (answers === undefined) return [];
  const { counts, examples, images } = answers;
  const { changed: unlabelled } = counts;
  const changed = unlabelled === undefined ? counts.lost + counts.gained + counts.other : unlabelled;
  const text =
    changed === 0
      ? `Both networks give the same answer for each of the ${counted(images, "test image")}.`
      : unlabelled !== undefined
        ? `${exact(changed)} of ${counted(images, "test image")}; which answer is right nobody has said, as there are no labels.`
        : `${exact(changed)} of ${counted(images, "test image")}: ${exact(counts.lost)} were right and are wrong now, ${exact(counts.gained)} were wrong and are right now, ${exact(counts.other)} were wrong and are wrong in another way.`;
  const shown =
    examples.length === 0
      ? []
      : [
          html`<ul class="answers">\n${order.flatMap((outcome) => examples.filter((one) => one.outcome === outcome)).map(answer)}\n</ul>`,
        ];
  return [
    {
      id: "answers",
      title: "Answers that changed",
      short: "Answers",
      body: [html`<p class="muted">${escapeHtml(text)}</p>`, ...shown],
    },
  ];
}

const order = ["lost", "gained", "other", "changed"] as const;

const spoken = {
  lost: "now wrong",
  gained: "now right",
  other: "wrong both times",
  changed: "another answer",
} as const;

function answer({ outcome, label, before, after, png, index }: Answers["examples"][number]): Html {
  const [title, alt] =
    label === undefined
      ? [html``, `Test image ${index}`]
      : [html`<b>${escapeHtml(label)}</b><br>`, `Test image ${index}: ${label}`];
  return html`<li class="${escapeHtml(outcome)}"><img src="data:image/png;base64,${escapeHtml(png)}" width="96" height="96" alt="${escapeHtml(alt)}"><div>${title}<span class="muted">${escapeHtml(before)} \u2192 </span><b class="after">${escapeHtml(after)}</b><br><span class="muted">${escapeHtml(spoken[outcome])}</span></div></li>`;
}
