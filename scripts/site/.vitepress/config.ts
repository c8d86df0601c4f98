import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type HeadConfig } from "vitepress";
import { anchorOf } from "../../../support/markdown.js";
import { filesOfExamples } from "./examples.js";
import { home } from "./home.js";
import { copiedFiles, copyOf, linksOfTheSite } from "./links.js";
import { API, checkPages, HOME, isPage, placeOf, sections } from "./pages.js";
import { shortCode } from "./short_code.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Whether a search looks at a page: what changes Penni would bury what uses it. */
const forUsers = (file: string): boolean =>
  !sections.some(({ collapsed, pages }) => collapsed === true && pages.some((page) => page.file === file));

const icon =
  "data:image/svg+xml," +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" rx="1.5" fill="#1f6feb"/><path d="M2 2h2v2H2zM5 5h2v2H5z" fill="#fff"/><path d="M5 2h2v2H5zM2 5h2v2H2z" fill="#fff" opacity=".4"/></svg>',
  );
/** Nothing that a page needs comes from anywhere else, and nothing may. */
const policy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; object-src 'none'";
const head: HeadConfig[] = [
  ["meta", { "http-equiv": "Content-Security-Policy", content: policy }],
  ["link", { rel: "icon", href: icon }],
];

export default defineConfig({
  title: "Penni",
  description:
    "Makes a trained convolutional network small and fast: ONNX in, a smaller ONNX, WebAssembly or C out.",
  lang: "en",
  head,
  // Any folder of a host: SITE_BASE=/penni/ for https://host/penni/.
  base: process.env.SITE_BASE ?? "/",
  srcDir: root,
  outDir: path.join(root, "dist/site"),
  cacheDir: path.join(root, "dist/site-cache"),
  srcExclude: [".github/**"],
  rewrites: (file) => (isPage(file) ? placeOf(file) : file),
  // TypeDoc's pages come afterwards; scripts/site/check.mjs looks at all links of the finished site.
  ignoreDeadLinks: [/^\/api\//],
  markdown: {
    config(md) {
      shortCode(md);
      linksOfTheSite(root)(md);
      filesOfExamples(root)(md);
    },
    // Headings are linked to as GitHub links to them.
    anchor: { slugify: anchorOf },
    toc: { slugify: anchorOf },
  },
  transformPageData(page) {
    if (page.filePath === HOME) Object.assign(page.frontmatter, home);
  },
  async buildEnd({ pages, outDir }) {
    checkPages(pages);
    for (const file of copiedFiles()) {
      const copy = path.join(outDir, copyOf(file));
      await mkdir(path.dirname(copy), { recursive: true });
      await copyFile(path.join(root, file), copy);
    }
  },
  themeConfig: {
    nav: [
      { text: "Guide", link: "/start" },
      { text: "Method", link: "/method" },
      { text: "Benchmarks", link: "/benchmarks" },
      { text: "API", link: API, target: "_self" },
    ],
    sidebar: sections.map(({ text, pages, collapsed = false }) => ({
      text,
      collapsed,
      items: [
        ...pages.map(({ text, file }) => ({ text, link: `/${placeOf(file).replace(/\.md$/, "")}` })),
        ...(text === "Look up" ? [{ text: "API reference", link: API, target: "_self" }] : []),
      ],
    })),
    outline: { level: [2, 3] },
    // Options that are functions would be sent to the page, which could not read them under its policy: but for those with "_".
    search: {
      provider: "local",
      options: {
        _render: (text, env, md) => (forUsers(env.relativePath) ? md.render(text, env) : ""),
      },
    },
    externalLinkIcon: true,
  },
});
