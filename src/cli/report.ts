import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { checkFreeFile } from "../files/directories.js";
import { PenniError } from "../graph/errors.js";
import { addExamples, type Example, headings } from "./help.js";
import { openServed } from "./reported.js";
import { onStop } from "./stopping.js";
import { lineWidth, type Terminal, wrap } from "./terminal.js";

interface ReportOptions {
  readonly out?: string;
  readonly watch?: boolean;
  readonly open?: boolean;
}

/** Where the report of several runs goes, if nothing else is said. */
const SEVERAL = "report.html";

/** `penni report`: a page on a run, or on several beside each other. */
export function addReportCommand(program: Command, terminal: Terminal): Command {
  const command = program
    .command("report")
    .description("write a page on a run, on several runs beside each other, or on a sweep")
    .argument("<dir...>", "directories of runs or sweeps, or directories that hold runs")
    .optionsGroup(headings.output)
    .option("-o, --out <file>", `the HTML file (of one run: DIR/report.html; of several: ${SEVERAL})`)
    .option(
      "--watch",
      "serve the page on this machine and follow the runs until Ctrl-C, in place of writing it",
    )
    .option("--open", "show the page in a browser")
    .action((directories: readonly string[], options: ReportOptions) =>
      runReport(directories, options, terminal),
    );
  return addExamples(command, examples);
}

const examples: readonly Example[] = [
  { what: "one run, shown in a browser:", words: ["report", "run", "--open"] },
  { what: "several beside each other:", words: ["report", "run-a", "run-b", "-o compared.html"] },
  { what: "follow a run that is going on:", words: ["report", "run", "--watch"] },
];

async function runReport(
  directories: readonly string[],
  options: ReportOptions,
  terminal: Terminal,
): Promise<void> {
  if (options.watch === true && options.out !== undefined) {
    throw new PenniError("bad-option", "a page that is served is not written", {
      expected: "--watch or --out",
      found: "both",
    });
  }
  // A page may be made again; nothing else is lost to one.
  if (options.out !== undefined && !/\.html?$/i.test(options.out)) checkFreeFile(options.out);
  const [sweep] = directories;
  if (sweep !== undefined && directories.length === 1 && isSweep(sweep))
    return reportSweep(sweep, options, terminal);
  const roots = await runDirectories(directories);
  const { REPORT, ReportSource } = await import("../report/sources.js");
  const source = new ReportSource(roots);
  // What is wrong with a directory is said at once, not on the page.
  if (options.watch === true) return watch(source, () => source.read(), options.open === true, terminal);
  const [only] = roots;
  const file = options.out ?? (roots.length === 1 && only !== undefined ? path.join(only, REPORT) : SEVERAL);
  const reports = await source.write(file);
  const { judgementOf } = await import("../report/run_judgement.js");
  for (const report of reports) {
    const { headline, text } = judgementOf(report);
    terminal.stdout.write(`${wrap(`${report.root}: ${headline}. ${text}`, lineWidth(terminal.stdout))}\n`);
    for (const problem of report.problems) terminal.stderr.write(`  ${problem}\n`);
  }
  terminal.stdout.write(`\n${file}\n`);
  if (options.open === true) await show(file, terminal);
}

async function show(file: string, { stderr }: Terminal): Promise<void> {
  const { openBrowser } = await import("../report/open_browser.js");
  if (!(await openBrowser(path.resolve(file))))
    stderr.write("no browser could be opened: open the file yourself\n");
}

async function reportSweep(
  root: string,
  { out, open, watch: isWatched }: ReportOptions,
  terminal: Terminal,
): Promise<void> {
  const [{ readSweep }, { resultsOf }, { describeSweep }, { SweepSource, writeSweepReport }] =
    await Promise.all([
      import("../sweep/directory.js"),
      import("../sweep/results.js"),
      import("./sweep_text.js"),
      import("../report/sweep_page.js"),
    ]);
  if (isWatched === true) return watch(new SweepSource(root), () => readSweep(root), open === true, terminal);
  const record = await readSweep(root);
  const file = await writeSweepReport(root, out);
  const axes = Object.keys(record.frozen.spec.axes);
  const { stdout } = terminal;
  stdout.write(`${describeSweep(resultsOf(record), axes, lineWidth(stdout))}\n\n${file}\n`);
  if (open === true) await show(file, terminal);
}

/** Serves the page until Ctrl-C. @param check says what is wrong before anything is served */
async function watch(
  source: import("../report/live_server.js").LiveSource,
  check: () => Promise<unknown>,
  isOpened: boolean,
  { stdout, stderr }: Terminal,
): Promise<void> {
  await check();
  const { LiveServer } = await import("../report/live_server.js");
  const server = isOpened
    ? await openServed(source, (text) => stderr.write(`${text}\n`))
    : await LiveServer.start(source);
  stdout.write(`${server.url}\n`);
  stderr.write("press Ctrl-C to end\n");
  await new Promise<void>((resolve) => {
    const release = onStop(() => {
      release();
      resolve();
    });
  });
  await server.close();
}

/**
 * The directories of runs among those that are named, and in them.
 * @throws PenniError "bad-file" if one of them neither is a run nor holds any
 */
async function runDirectories(directories: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const directory of directories) found.push(...(await runsIn(directory)));
  return [...new Set(found)];
}

const isRun = (directory: string): boolean => existsSync(path.join(directory, "config.json"));

const isSweep = (directory: string): boolean => existsSync(path.join(directory, "sweep.json"));

async function runsIn(directory: string): Promise<readonly string[]> {
  // Its trials are runs.
  if (isSweep(directory)) return runsIn(path.join(directory, "trials"));
  if (isRun(directory) || !(await stat(directory).catch(() => undefined))?.isDirectory()) return [directory];
  const inside = (await readdir(directory).catch(() => [])).sort().map((name) => path.join(directory, name));
  const runs = inside.filter(isRun);
  // A directory without any is named by whoever reads it.
  return runs.length === 0 ? [directory] : runs;
}
