import assert from "node:assert/strict";
import { test } from "node:test";
import { heatMaps } from "../../src/report/heat_map.js";
import { shortenStart } from "../../src/report/html.js";
import { lineChart } from "../../src/report/line_chart.js";
import { page } from "../../src/report/page.js";
import { escapeHtml } from "../../src/text/destinations.js";

/** What a model may call its layers. */
const hostile = `</text></svg><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;\u0000`;

/** Tags of a document; what is not escaped would be among them. */
const tagNames = (html: string): ReadonlySet<string> =>
  new Set([...html.matchAll(/<\/?([a-zA-Z][a-zA-Z0-9]*)/g)].map(([, name]) => name?.toLowerCase() ?? ""));

const allowed = new Set(
  (
    "html head meta title style body h1 section h2 p figure figcaption svg g path rect text circle defs clippath use " +
    "polyline line div table caption thead tbody tr th td"
  ).split(" "),
);

const chart = lineChart({
  title: hostile,
  xLabel: hostile,
  yLabel: hostile,
  series: [
    {
      name: hostile,
      points: [
        [0, 1],
        [1, 2],
      ],
    },
    {
      name: hostile,
      points: [
        [0, NaN],
        [1, Number.POSITIVE_INFINITY],
        [2, 3],
      ],
    },
    { name: "", points: [] },
  ],
});

const maps = heatMaps({
  title: hostile,
  xLabel: hostile,
  columns: [hostile, "2"],
  rows: Array.from({ length: 60 }, (_, row) => ({ name: `${hostile}${row}`, values: [row / 60, undefined] })),
  format: (value) => `${value.toFixed(2)}<b>`,
  intensity: (value) => value,
});

test("names from models stay text, everywhere in a page", () => {
  const html = page({
    title: hostile,
    sections: [
      {
        title: hostile,
        paragraphs: [hostile],
        charts: [chart, ...maps],
        table: { caption: hostile, head: [hostile, "a"], rows: [[hostile, hostile]] },
      },
    ],
  });
  for (const name of tagNames(html)) assert(allowed.has(name), `<${name}> in the page`);
  assert.equal(html.includes("\u0000"), false);
  // Attributes of tags, without their values.
  assert.equal(/<[^<>]*\son[a-z]+=/.test(html.replaceAll(/"[^"]*"/g, '""')), false);
});

test("nothing of a page comes from elsewhere", () => {
  const html = page({ title: "t", sections: [{ title: "s", charts: [chart] }] });
  const addresses = [...html.matchAll(/https?:\/\/[^\s"<]+/g)].map(([address]) => address);
  assert.deepEqual([...new Set(addresses)].sort(), [
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/2000/svg",
  ]);
  assert.match(html, /default-src 'none'/);
  assert.equal(/url\((?!#)|@import|<link/.test(html), false);
});

test("series of the same name are all drawn, in colours of their own", () => {
  for (const colour of [1, 2]) assert.match(chart.svg, new RegExp(`stroke="var\\(--series-${colour}\\)"`));
});

test("many rows make several pictures, each with all of its names and values", () => {
  assert.deepEqual(
    maps.map(({ title }) => title.slice(-8)),
    ["(1 of 2)", "(2 of 2)"],
  );
  const texts = maps.map(({ svg }) => [...svg.matchAll(/>([^<]*)<\/text>/g)].map(([, text]) => text));
  assert.deepEqual(
    texts.map((found) => found.filter((text) => text?.endsWith("&lt;b&gt;")).length),
    [30, 30],
  );
  assert(texts[1]?.some((text) => text?.endsWith("59")));
});

test("escaping and shortening", () => {
  assert.equal(escapeHtml(`<a href="x">'&`), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  assert.equal(shortenStart("/layer1/conv/Conv", 9), "\u2026onv/Conv");
  assert.equal(shortenStart("short", 9), "short");
});
