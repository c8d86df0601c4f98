import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { reported } from "../../src/cli/reported.js";
import type { RunView } from "../../src/cli/run_view.js";
import { LiveServer } from "../../src/report/live_server.js";
import { ReportSource } from "../../src/report/sources.js";
import { PenniProcess } from "../../support/penni_process.js";
import { appendEpoch, epoch, writeReportRun } from "../../support/report_run.js";
import { until } from "../../support/until.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-live-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
const at = (name: string): string => path.join(folder, name);
await writeReportRun(at("run"), { until: "decompose" });

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

function ask(url: URL, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request(url, { headers, method }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    })
      .on("error", reject)
      .end();
  });
}

/** A watcher's events, as they come. */
function events(url: URL): { readonly text: () => string; readonly ended: Promise<void> } {
  let text = "";
  const ended = new Promise<void>((resolve) => {
    get(url, (response) => {
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("close", resolve);
    }).on("error", () => resolve());
  });
  return { text: () => text, ended };
}

test("the page is served to whoever knows the address, under this machine's name, to be read only", async () => {
  const server = await LiveServer.start(new ReportSource([at("run")]));
  try {
    const url = new URL(server.url);
    assert.equal(url.hostname, "127.0.0.1");
    assert.match(url.pathname, /^\/[0-9a-f]{32}\/$/);
    const page = await ask(url);
    assert.equal(page.status, 200);
    assert.match(page.text, /data-live data-version="[0-9a-f]{16}"/);
    assert.match(String(page.headers["content-security-policy"]), /default-src 'none'.*connect-src 'self'/);
    assert.equal(page.headers["cache-control"], "no-store");
    assert.equal((await ask(url, { Host: `localhost:${url.port}` })).status, 200);
    const refused: readonly (readonly [URL, Record<string, string>])[] = [
      [url, { Host: "attacker.example" }],
      [url, { Host: `attacker.example:${url.port}` }],
      [url, { Host: "127.0.0.1" }],
      [new URL("/", url), {}],
      [new URL(`/${"0".repeat(32)}/`, url), {}],
      [new URL(`${url.pathname.slice(0, -1)}`, url), {}],
      [new URL(`${url.pathname}a/b`, url), {}],
      [new URL("/events", url), {}],
    ];
    for (const [address, headers] of refused) {
      const { status, text } = await ask(address, headers);
      assert.equal(status, 403, `${address.pathname} ${headers.Host}`);
      assert.equal(text, "This address is not served here.\n");
    }
    assert.equal((await ask(url, {}, "POST")).status, 405);
    assert.equal((await ask(new URL("other", url))).status, 404);
  } finally {
    await server.close();
  }
});

test("watchers are told of every change, and of the end; the page is then the last one", async () => {
  const server = await LiveServer.start(new ReportSource([at("run")]));
  const url = new URL(server.url);
  const watcher = events(new URL("events", url));
  const versions = (): readonly string[] =>
    [...watcher.text().matchAll(/event: version\ndata: (\w+)/g)].map(([, version]) => version ?? "");
  await until(() => versions().length === 1);
  const first = await ask(url);
  assert(first.text.includes(`data-version="${versions()[0]}"`));
  await appendEpoch(at("run"), epoch(2, { stage: "fine-tune" }));
  await until(() => versions().length === 2);
  assert.notEqual(versions()[1], versions()[0]);
  const second = await ask(url);
  assert(second.text.includes(`data-version="${versions()[1]}"`));
  await server.close();
  await watcher.ended;
  assert.match(watcher.text(), /event: end/);
});

const view: RunView & { readonly notices: string[] } = {
  notices: [],
  stage: () => undefined,
  stop: () => undefined,
  notice(text) {
    this.notices.push(text);
  },
};

test("a run keeps its report, says who works on it, and opens it where that is asked for", {
  skip: process.platform === "linux" ? false : "needs xdg-open, which a script stands for",
}, async () => {
  const run = await writeReportRun(at("opened"), { until: "simplify" });
  mkdirSync(at("bin"));
  writeFileSync(
    at("bin/xdg-open"),
    `#!/bin/sh\nprintf %s "$1" > ${at("address")}.new && mv ${at("address")}.new ${at("address")}\n`,
  );
  chmodSync(at("bin/xdg-open"), 0o755);
  const before = process.env.PATH;
  process.env.PATH = `${at("bin")}${path.delimiter}${before}`;
  try {
    const result = await reported(
      run,
      view,
      { words: ["compress", "m<b>.onnx"], isOpened: true },
      async (listener) => {
        listener.stage("decompose");
        await until(() => existsSync(at("address")));
        const url = new URL(readFileSync(at("address"), "utf8"));
        assert.match((await ask(url)).text, /class="pill stopped"/);
        await appendEpoch(run.root, epoch(1));
        listener.epoch?.(epoch(1));
        await until(
          () =>
            existsSync(path.join(run.root, "report.html")) &&
            readFileSync(path.join(run.root, "report.html"), "utf8").includes('id="training"'),
        );
        return 7;
      },
    );
    assert.equal(result, 7);
  } finally {
    process.env.PATH = before;
  }
  const html = readFileSync(path.join(run.root, "report.html"), "utf8");
  assert.match(html, /penni compress &#39;m&lt;b&gt;\.onnx&#39;/);
  assert.match(
    view.notices.join("\n"),
    /the report is at http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/\nreport: .*report\.html$/,
  );
});

test("a report that cannot be written does not end a run", async () => {
  const run = await writeReportRun(at("unwritable"), { until: "simplify" });
  mkdirSync(path.join(run.root, "report.html"));
  const own = { ...view, notices: [] as string[] };
  const result = await reported(run, own, { words: [], isOpened: false }, async (listener) => {
    listener.stage("decompose");
    return "done";
  });
  assert.equal(result, "done");
  assert.equal(own.notices.length, 1);
  assert.match(own.notices[0] ?? "", /^no report: .*report\.html/);
});

test("penni report --watch says where it serves and ends with Ctrl-C", async () => {
  const process = new PenniProcess(["report", "--watch", at("run")]);
  await process.until(() => process.output.includes("press Ctrl-C to end"));
  process.signal("SIGINT");
  const { status, stdout } = await process.ended;
  assert.equal(status, 0);
  assert.match(stdout, /^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/\n$/);
});
