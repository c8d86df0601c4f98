import type { Redis } from "ioredis";

/** What a Redis server has done so far. */
export interface Work {
  readonly commands: ReadonlyMap<string, number>;
  readonly inBytes: number;
  readonly outBytes: number;
  readonly cpuSeconds: number;
}

export async function workOf(client: Redis): Promise<Work> {
  const sections = ["stats", "commandstats", "cpu"] as const;
  const [stats = "", commands = "", cpu = ""] = await Promise.all(sections.map((name) => client.info(name)));
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(`${stats}\n${cpu}`)?.[1]);
  return {
    commands: new Map(
      [...commands.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name = "", calls]) => [
        name,
        Number(calls),
      ]),
    ),
    inBytes: field("total_net_input_bytes"),
    outBytes: field("total_net_output_bytes"),
    cpuSeconds: field("used_cpu_user") + field("used_cpu_sys"),
  };
}

/** Commands that clients send; what scripts call within Redis is counted apart. */
const SENT = new Set([
  "evalsha",
  "eval",
  "bzpopmin",
  "xread",
  "info",
  "client",
  "hgetall",
  "hmget",
  "exists",
  "ping",
]);

/** What was done between two looks, per unit. */
export function describeWork(before: Work, after: Work, units: number): string {
  const all = [...after.commands].map(
    ([name, calls]) => [name, (calls - (before.commands.get(name) ?? 0)) / units] as const,
  );
  const shown = all.filter(([, calls]) => calls >= 0.05).sort((a, b) => b[1] - a[1]);
  const sum = (isSent: boolean): string =>
    all.reduce((total, [name, calls]) => total + (SENT.has(name) === isSent ? calls : 0), 0).toFixed(1);
  const bytes = (from: number, to: number): string => ((to - from) / units).toFixed(0);
  return [
    `${sum(true)} commands sent, ${sum(false)} more within scripts`,
    `${((1000 * (after.cpuSeconds - before.cpuSeconds)) / units).toFixed(2)} ms of Redis's CPU`,
    `${bytes(before.inBytes, after.inBytes)} bytes to Redis, ${bytes(before.outBytes, after.outBytes)} from it`,
    shown.map(([name, calls]) => `${name} ${calls.toFixed(2)}`).join(", "),
  ].join("; ");
}
