import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { writeModel } from "../../src/files/model_files.js";
import { type ErrorCode, PenniError } from "../../src/graph/errors.js";
import { presets } from "../../src/run/config.js";
import { type Costs, mostBytes } from "../../src/run/never_larger.js";
import { compress } from "../../src/run/pipeline.js";
import { prepareRun } from "../../src/run/prepare.js";
import { type BudgetCase, budgetCase, budgetNetwork } from "../../support/random_budget.js";

const folder = await mkdtemp(path.join(tmpdir(), "penni-budget-"));
after(() => rm(folder, { recursive: true, force: true }));

let runs = 0;

/** Why a run may be refused: its budget, or a network that its zeros have cut through. */
const REFUSALS: Readonly<Partial<Record<ErrorCode, RegExp>>> = {
  "bad-option": /at least [01]\.\d+ of the original MACs|larger than what came in/,
  unsupported: /it is the same for every image/,
};

/** A whole run without training; undefined where it is refused, for a reason that it may have. */
async function compressed(
  model: string,
  fraction: number,
  { start, basis }: Pick<BudgetCase, "start" | "basis">,
): Promise<{ readonly before: Costs; readonly after: Costs; readonly model: string } | undefined> {
  const { calibrate } = presets;
  runs += 1;
  try {
    const directory = await prepareRun({
      model,
      data: "synthetic:40",
      out: path.join(folder, `run-${runs}`),
      preset: "calibrate",
      seed: 1,
      settings: {
        ...calibrate,
        start,
        basis: start === "svd" && basis === "auto" ? 4 : basis,
        prune: { rule: "macs", fraction },
        calibrationImages: 16,
        threads: 1,
      },
    });
    const notices: string[] = [];
    const listener = { notice: (text: string) => notices.push(text) };
    const { original, compressed: found, model: file } = await compress(directory, listener);
    const isTold = notices.some((text) => /^the file is [\d,]+ bytes larger/.test(text));
    assert.equal(isTold, found.bytes > original.bytes, notices.join("\n"));
    return { before: original, after: found, model: file };
  } catch (error) {
    if (!(error instanceof PenniError)) throw error;
    assert.match(error.message, REFUSALS[error.code] ?? /^$/);
    return undefined;
  }
}

const columns = ["parameters", "paperMacs", "executedMacs", "bytes"] as const;

function assertWithin(fraction: number, before: Costs, after: Costs): void {
  const limits = { ...before, bytes: mostBytes(before.bytes) };
  for (const column of columns)
    assert.ok(after[column] <= limits[column], `${column}: ${after[column]} of ${before[column]}`);
  assert.ok(after.paperMacs <= fraction * before.paperMacs + 1e-6, `${after.paperMacs / before.paperMacs}`);
}

test("whatever the zeros and the target: within it, larger in no column (a tiny file, or it says so), or refused; and so again", async () => {
  const found = { done: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(budgetCase, async (given) => {
      const model = path.join(folder, `model-${runs}.onnx`);
      await writeModel(model, budgetNetwork(given), { sparse: given.isSparseFile });
      const first = await compressed(model, given.target, given);
      if (first === undefined) {
        found.refused += 1;
        return;
      }
      assertWithin(given.target, first.before, first.after);
      const second = await compressed(first.model, given.again, given);
      if (second === undefined) return;
      // What a run says of its result is what the next one finds in the file.
      for (const column of columns) assert.equal(second.before[column], first.after[column], column);
      assertWithin(given.again, second.before, second.after);
      found.done += 1;
    }),
    {
      numRuns: Number(process.env.PENNI_BUDGET_RUNS ?? 12),
      seed: Number(process.env.PENNI_BUDGET_SEED ?? 7),
    },
  );
  assert.ok(found.done > 0, "some runs were not refused");
});
