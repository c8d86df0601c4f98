// Looks at the finished site (or at another folder, named as argument): every link leads to a page and a heading that are there, and
// no page loads anything from elsewhere, and the search looks at what users need.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "parse5";

const site = process.argv[2] ?? fileURLToPath(new URL("../../dist/site", import.meta.url));
const base = process.env.SITE_BASE ?? "/";
const files = new Set(
  readdirSync(site, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(site, path.join(entry.parentPath, entry.name))),
);

/** What elements load by themselves; an <a> waits for its reader. */
const LOADED = {
  img: "src",
  script: "src",
  iframe: "src",
  source: "src",
  video: "src",
  audio: "src",
  link: "href",
};

const pages = new Map([...files].filter((file) => file.endsWith(".html")).map((file) => [file, read(file)]));
const faults = [...pages].flatMap(([file, { links, loads }]) => [
  ...links.flatMap((link) => faultOf(file, link)),
  ...loads.flatMap((link) => (isElsewhere(link) ? [`${file}: loads ${link}`] : faultOf(file, link))),
]);
for (const file of files) {
  if (!file.endsWith(".css")) continue;
  for (const [, place] of readFileSync(path.join(site, file), "utf8").matchAll(
    /(?:url\(|@import\s)["']?([^"')\s;]+)/g,
  ))
    if (isElsewhere(place)) faults.push(`${file}: loads ${place}`);
}

/** Pages for those who change Penni: their sections are many, and would come first (scripts/site/.vitepress/config.ts). */
const UNSEARCHED = /^\/(?:architecture|contributing|decisions|training-speed)\.html/;

for (const file of files) {
  if (!/@localSearchIndex.*\.js$/.test(file)) continue;
  const found = [
    ...readFileSync(path.join(site, file), "utf8").matchAll(/"\d+":"([^"#]+\.html|\/)(?:#[^"]*)?"/g),
  ]
    .map(([, place]) => place.replace(base, "/"))
    .filter((place) => UNSEARCHED.test(place));
  for (const place of new Set(found)) faults.push(`${file}: the search looks at ${place}`);
}

for (const fault of faults) console.error(fault);
console.log(`${pages.size} pages, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

function read(file) {
  const page = { anchors: new Set(), links: [], loads: [] };
  visit(parse(readFileSync(path.join(site, file), "utf8")), page);
  return page;
}

function visit(node, page) {
  const attributes = new Map((node.attrs ?? []).map(({ name, value }) => [name, value]));
  const id = attributes.get("id") ?? (node.nodeName === "a" ? attributes.get("name") : undefined);
  if (id !== undefined) page.anchors.add(id);
  const href = attributes.get("href");
  if (node.nodeName === "a" && href !== undefined) page.links.push(href);
  const loaded = attributes.get(LOADED[node.nodeName] ?? "");
  if (loaded !== undefined) page.loads.push(loaded);
  for (const child of node.childNodes ?? []) visit(child, page);
}

function isElsewhere(link) {
  return /^(?:[a-z]+:)?\/\//i.test(link) || (/^[a-z]+:/i.test(link) && !/^(?:data|blob):/.test(link));
}

function faultOf(from, link) {
  if (/^(?:[a-z][a-z+.-]*:|\/\/)/i.test(link)) return [];
  const { pathname, hash } = new URL(link, `http://site${base}${from}`);
  if (!pathname.startsWith(base)) return [`${from}: ${link} leaves the site`];
  const file = decodeURI(pathname.slice(base.length)).replace(/(?:^|\/)$/, (end) => `${end}index.html`);
  if (!files.has(file)) return [`${from}: ${link}: there is no such page`];
  const anchor = decodeURIComponent(hash.slice(1));
  const isThere = anchor === "" || pages.get(file)?.anchors.has(anchor) === true;
  return isThere ? [] : [`${from}: ${link}: there is no such heading`];
}
