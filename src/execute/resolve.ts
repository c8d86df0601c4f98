import { type ChildProcess, fork } from "node:child_process";
import { PenniError } from "../graph/errors.js";
import { type Device, type Provider, requirements } from "./device.js";
import type { ProbeReport } from "./probe.js";

/** The provider that a device stands for in this process. */
export interface ResolvedDevice {
  readonly provider: Provider;
  /** Why it was chosen, in a few words. */
  readonly reason: string;
}

/** Drivers take seconds to start; what takes longer hangs. */
const PROBE_LIMIT_MS = 60_000;

/** "auto" leaves out what takes so many times as long as the CPU: a graphics card emulated in software. */
const EMULATION_FACTOR = 20;

/** In the order of preference. */
const accelerators: readonly Provider[] = ["cuda", "webgpu"];

const probes = new Map<Provider, Promise<ProbeReport>>();

/**
 * Finds out, by running a small graph in a process of its own (once per provider), what is usable here.
 * @throws PenniError "unsupported" naming what is missing and what to install; never for "cpu" and "auto"
 */
export async function resolveDevice(device: Device): Promise<ResolvedDevice> {
  if (device === "cpu") return { provider: "cpu", reason: "asked for" };
  if (device === "auto") return resolveAuto();
  const report = await probeProvider(device);
  if (report.usable) return { provider: device, reason: "asked for" };
  throw new PenniError("unsupported", `the device "${device}" is not usable here`, {
    found: report.reason,
    advice: `${requirements[device]}. Or use --device cpu`,
  });
}

async function resolveAuto(): Promise<ResolvedDevice> {
  const reasons: string[] = [];
  for (const provider of accelerators) {
    const refusal = refusalOf(await probeProvider(provider));
    if (refusal === undefined) {
      return { provider, reason: ["usable", ...reasons].join("; ") };
    }
    reasons.push(`no ${provider}: ${refusal}`);
  }
  return { provider: "cpu", reason: reasons.join("; ") };
}

/** Why "auto" does not take a provider; undefined if it does. */
export function refusalOf(report: ProbeReport): string | undefined {
  if (!report.usable) return report.reason;
  const { milliseconds, cpuMilliseconds } = report;
  if (milliseconds <= EMULATION_FACTOR * cpuMilliseconds) return undefined;
  return `its adapter takes ${Math.round(milliseconds / cpuMilliseconds)} times as long as the CPU`;
}

function probeProvider(provider: Provider): Promise<ProbeReport> {
  const known = probes.get(provider);
  if (known !== undefined) return known;
  const probe = reportOf(
    fork(new URL("./probe.js", import.meta.url), [provider], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    }),
  );
  probes.set(provider, probe);
  return probe;
}

function reportOf(child: ChildProcess): Promise<ProbeReport> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), PROBE_LIMIT_MS);
    let report: ProbeReport | undefined;
    let printed = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    child.on("message", (message: ProbeReport) => {
      report = message;
    });
    const end = (fallback: string): void => {
      clearTimeout(timer);
      resolve(explain(report ?? { usable: false, reason: fallback }, printed));
    };
    child.on("error", (error) => end(error.message));
    child.on("close", (code, signal) =>
      end(`the runtime ended the process (${signal === null ? `exit status ${code}` : `signal ${signal}`})`),
    );
  });
}

/** A library that cannot be loaded is named on stderr only; without one, the runtime's own reason stands. */
function explain(report: ProbeReport, printed: string): ProbeReport {
  if (report.usable) return report;
  const missing = [...printed.matchAll(/([\w.+-]+\.so[\w.]*): cannot open shared object file/g)].at(-1)?.[1];
  if (missing === undefined) return { usable: false, reason: shorten(report.reason) };
  return { usable: false, reason: `${missing} cannot be loaded` };
}

/** The end of a runtime's message, which says what happened, without the source position and assertion before. */
function shorten(reason: string): string {
  const line = reason.replace(/\s+/g, " ").trim();
  return line.replace(/^.*was false\. /, "").slice(0, 300);
}
