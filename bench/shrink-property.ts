/**
 * Random networks with random channels and coefficients set to zero are shrunk and compared with the unshrunk ones in
 * ONNX Runtime: `npm run bench:shrink-property -- [--graphs 2000] [--seed S] [--case JSON]`. A network that fails is
 * made as small as possible and printed as a case, which `--case` runs again; then the status is 1.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import {
  buildCase,
  type CaseResult,
  checkCase,
  type ShrinkCase,
  shrinkCase,
} from "../support/random_shrink_case.js";

/** Time for making a failing network smaller. */
const SHRINKING_MS = 120_000;

const { values: options } = parseArgs({
  options: {
    graphs: { type: "string", default: "2000" },
    seed: { type: "string", default: `${Date.now() % 1e6}` },
    case: { type: "string" },
  },
});
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

process.exitCode =
  options.case === undefined ? await search() : await repeat(JSON.parse(options.case) as ShrinkCase);

async function search(): Promise<number> {
  const seed = Number(options.seed);
  const results: CaseResult[] = [];
  let failed: number | undefined;
  const property = fc.asyncProperty(shrinkCase, async (given) => {
    if (failed !== undefined && Date.now() - failed > SHRINKING_MS) return;
    try {
      results.push(await checkCase(given));
    } catch (error) {
      failed ??= Date.now();
      throw error;
    }
    if (results.length % 500 === 0) print(`${results.length} networks`);
  });
  const details = await fc.check(property, { numRuns: Number(options.graphs), seed });
  const count = (kind: CaseResult["kind"]): number => results.filter((result) => result.kind === kind).length;
  const kernels = (when: "before" | "after"): number =>
    results.reduce((sum, result) => sum + result.kernels[when], 0);
  print(
    `seed ${seed}: ${count("compared")} networks compared, ${count("refused")} refused by the runtime, ` +
      `${count("not finite")} not finite; ${((100 * kernels("after")) / kernels("before")).toFixed(1)} % of the kernels are left`,
  );
  if (!details.failed) return 0;
  print(`FAILED after ${details.numRuns} networks: ${details.errorInstance}`);
  const [failing] = details.counterexample ?? [];
  if (failing !== undefined) describe(failing);
  return 1;
}

async function repeat(given: ShrinkCase): Promise<number> {
  describe(given);
  try {
    print(`outcome: ${JSON.stringify(await checkCase(given))}`);
    return 0;
  } catch (error) {
    print(`outcome: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return 1;
  }
}

function describe(given: ShrinkCase): void {
  const { graph } = buildCase(given);
  for (const node of graph.nodes)
    print(`  ${node.outputs.join(", ")} = ${node.op}(${node.inputs.join(", ")})`);
  print(`  outputs ${graph.outputs.map(({ name }) => name).join(", ")}`);
  print(`--case '${JSON.stringify(given)}'`);
}
