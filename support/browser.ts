import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { projectRoot } from "./shared.js";

/** Where Debian puts Chromium, with a Vulkan driver that computes on the CPU (SwiftShader) beside it. */
export const CHROMIUM = "/usr/bin/chromium";
const CHROMIUM_LIBRARIES = "/usr/lib/chromium";

/** For `skip`: false, or the reason. */
export const withoutChromium: string | false = existsSync(CHROMIUM)
  ? false
  : `needs Chromium (${CHROMIUM}), which is not here`;

/** Environment in which a process finds Chromium's software Vulkan driver; undefined where there is none. */
export function softwareVulkan(): NodeJS.ProcessEnv | undefined {
  const driver = path.join(CHROMIUM_LIBRARIES, "vk_swiftshader_icd.json");
  if (!existsSync(driver) || !existsSync(path.join(CHROMIUM_LIBRARIES, "libvulkan.so.1"))) return undefined;
  return { ...process.env, LD_LIBRARY_PATH: CHROMIUM_LIBRARIES, VK_ICD_FILENAMES: driver };
}

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  // Nothing that looks for the network by itself.
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const contentTypes: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
};

/** Bare names that modules of dist/ import, as the files that Node would resolve them to. */
const importMap = {
  imports: {
    "onnxruntime-common": "/node_modules/onnxruntime-common/dist/esm/index.js",
    "onnxruntime-web/wasm": "/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs",
    "onnxruntime-web/webgpu": "/node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs",
    "@bufbuild/protobuf": "/node_modules/@bufbuild/protobuf/dist/esm/index.js",
    "@bufbuild/protobuf/codegenv2": "/node_modules/@bufbuild/protobuf/dist/esm/codegenv2/index.js",
    "@bufbuild/protobuf/wire": "/node_modules/@bufbuild/protobuf/dist/esm/wire/index.js",
  },
};

/** What a page is given and where it answers: GET and POST of this path, as JSON. */
export const EXCHANGE = "/exchange";

/**
 * Runs a module of dist/ in headless Chromium, on a cross-origin isolated page from localhost, until it posts.
 * The browser is killed in every case.
 * @param module path below the project's root
 * @param given JSON for the module
 * @returns what the module posted
 */
export async function inBrowser(module: string, given: unknown, limitMs = 60_000): Promise<unknown> {
  const profile = mkdtempSync(path.join(tmpdir(), "penni-browser-"));
  let browser: ChildProcess | undefined;
  let server: Server | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer from the page in ${limitMs} ms`)), limitMs);
      server = createServer((request, response) => {
        serve(request, response, module, given, resolve).catch(reject);
      });
      server.listen(0, "127.0.0.1", () => {
        const address = server?.address();
        const port = typeof address === "object" ? address?.port : undefined;
        // A group of its own, so that all its processes can be ended at once.
        browser = spawn(CHROMIUM, [...flags, `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/`], {
          stdio: "ignore",
          detached: true,
        });
        browser.on("error", reject);
      });
    });
  } finally {
    clearTimeout(timer);
    await endGroup(browser);
    server?.closeAllConnections();
    server?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function endGroup(child: ChildProcess | undefined): Promise<void> {
  const { pid } = child ?? {};
  if (child === undefined || pid === undefined || child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    process.kill(-pid, "SIGKILL");
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  module: string,
  given: unknown,
  answered: (answer: unknown) => void,
): Promise<void> {
  // Without these a page has no threads.
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (pathname === EXCHANGE && request.method === "POST") {
    const answer = JSON.parse(await bodyOf(request));
    response.end(() => answered(answer));
    return;
  }
  if (pathname === EXCHANGE) {
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(given));
    return;
  }
  if (pathname === "/") {
    response.setHeader("Content-Type", "text/html").end(pageOf(module));
    return;
  }
  const file = path.join(projectRoot, path.normalize(pathname));
  if (!/^\/(dist|node_modules)\//.test(path.normalize(pathname)) || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  const type = contentTypes[path.extname(file)] ?? "application/octet-stream";
  response.setHeader("Content-Type", type).end(await readFile(file));
}

function pageOf(module: string): string {
  return `<!doctype html>
<title>Penni</title>
<script type="importmap">${JSON.stringify(importMap)}</script>
<script type="module" src="/${module}"></script>
`;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
