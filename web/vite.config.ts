import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin, transformWithOxc } from "vite";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** ONNX Runtime for Node has a stand-in in browsers: all that calibration needs of it, on onnxruntime-web. */
const runtimeOfBrowsers: Plugin = {
  name: "penni-runtime-of-browsers",
  enforce: "pre",
  resolveId: (source) => (/\/execute\/node\.js$/.test(source) ? here("src/worker/sessions.ts") : undefined),
};

const LOADER = "virtual:penni-loader";

/** The text of penni/runtime, which the page of a compiled network holds. */
const loaderText: Plugin = {
  name: "penni-loader-text",
  resolveId: (source) => (source === LOADER ? `\0${LOADER}` : undefined),
  async load(id) {
    if (id !== `\0${LOADER}`) return undefined;
    const file = here("../src/runtime/index.ts");
    this.addWatchFile(file);
    const { code } = await transformWithOxc(await readFile(file, "utf8"), file, { sourcemap: false });
    return `export default ${JSON.stringify(code)};`;
  },
};

/** While developing, Vite puts styles into the page itself, which the built page forbids. */
const stylesOfDevelopment: Plugin = {
  name: "penni-styles-of-development",
  apply: "serve",
  transformIndexHtml: (html) => html.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
};

const plugins = (): Plugin[] => [runtimeOfBrowsers, loaderText];

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
