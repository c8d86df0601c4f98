import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { penni } from "../../support/command_line.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-completion-"));
after(() => rmSync(folder, { recursive: true }));

const without = (shell: string): string | false =>
  spawnSync(shell, ["--version"]).error === undefined ? false : `${shell} is not installed`;

async function script(shell: string): Promise<string> {
  const { status, stdout } = await penni(["completion", shell]);
  assert.equal(status, 0);
  const file = path.join(folder, `penni.${shell}`);
  writeFileSync(file, stdout);
  return file;
}

/** What bash proposes for the last of some words; nothing where it completes files. */
function proposed(file: string, words: readonly string[]): readonly string[] {
  const code = `source "${file}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _penni; printf "%s\\n" "\${COMPREPLY[@]}"`;
  const text = execFileSync("bash", ["-c", code, "bash", ...words], { encoding: "utf8" });
  return text.split("\n").filter((line) => line !== "");
}

describe("completion", () => {
  test("in bash", { skip: without("bash") }, async () => {
    const file = await script("bash");
    execFileSync("bash", ["-n", file]);
    const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
      [
        ["penni", "comp"],
        ["compress", "compile", "completion"],
      ],
      [
        ["penni", "compress", "net.onnx", "--preset", ""],
        ["fast", "best", "calibrate", "paper"],
      ],
      [["penni", "compress", "--preset", "=", "fa"], ["fast"]],
      [
        ["penni", "compress", "--preset", "="],
        ["fast", "best", "calibrate", "paper"],
      ],
      [["penni", "net.onnx", "photos", "--preset", "cal"], ["calibrate"]],
      [["penni", "compress", "net.onnx", "--target-m"], ["--target-macs"]],
      [["penni", "net.onnx", "photos", "--target-m"], ["--target-macs"]],
      [["penni", "train", "--config", ""], []],
      [["penni", "inspect", "--js"], ["--json"]],
      [["penni", "report", "run", ""], []],
      [["penni", "new", "mob"], ["mobilenet_v2"]],
      [["penni", "completion", "z"], ["zsh"]],
      [["penni", "help", "sens"], ["sensitivity"]],
    ];
    for (const [words, expected] of cases) assert.deepEqual(proposed(file, words), expected, words.join(" "));
    assert.match(
      execFileSync("bash", ["-c", `source "${file}"; complete -p penni`], { encoding: "utf8" }),
      /_penni/,
    );
  });

  test("in zsh", { skip: without("zsh") }, async () => {
    const file = await script("zsh");
    execFileSync("zsh", ["-n", file]);
    const defined = `autoload -U compinit; compinit -u -D; source "${file}"; print $_comps[penni]`;
    assert.match(execFileSync("zsh", ["-f", "-c", defined], { encoding: "utf8" }), /_penni/);
  });

  test("in fish", { skip: without("fish") }, async () => {
    const file = await script("fish");
    const propose = (line: string): string =>
      execFileSync("fish", ["-N", "-c", `source "${file}"; complete -C "${line}"`], { encoding: "utf8" });
    assert.match(propose("penni comp"), /^compress/m);
    assert.match(propose("penni compress --preset "), /^calibrate/m);
  });

  test("every option and command is in every script, and another shell is refused", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { stdout } = await penni(["completion", shell]);
      for (const word of ["sensitivity", "target-macs", "max-loss", "pad-color", "calibrate", "resnet20"])
        assert.ok(stdout.includes(word), `${word} in ${shell}`);
    }
    const { status, stderr } = await penni(["completion", "tcsh"]);
    assert.equal(status, 1);
    assert.match(stderr, /Allowed choices are bash, zsh, fish/);
  });
});
