// Writes dist/package, the code that is published: few and short files instead of one for each source. Tests of modules run
// what the compiler made of them, in dist/src; `npm test` runs the command line from here.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const source = path.join(root, "dist/src");
const target = path.join(root, "dist/package");

// What other packages import, and the command.
const entries = {
  main: "cli/main.js",
  index: "index.js",
  graph: "graph.js",
  compile: "compile/index.js",
  vite: "vite/index.js",
};

/** `new URL("./x.js", import.meta.url)`: the code of a thread or process of its own. */
const sides = readdirSync(source, { recursive: true })
  .filter((file) => file.endsWith(".js"))
  .flatMap((file) =>
    [
      ...readFileSync(path.join(source, file), "utf8").matchAll(
        /new URL\("([^"$]+\.js)", import\.meta\.url\)/g,
      ),
    ].map(([, side]) => path.posix.join(path.posix.dirname(file), side)),
  );
const flat = (side) => side.replaceAll("/", "-").replace(/\.js$/, "");

/** A module still finds what lies beside it, wherever its code has gone: all of it is in one folder. */
const places = {
  name: "places",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const place = path.relative(source, file).replaceAll(path.sep, "/");
      if (place.startsWith("..")) return undefined;
      const contents = readFileSync(file, "utf8");
      if (!contents.includes("import.meta.url")) return undefined;
      return { contents: contents.replaceAll("import.meta.url", `new URL("./${place}", import.meta.url)`) };
    }),
};

rmSync(target, { recursive: true, force: true });
await build({
  entryPoints: {
    ...Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, path.join(source, file)])),
    ...Object.fromEntries(sides.map((side) => [flat(side), path.join(source, side)])),
  },
  outdir: target,
  bundle: true,
  splitting: true,
  packages: "external",
  format: "esm",
  platform: "node",
  target: "es2023",
  minify: true,
  lineLimit: 160,
  plugins: [places],
});
for (const side of sides) {
  const file = path.join(target, side);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    `import ${JSON.stringify(path.posix.relative(path.posix.dirname(side), `${flat(side)}.js`))};\n`,
  );
}

// The loader goes into other people's pages as it is, and is to be read there.
cpSync(path.join(source, "runtime"), path.join(target, "runtime"), {
  recursive: true,
  filter: (file) => !file.endsWith(".d.ts"),
});
