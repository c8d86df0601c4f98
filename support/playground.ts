import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "vite";
import { projectRoot } from "./shared.js";

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Some folder of some host. */
const FOLDER = "/some/folder/";

/** The playground as `npm run web:build` makes it, behind a plain server of files. */
export interface Playground {
  readonly url: string;
  /** The built files. */
  readonly folder: string;
  /** What was asked for and is not there. */
  readonly missing: readonly string[];
  close(): Promise<void>;
}

export async function openPlayground(): Promise<Playground> {
  const folder = await mkdtemp(path.join(tmpdir(), "penni-playground-"));
  await build({
    root: path.join(projectRoot, "web"),
    configFile: path.join(projectRoot, "web/vite.config.ts"),
    logLevel: "error",
    build: { outDir: folder, emptyOutDir: true },
  });
  const missing: string[] = [];
  const server = serverOf(folder, missing);
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  return {
    url: `http://127.0.0.1:${port}${FOLDER}`,
    folder,
    missing,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Sends no header but the type: any static host does as much. */
function serverOf(folder: string, missing: string[]): Server {
  return createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const inside = pathname.startsWith(FOLDER) ? path.normalize(pathname.slice(FOLDER.length - 1)) : "";
    const file = path.join(folder, inside === "/" ? "index.html" : inside);
    if (inside === "" || !existsSync(file)) {
      missing.push(pathname);
      response.writeHead(404).end();
      return;
    }
    const type = contentTypes[path.extname(file)] ?? "application/octet-stream";
    readFile(file).then(
      (content) => response.setHeader("Content-Type", type).end(content),
      () => response.writeHead(500).end(),
    );
  });
}
