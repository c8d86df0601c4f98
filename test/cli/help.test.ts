import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../../src/cli/program.js";
import { Output } from "../../src/cli/terminal.js";
import { penni } from "../../support/command_line.js";

async function program(args: readonly string[] = ["compress"]): Promise<Command> {
  const output = new Output(new Writable({ write: (_chunk, _encoding, done) => done() }), "nowhere");
  return createProgram({ stdout: output, stderr: output }, args);
}

const names = (await program()).commands.map((command) => command.name());

/** The calls that the examples of a help text show, as a shell would take them. */
function calls(help: string): readonly (readonly string[])[] {
  const [, examples] = help.split("\nExamples:\n");
  assert.ok(examples !== undefined, "no examples");
  return examples
    .replace(/ \\\n\s*/g, " ")
    .split("\n")
    .filter((line) => line.startsWith("    penni "))
    .map((line) => line.trim().split(" ").slice(1))
    .map((words) => words.map((word) => word.replace(/^"(.*)"$/, "$1")));
}

describe("help", () => {
  for (const columns of [50, 60, 80, 200]) {
    test(`fits ${columns} columns`, async () => {
      for (const name of ["", ...names]) {
        const { status, stdout } = await penni(
          [name, "--help"].filter((word) => word !== ""),
          columns,
        );
        assert.equal(status, 0);
        const long = stdout.split("\n").filter((line) => line.length > Math.min(columns, 100));
        assert.deepEqual(long, [], name);
      }
    });
  }

  test("every option of a command has a heading, and says what it is", async () => {
    for (const command of (await program()).commands) {
      for (const { long, description, helpGroupHeading } of command.options) {
        assert.ok(helpGroupHeading !== undefined, `${command.name()} ${long}`);
        assert.notEqual(description, "", `${command.name()} ${long}`);
      }
      const { stdout } = await penni([command.name(), "--help"]);
      assert.doesNotMatch(stdout, /^Options:$/m);
    }
  });

  test("a number has a default in its help, or none that could be named", async () => {
    /** The model, the preset or another option says. */
    const unnamed = new Set(["limit", "trainLimit", "calibrationImages", "scale", "basis"]);
    for (const command of (await program()).commands) {
      // Its defaults are those of the preset.
      if (command.name() === "compress") continue;
      for (const option of command.options.filter(({ flags }) => / <(?:n|x|f|s|w|d)>$/.test(flags))) {
        const isNamed =
          option.defaultValue !== undefined || /\([^)]*\d[^)]*\)|default/.test(option.description);
        assert.ok(
          isNamed || option.mandatory || unnamed.has(option.attributeName()) || option.long === "--ema",
          `${command.name()} ${option.flags}`,
        );
      }
    }
  });

  test("each command has examples, which are read as they stand, at any width", async () => {
    for (const name of ["", ...names]) {
      const texts = await Promise.all(
        [50, undefined].map((columns) =>
          penni(
            [name, "--help"].filter((word) => word !== ""),
            columns,
          ),
        ),
      );
      const [narrow, wide] = texts.map(({ stdout }) => calls(stdout));
      assert.deepEqual(narrow, wide, name);
      assert.ok(wide !== undefined && wide.length > 0, name);
      if (name === "") continue;
      for (const words of wide) {
        assert.equal(words[0], name);
        const parsed = await program();
        let isCalled = false;
        for (const command of parsed.commands) {
          command.action(() => {
            isCalled = command.name() === name;
          });
        }
        await parsed.parseAsync(words, { from: "user" });
        assert.ok(isCalled, words.join(" "));
      }
    }
  });

  test("a misspelt command or option is answered with the one that was meant", async () => {
    for (const [args, meant] of [
      [["benhc", "x"], "bench"],
      [["compress", "--pressets", "fast"], "--preset"],
      [["report", "x", "--wach"], "--watch"],
      [["new", "resnet20", "--sed=1"], "--seed"],
      [["eval", "x", "--dta", "synthetic"], "--data"],
    ] as const) {
      const { status, stderr } = await penni(args);
      assert.equal(status, 1);
      assert.match(
        stderr,
        new RegExp(`^penni: unknown .*\\(Did you mean (?:one of )?${meant}\\b`),
        args.join(" "),
      );
    }
  });
});
