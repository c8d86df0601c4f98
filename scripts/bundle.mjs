// Writes dist/package, the code that is published: few and short files instead of one for each source. Tests of modules run
// what the compiler made of them, in dist/src; `npm test` runs the command line from here.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformSync } from "esbuild";

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
/** What a module calls the address that it had before. */
const PLACE = "placeOfThisModule";
const flat = (side) => side.replaceAll("/", "-").replace(/\.js$/, "");

/**
 * A module still finds what lies beside it, wherever its code has gone: all of it is in one folder. esbuild replaces what is
 * code, and leaves alone what stands in texts: programs that we write for others.
 */
const places = {
  name: "places",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const place = path.relative(source, file).replaceAll(path.sep, "/");
      if (place.startsWith("..")) return undefined;
      const contents = readFileSync(file, "utf8");
      if (!contents.includes("import.meta.url")) return undefined;
      const { code } = transformSync(contents, { define: { "import.meta.url": PLACE } });
      return {
        contents: code.includes(PLACE)
          ? `const ${PLACE} = new URL("./${place}", import.meta.url);\n${code}`
          : code,
      };
    }),
};

rmSync(target, { recursive: true, force: true });
const { metafile, outputFiles } = await build({
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
  lineLimit: 1000,
  plugins: [places],
  metafile: true,
  write: false,
});

/** Short names for shared parts: nobody caches by name what lies in node_modules, and 4,000 imports repeat each hash. */
const outputs = new Map(
  Object.entries(metafile.outputs).map(([file, output]) => [path.basename(file), output]),
);
const taken = new Set([...outputs.keys()].filter((name) => !/-[A-Z0-9]{8}\.js$/.test(name)));
function shortName(name) {
  const stem = name.replace(/-[A-Z0-9]{8}\.js$/, "");
  for (let number = 0; ; number++) {
    const short = stem === "chunk" ? `${number.toString(36)}.js` : `${stem}${number || ""}.js`;
    if (taken.has(short)) continue;
    taken.add(short);
    return short;
  }
}
const short = new Map([...outputs.keys()].map((name) => [name, taken.has(name) ? name : shortName(name)]));

/**
 * esbuild has every entry import all parts that lie behind it, for what they might do when they are loaded. Ours do nothing
 * then ("sideEffects": false), but for one that holds the code of the entry itself.
 */
function withoutBareImports(name, text) {
  const { entryPoint, inputs } = outputs.get(name);
  const itself = entryPoint !== undefined && inputs[entryPoint] === undefined ? entryPoint : undefined;
  return text.replaceAll(/import"\.\/([\w-]+\.js)";\n?/g, (statement, part) =>
    itself !== undefined && outputs.get(part)?.inputs[itself] !== undefined ? statement : "",
  );
}

mkdirSync(target, { recursive: true });
for (const { path: file, text } of outputFiles) {
  const name = path.basename(file);
  const left = withoutBareImports(name, text);
  writeFileSync(
    path.join(target, short.get(name)),
    left.replaceAll(/(?<="\.\/)[\w-]+\.js(?=")/g, (part) => short.get(part) ?? part),
    { mode: left.startsWith("#!") ? 0o755 : 0o644 },
  );
}
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
