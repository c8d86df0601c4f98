import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { at } from "../graph/at.js";
import type { Html } from "../text/destinations.js";
import { contentPolicy, type LivePage } from "./shell.js";

/** What is served: a page that can be made anew, and a word that changes whenever that may be worth it. */
export interface LiveSource {
  fingerprint(): Promise<string>;
  page(live: LivePage): Promise<Html>;
  /** A page that this one leads to, by its path; undefined where there is none. */
  linked?(name: string): Promise<string | undefined>;
}

interface Rendered {
  readonly fingerprint: string;
  readonly version: string;
  readonly page: Html;
}

const HOST = "127.0.0.1";
/** Between two looks at the files, while somebody watches. */
const LOOK_MS = 1000;
/** Lines that keep a connection open. */
const BEAT_MS = 15_000;
/** How long the last state waits to be fetched before the server ends. */
const FAREWELL_MS = 5000;

const EVENTS = "events";

/**
 * Serves a page on this machine alone, at an address that nobody can guess, and tells open pages when it has changed
 * (server-sent events). Requests for another host's name are refused, so that no web page can read it by giving this
 * address a name of its own (DNS rebinding).
 */
export class LiveServer {
  private readonly watchers = new Set<ServerResponse>();
  /** Pages whose watchers have seen the latest version. */
  private rendered: Rendered | undefined;
  private fetched = "";
  private isEnding = false;
  private readonly loop: Promise<void>;

  private constructor(
    private readonly source: LiveSource,
    private readonly server: Server,
    private readonly token: string,
  ) {
    server.on("request", (request, response) => {
      this.answer(request, response).catch(() => response.destroy());
    });
    this.loop = this.look();
  }

  /** @throws what making the page throws; what listening throws */
  static async start(source: LiveSource): Promise<LiveServer> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, HOST, resolve);
    });
    return new LiveServer(source, server, randomBytes(16).toString("hex"));
  }

  get url(): string {
    return `http://${this.authority}/${this.token}/`;
  }

  private get authority(): string {
    return `${HOST}:${(this.server.address() as AddressInfo).port}`;
  }

  /** Ends the server once open pages have the last state, or after a few seconds. */
  async close(): Promise<void> {
    this.isEnding = true;
    await this.loop;
    const { version } = await this.renew().catch(() => ({ version: this.fetched }));
    this.tell("version", version);
    const until = Date.now() + FAREWELL_MS;
    while (this.watchers.size > 0 && this.fetched !== version && Date.now() < until) await sleep(50);
    this.tell("end", version);
    for (const watcher of this.watchers) watcher.end();
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async look(): Promise<void> {
    let beat = Date.now();
    while (!this.isEnding) {
      await sleep(LOOK_MS / 4);
      if (this.watchers.size === 0) continue;
      if (Date.now() - beat > BEAT_MS) {
        beat = Date.now();
        for (const watcher of this.watchers) watcher.write(":\n\n");
      }
      await sleep((3 * LOOK_MS) / 4);
      const before = this.rendered?.version;
      // A file that is being written: the next look will do.
      const { version } = await this.renew().catch(() => ({ version: before }));
      if (version !== undefined && version !== before) this.tell("version", version);
    }
  }

  /** The page as it is now; made anew only where the source has changed. */
  private async renew(): Promise<Rendered> {
    const fingerprint = await this.source.fingerprint();
    if (this.rendered?.fingerprint === fingerprint) return this.rendered;
    const draft = await this.source.page({ version: "" });
    const version = createHash("sha256").update(draft).digest("hex").slice(0, 16);
    const page = await this.source.page({ version });
    this.rendered = { fingerprint, version, page };
    return this.rendered;
  }

  private tell(event: string, data: string): void {
    for (const watcher of this.watchers) watcher.write(`event: ${event}\ndata: ${data}\n\n`);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = this.wanted(request);
    if (wanted === undefined) {
      response.writeHead(403, { "Content-Type": "text/plain" }).end("This address is not served here.\n");
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    if (wanted === EVENTS) return this.watch(request, response);
    const type = { ...headers, "Content-Type": "text/html; charset=utf-8" };
    if (wanted !== "") {
      const linked = await this.source.linked?.(wanted);
      if (linked === undefined) response.writeHead(404).end();
      else response.writeHead(200, type).end(linked);
      return;
    }
    const { page, version } = await this.renew();
    response.writeHead(200, type).end(page, () => {
      this.fetched = version;
    });
  }

  /** The part of the address behind the token; undefined where host or token are not ours. */
  private wanted({ headers: { host }, url = "" }: IncomingMessage): string | undefined {
    const port = this.authority.slice(HOST.length);
    if (host !== this.authority && host !== `localhost${port}`) return undefined;
    const [, token, ...rest] = at(url.split("?"), 0).split("/");
    const isServed = rest.length === 1 || (rest.length > 1 && this.source.linked !== undefined);
    return token !== undefined && isSame(token, this.token) && isServed ? rest.join("/") : undefined;
  }

  private async watch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.writeHead(200, { ...headers, "Content-Type": "text/event-stream" });
    response.write("retry: 1000\n\n");
    this.watchers.add(response);
    request.on("close", () => this.watchers.delete(response));
    const { version } = await this.renew();
    response.write(`event: version\ndata: ${version}\n\n`);
  }
}

const headers = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": contentPolicy(true),
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
} as const;

/** In a time that says nothing about where two texts differ. */
function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
