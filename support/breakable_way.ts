import { connect, createServer, type Server, type Socket } from "node:net";

/** A way to a server of this machine that can be cut and mended: what a browser sees when a connection is lost. */
export class BreakableWay {
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private port = 0;

  /** @param target the port to lead to; its name is put into requests in place of the way's own */
  constructor(private readonly target: number) {}

  /** Opens the way, at the port it had before. @returns the port */
  async open(): Promise<number> {
    const server = createServer((client) => {
      const onward = connect(this.target, "127.0.0.1");
      for (const socket of [client, onward]) {
        this.sockets.add(socket);
        socket.on("error", () => socket.destroy());
        socket.on("close", () => {
          client.destroy();
          onward.destroy();
          this.sockets.delete(socket);
        });
      }
      client.on("data", (chunk) => {
        onward.write(chunk.toString("latin1").replaceAll(`:${this.port}`, `:${this.target}`), "latin1");
      });
      onward.pipe(client);
    });
    this.server = server;
    this.port = await new Promise((resolve) => {
      server.listen(this.port, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    return this.port;
  }

  /** Ends all connections; new ones are refused. */
  async cut(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
