// Makes the code in dist/src short, and removes what has no source any more: what is published is to be small. Exported names, and so most of a stack trace, stay.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const folder = path.join(root, "dist/src");
const options = {
  format: "esm",
  target: "es2023",
  minifyWhitespace: true,
  minifySyntax: true,
  minifyIdentifiers: true,
  lineLimit: 160,
};

for (const entry of readdirSync(folder, { recursive: true })) {
  if (entry.endsWith(".js") && !existsSync(path.join(root, "src", `${entry.slice(0, -".js".length)}.ts`))) {
    rmSync(path.join(folder, entry));
    continue;
  }
  // The loader goes into other people's pages as it is, and is to be read there.
  if (!entry.endsWith(".js") || entry.startsWith(`runtime${path.sep}`)) continue;
  const file = path.join(folder, entry);
  writeFileSync(file, transformSync(readFileSync(file, "utf8"), options).code);
}
