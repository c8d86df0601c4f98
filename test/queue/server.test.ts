import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { describe, test } from "node:test";
import { queueAddress } from "../../src/queue/address.js";
import { Bell } from "../../src/queue/bell.js";
import { awaitServer, checkServer, isAway, problemOf, unreachable } from "../../src/queue/server.js";
import { freePort, TestRedis, withoutRedis } from "../../support/redis_server.js";
import { until } from "../../support/until.js";

const FOREVER = Number.POSITIVE_INFINITY;
const PASSWORD = "s3cret/word";

function waiting(url: string, limitMs: number) {
  const notices: string[] = [];
  const bell = new Bell();
  const notice = (text: string): void => void notices.push(text);
  return { notices, bell, found: awaitServer(queueAddress(url), { limitMs, bell, notice }) };
}

/** Something that listens and is no Redis. */
async function listening<Result>(
  greet: (socket: Socket) => void,
  work: (url: string) => Promise<Result>,
): Promise<Result> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined);
    greet(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  try {
    return await work(`redis://ann:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/0`);
  } finally {
    server.close();
  }
}

describe("a server that is not there yet", () => {
  test("is waited for, and that is said once", { skip: withoutRedis }, async () => {
    const redis = await TestRedis.later({ password: PASSWORD });
    const { notices, found } = waiting(redis.url, FOREVER);
    await until(() => notices.length > 0);
    await redis.up();
    try {
      assert.match((await found)?.version ?? "", /^\d+\./);
      const shown = `redis://127.0.0.1:${redis.port}/0`;
      assert.match(notices[0] ?? "", /ECONNREFUSED.*: waiting$/);
      assert.deepEqual(
        notices.map((text) => text.replace(/ \(.*\)/, "")),
        [`${shown} is not there yet: waiting`, `${shown} is there`],
      );
      assert.doesNotMatch(notices.join(), /s3cret/);
      // What no waiting mends.
      for (const [url, message] of [
        [redis.url.replace(/:s3cret.*@/, ""), /does not let us in.*NOAUTH.*Check user and password/],
        [redis.url.replace("s3cret", "s3cret2"), /does not let us in.*WRONGPASS/],
        [redis.url.replace(/0$/, "99"), /has no such database.*DB index/],
      ] as const) {
        const { notices: said, found: none } = waiting(url, FOREVER);
        await assert.rejects(none, (error: Error) => {
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        });
        assert.deepEqual(said, []);
      }
    } finally {
      await redis.end();
    }
  });

  test("is waited for no longer than asked, or until the bell rings", async () => {
    const url = `redis://127.0.0.1:${await freePort()}/0`;
    await assert.rejects(waiting(url, 0).found, /cannot be reached: found .*ECONNREFUSED/);
    await assert.rejects(waiting(url, 50).found, /cannot be reached after 0\.05 s: found .*ECONNREFUSED/);
    const { notices, bell, found } = waiting(url, FOREVER);
    await until(() => notices.length > 0);
    bell.ring();
    assert.equal(await found, undefined);
  });

  test("is none where a host does not exist or something else answers; what only stands before it is none, too", async () => {
    const unknown = waiting(
      `redis://ann:${encodeURIComponent(PASSWORD)}@no.such.host.example:6379/0`,
      20_000,
    );
    await assert.rejects(unknown.found, /no\.such\.host\.example.*knows a host of that name/);
    await listening(
      (socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
      async (url) => {
        await assert.rejects(waiting(url, FOREVER).found, /what answers there is no Redis/);
        await assert.rejects(checkServer(queueAddress(url)), /what answers there is no Redis/);
      },
    );
    // As a port that is passed on to a container which does not run.
    await listening(
      (socket) => void socket.destroy(),
      async (url) => {
        const { notices, bell, found } = waiting(url, FOREVER);
        await until(() => notices.length > 0);
        bell.ring();
        await found;
        assert.match(notices.join(), /if it speaks TLS, its address begins with rediss:\/\/.*: waiting$/);
        assert.doesNotMatch(notices.join(), /s3cret/);
      },
    );
  });

  test("is told of in sentences of its own, however its own end", () => {
    const address = queueAddress("redis://head");
    for (const [said, shown] of [
      ["WRONGPASS invalid username-password pair or user is disabled.", "disabled. Check user"],
      ["NOAUTH Authentication required", "required. Check user"],
      ["NOPERM why not?", "not? Check user"],
    ] as const)
      assert.ok(unreachable(address, new Error(said)).message.includes(shown), said);
  });

  test("errors that stand for several say what those are", () => {
    const refused = (address: string): Error =>
      Object.assign(new Error(`connect ${address}`), { code: "ECONNREFUSED" });
    const several = Object.assign(new AggregateError([refused("::1"), refused("127.0.0.1")], ""), {
      code: "ECONNREFUSED",
    });
    assert.equal(problemOf(several), "connect ::1 ECONNREFUSED, connect 127.0.0.1 ECONNREFUSED");
    assert.equal(problemOf(new Error("")), "no answer");
    assert.deepEqual([several, new Error(""), new Error("WRONGPASS no")].map(isAway), [true, true, false]);
  });
});
