import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../../src/cli/program.js";
import { Output } from "../../src/cli/terminal.js";
import { type Document, documents } from "../../support/markdown.js";
import { projectRoot } from "../../support/shared.js";

interface Line {
  readonly text: string;
  readonly where: string;
}

/** The command lines of a document's blocks for shells. */
function shellLines({ file, blocks }: Document): readonly Line[] {
  return blocks
    .filter(({ language }) => /^(?:sh|bash|shell|console)$/.test(language))
    .flatMap(({ language, text, line }) =>
      text
        .replaceAll("\\\n", "  ")
        .split("\n")
        .map((command, index) => ({ text: command, where: `${file}:${line + index}` }))
        // Of a session at a terminal only what was typed.
        .filter(({ text: command }) => language !== "console" || command.startsWith("$ ")),
    )
    .flatMap(({ text, where }) =>
      text
        .replace(/^\$ /, "")
        .replace(/(?:^|\s)#.*$/, "")
        .split(/&&|;/)
        .map((part) => ({ text: part.trim(), where })),
    );
}

const stream = new Output(process.stdout, "standard output");

/** The program that would parse these words, with nothing behind its commands. */
async function idleProgram(words: readonly string[]): Promise<Command> {
  const program = await createProgram({ stdout: stream, stderr: stream }, words);
  for (const command of program.commands) command.action(() => undefined);
  return program;
}

/** The command that a line stands for that begins with a model's file (see src/cli/easy.ts). */
function meantWords(words: readonly string[]): readonly string[] {
  const [model = "", pictures, ...options] = words;
  if (!model.endsWith(".onnx")) return words;
  if (pictures === undefined || pictures.startsWith("-")) return ["inspect", ...words];
  return ["compress", model, "--data", pictures, ...options];
}

/** What is wrong with a command line, as the command line itself would say it; undefined if nothing is. */
async function parsingError(words: readonly string[]): Promise<string | undefined> {
  try {
    const meant = meantWords(words);
    await (await idleProgram(meant)).parseAsync(meant, { from: "user" });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The words after `penni`, if a line calls it. */
function penniWords(line: string): readonly string[] | undefined {
  const [, rest] = /^(?:npx )?penni (.+)$/.exec(line) ?? [];
  return rest?.split(/\s+/);
}

/** Options that a command does not have, of a line that may have gaps and names of what is to be put in. */
async function unknownOptions(words: readonly string[]): Promise<readonly string[]> {
  const [name = ""] = words;
  const command = (await idleProgram(words)).commands.find((each) => each.name() === name);
  if (command === undefined) return /^[a-z]/.test(name) ? [name] : [];
  const known = new Set(command.options.flatMap(({ long, short }) => [long, short]));
  return words.filter(
    (word) => /^--?[a-z]/.test(word) && word !== "--help" && !known.has(word.replace(/=.*/, "")),
  );
}

/** Scripts of npm where a document speaks of: an example has its own, all others mean the repository's. */
function scriptsBeside(document: string): ReadonlySet<string> {
  const folder = /^examples\/[^/]+(?=\/)/.exec(document)?.[0] ?? "";
  const file = path.join(projectRoot, folder, "package.json");
  if (!existsSync(file)) return new Set();
  const { scripts = {} } = JSON.parse(readFileSync(file, "utf8")) as {
    readonly scripts?: Readonly<Record<string, string>>;
  };
  return new Set(Object.keys(scripts));
}

const all = documents();

describe("commands in documents", () => {
  test("every command line of penni in a block parses", async () => {
    const lines = all.flatMap(shellLines).flatMap(({ text, where }) => {
      const words = penniWords(text);
      return words === undefined ? [] : [{ words, where }];
    });
    assert.ok(lines.length > 10, `${lines.length}`);
    const wrong: string[] = [];
    for (const { words, where } of lines) {
      const error = await parsingError(words);
      if (error !== undefined) wrong.push(`${where}: penni ${words.join(" ")}: ${error}`);
    }
    assert.deepEqual(wrong, []);
  });

  test("every option of penni that is named in a line of text exists", async () => {
    const spans = all.flatMap(({ file, spans }) =>
      spans.flatMap(({ text, line }) => {
        const words = penniWords(text);
        return words === undefined ? [] : [{ words, where: `${file}:${line}` }];
      }),
    );
    assert.ok(spans.length > 20);
    const wrong: string[] = [];
    for (const { words, where } of spans)
      wrong.push(...(await unknownOptions(words)).map((each) => `${where}: ${each}`));
    assert.deepEqual(wrong, []);
  });

  test("options that stand alone between backticks are some command's", async () => {
    // One command at a time: what is behind the options of the others need not be loaded.
    const names = (await idleProgram([])).commands.map((command) => command.name());
    const programs = await Promise.all(names.map((name) => idleProgram([name])));
    const commands = programs.flatMap(({ commands: all }) => all);
    const known = new Set(commands.flatMap(({ options }) => options.flatMap(({ long }) => long ?? [])));
    const wrong = all
      // What others' tools, and Penni's benchmarks, have options for.
      .filter(({ file }) => /^docs\/(?:compress|goals|data|train|compile|troubleshooting)\.md$/.test(file))
      .flatMap(({ file, spans }) =>
        spans.flatMap(({ text, line }) => {
          const [option] = /^--[a-z][a-z-]*/.exec(text) ?? [];
          return option === undefined || known.has(option) ? [] : [`${file}:${line}: ${option}`];
        }),
      );
    assert.deepEqual(wrong, []);
  });

  test("scripts of npm and benchmarks that are named exist", () => {
    const texts = all.flatMap((document) => {
      const spans = document.spans.map(({ text, line }) => ({ text, where: `${document.file}:${line}` }));
      const scripts = scriptsBeside(document.file);
      return [...shellLines(document), ...spans].map((each) => ({ ...each, scripts }));
    });
    const wrong = texts.flatMap(({ text, where, scripts }) => {
      const [, script] = /npm run ([a-z][\w:-]*)/.exec(text) ?? [];
      const [, bench] = /node dist\/(bench\/[\w/-]+)\.js/.exec(text) ?? [];
      return [
        ...(script === undefined || scripts.has(script) ? [] : [`${where}: npm run ${script}`]),
        ...(bench === undefined || existsSync(path.join(projectRoot, `${bench}.ts`))
          ? []
          : [`${where}: ${bench}`]),
      ];
    });
    assert.deepEqual(wrong, []);
  });

  test("files of the repository that examples' command lines name exist", () => {
    const named = all
      .filter(({ file }) => file.startsWith("examples/"))
      .flatMap((document) =>
        shellLines(document).flatMap(({ text, where }) =>
          text
            .split(/\s+/)
            .filter((word) => word.startsWith("../"))
            .map((word) => ({ place: path.join(path.dirname(document.file), word), where })),
        ),
      );
    assert.ok(named.length >= 3, `${named.length}`);
    assert.deepEqual(
      named.filter(({ place }) => !existsSync(path.join(projectRoot, place))),
      [],
    );
  });

  test("an option that does not exist and a value that it does not take are found", async () => {
    assert.match((await parsingError(["compress", "a.onnx", "--no-such"])) ?? "", /no-such/);
    assert.match((await parsingError(["compress", "a.onnx", "--preset", "slow"])) ?? "", /slow/);
    assert.match((await parsingError(["compile", "a.onnx", "-o", "x"])) ?? "", /target/);
    assert.match((await parsingError(["shrinken"])) ?? "", /shrinken/);
    assert.equal(await parsingError(["compile", "a.onnx", "--target", "c", "-o", "x"]), undefined);
    assert.deepEqual(await unknownOptions(["compress", "...", "--presets"]), ["--presets"]);
  });
});
