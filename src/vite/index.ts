/**
 * penni/vite: models of pages as modules. A model is compiled when the page is built, and again when it changes.
 *
 * @module penni/vite
 *
 * @example
 * // vite.config.ts
 * import penni from "penni/vite";
 * export default { plugins: [penni()] };
 *
 * // In the page; with "types": ["penni/vite/client"] in tsconfig.json
 * import loadFlowers from "./flowers.onnx?penni";
 * const flowers = await loadFlowers(); // a `Model` of penni/runtime
 */

import path from "node:path";
import type { Plugin } from "vite";
import { PenniError } from "../graph/errors.js";
import { compiledFile } from "./compiled_file.js";
import { readRequest } from "./request.js";

export interface PenniPluginOptions {
  /**
   * Where compiled modules are kept, by what they were made of, relative to the project's root (default: "penni" in Vite's
   * own cache directory). May be deleted at any time.
   */
  readonly cacheDirectory?: string;
}

/**
 * The plug-in: `import load from "./model.onnx?penni"` gives a function that loads the compiled model, and `url`, where
 * its WebAssembly module is. Settings follow in the import: `?penni&input=NAME:1x3x224x224` for a dimension that the
 * model leaves open (repeatable).
 */
export default function penni(options: PenniPluginOptions = {}): Plugin {
  let directory = "";
  return {
    name: "penni",
    // Before Vite's own plug-ins, which would take the file for an asset.
    enforce: "pre",
    // Found when the page needs it, and then the page would be reloaded.
    config: () => ({ optimizeDeps: { include: ["penni/runtime"] } }),
    configResolved(config) {
      directory = path.resolve(config.root, options.cacheDirectory ?? path.join(config.cacheDir, "penni"));
    },
    async load(id) {
      const request = readRequest(id);
      if (request === undefined) return null;
      this.addWatchFile(request.file);
      try {
        const { file, notices } = await compiledFile(request, directory);
        for (const notice of notices) this.warn(`${request.file}: ${notice}`);
        return moduleCode(file);
      } catch (error) {
        // Vite shows a message; a PenniError's names the file and what to do.
        if (error instanceof PenniError) return this.error(error.message);
        throw error;
      }
    },
  };
}

/** What a page imports: Vite gives the file its place, in development and in what is built. */
function moduleCode(file: string): string {
  const source = JSON.stringify(`${file.split(path.sep).join("/")}?url&no-inline`);
  return [
    `import { load } from "penni/runtime";`,
    `import url from ${source};`,
    "export { url };",
    "export default (options) => load(url, options);",
  ].join("\n");
}
