// Removes from dist/ the compiled files whose sources are gone: tests among them would still be run, and fail.
import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

for (const folder of ["src", "support", "test", "bench"]) {
  for (const entry of readdirSync(path.join(root, "dist", folder), { recursive: true })) {
    if (!entry.endsWith(".js")) continue;
    const source = path.join(root, folder, `${entry.slice(0, -".js".length)}.ts`);
    if (!existsSync(source)) rmSync(path.join(root, "dist", folder, entry));
  }
}
