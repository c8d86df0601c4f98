import type { NetworkCalls } from "../worker/network_calls.js";
import { Remote } from "../worker/rpc.js";
import type { RuntimeCalls } from "../worker/runtime_calls.js";

/** The workers that live as long as the page. */

export const networkWorker = new Remote<NetworkCalls>(
  () => new Worker(new URL("../worker/network.ts", import.meta.url), { type: "module" }),
);

export const runtimeWorker = new Remote<RuntimeCalls>(
  () => new Worker(new URL("../worker/runtime.ts", import.meta.url), { type: "module" }),
);
