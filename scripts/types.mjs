// Leaves of the declarations in dist/ those that somebody who imports the package can come across.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

/** Specifiers of the package's own files in `import ... from`, `export ... from` and `import(...)`. */
const relative = /\b(?:from|import)\s*\(?\s*"(\.[^"]+)\.js"/g;

const reached = new Set();
const open = Object.values(exports).map(({ types }) => path.join(root, types));
for (let file = open.pop(); file !== undefined; file = open.pop()) {
  if (reached.has(file)) continue;
  if (!existsSync(file)) throw new Error(`${path.relative(root, file)} is not there: run npm run build`);
  reached.add(file);
  for (const [, specifier] of readFileSync(file, "utf8").matchAll(relative))
    open.push(path.join(path.dirname(file), `${specifier}.d.ts`));
}

for (const entry of readdirSync(path.join(root, "dist/src"), { recursive: true })) {
  const file = path.join(root, "dist/src", entry);
  if (file.endsWith(".d.ts") && !reached.has(file)) rmSync(file);
}
