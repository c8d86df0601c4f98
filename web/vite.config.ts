import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin, transformWithOxc } from "vite";
import { exampleParts } from "../src/compile/wasm/example_parts.js";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** ONNX Runtime for Node has a stand-in in browsers: all that calibration needs of it, on onnxruntime-web. */
const runtimeOfBrowsers: Plugin = {
  name: "penni-runtime-of-browsers",
  enforce: "pre",
  resolveId: (source) => (/\/execute\/node\.js$/.test(source) ? here("src/worker/sessions.ts") : undefined),
};

const PARTS = "virtual:penni-example-parts";

/** The texts that the page of a compiled network holds: `exampleParts` of its back end. */
const exampleTexts: Plugin = {
  name: "penni-example-texts",
  resolveId: (source) => (source === PARTS ? `\0${PARTS}` : undefined),
  async load(id) {
    if (id !== `\0${PARTS}`) return undefined;
    const texts: string[] = [];
    for (const part of exampleParts) {
      const file = here(`../src/${part.replace(/\.js$/, ".ts")}`);
      this.addWatchFile(file);
      const { code } = await transformWithOxc(await readFile(file, "utf8"), file, { sourcemap: false });
      texts.push(code);
    }
    return `export default ${JSON.stringify(texts)};`;
  },
};

/** While developing, Vite puts styles into the page itself, which the built page forbids. */
const stylesOfDevelopment: Plugin = {
  name: "penni-styles-of-development",
  apply: "serve",
  transformIndexHtml: (html) => html.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
};

const plugins = (): Plugin[] => [runtimeOfBrowsers, exampleTexts];

export default defineConfig({
  root: here("."),
  // Any folder of any host.
  base: "./",
  plugins: [...plugins(), stylesOfDevelopment],
  worker: { format: "es", plugins },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // Found at once: what is found later reloads the page, and with it whatever was open.
  optimizeDeps: {
    include: [
      "@bufbuild/protobuf",
      "@bufbuild/protobuf/codegenv2",
      "@bufbuild/protobuf/wire",
      "@preact/signals",
      "ml-matrix",
      "onnxruntime-common",
      "onnxruntime-web/wasm",
      "preact",
      "preact/hooks",
      "preact/jsx-dev-runtime",
      "zod",
    ],
  },
  assetsInclude: ["**/*.onnx"],
  build: {
    target: "es2023",
    outDir: here("dist"),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Workers hold the whole method and its compiler.
    chunkSizeWarningLimit: 2000,
  },
});
