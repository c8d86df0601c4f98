import { createHash } from "node:crypto";
import { escapeHtml, type Html, html } from "../text/destinations.js";
import { CLIENT } from "./client.js";
import { STYLE } from "./style.js";

/** A part of a report with a heading, that the contents lead to. */
export interface ReportSection {
  /** Of ASCII letters: the anchor. */
  readonly id: string;
  readonly title: string;
  /** In the contents, where the title is too long for them. */
  readonly short?: string;
  readonly body: Html | readonly Html[];
  /** The title is for those who hear the page only. */
  readonly isTitleHidden?: boolean;
}

export interface ReportPage {
  /** Plain text. */
  readonly title: string;
  /** What stands above the title. */
  readonly eyebrow: readonly Html[];
  /** Between title and contents. */
  readonly lead?: readonly Html[];
  readonly sections: readonly ReportSection[];
}

/** A page that is served while a run goes on. */
export interface LivePage {
  /** Changes whenever the page does. */
  readonly version: string;
}

const scriptHash = createHash("sha256").update(CLIENT).digest("base64");

/**
 * What a report may do, whatever a name in it holds: only its own script runs, pictures are inside the page, and nothing
 * is loaded; a page that is served asks its own server for news.
 */
export function contentPolicy(isLive: boolean): string {
  const connect = isLive ? "; connect-src 'self'" : "";
  return `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${scriptHash}'; base-uri 'none'; form-action 'none'${connect}`;
}

/** A whole HTML document in one file. @param live undefined for a file */
export function reportPage({ title, eyebrow, lead = [], sections }: ReportPage, live?: LivePage): Html {
  const attributes =
    live === undefined ? html`` : html` data-live data-version="${escapeHtml(live.version)}"`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(contentPolicy(live !== undefined))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escapeHtml(title)} \u2013 Penni</title>
<style>${STYLE}</style>
</head>
<body${attributes}>
<a class="skip" href="#content">To the content</a>
<header class="top wrap" data-part="top">
<p class="eyebrow">${eyebrow}</p>
<h1>${escapeHtml(title)}</h1>
${lead}
</header>
<nav class="contents" aria-label="Contents" data-part="contents"><ul class="wrap">
${sections.map(({ id, title: heading, short = heading }) => html`<li><a href="#${escapeHtml(id)}">${escapeHtml(short)}</a></li>`)}
</ul></nav>
<main class="wrap" id="content">
${sections.map(sectionOf)}
</main>
<footer><div class="wrap">Written by Penni. One file: nothing in it is loaded from elsewhere, and nothing leaves it. <span id="connection" role="status"></span></div></footer>
<script>${CLIENT as Html}</script>
</body>
</html>
`;
}

function sectionOf({ id, title, body, isTitleHidden = false }: ReportSection): Html {
  const anchor = escapeHtml(id);
  return html`<section id="${anchor}" data-part="${anchor}" aria-labelledby="${anchor}-title">
<h2 id="${anchor}-title"${isTitleHidden ? html` class="hidden"` : html``}>${escapeHtml(title)}</h2>
${[body].flat()}
</section>`;
}
