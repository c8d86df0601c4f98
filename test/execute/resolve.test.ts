import assert from "node:assert/strict";
import { test } from "node:test";
import { type Provider, providers, requirements } from "../../src/execute/device.js";
import { refusalOf, resolveDevice } from "../../src/execute/resolve.js";
import { PenniError } from "../../src/graph/errors.js";

test("the CPU is always usable", async () => {
  assert.deepEqual(await resolveDevice("cpu"), { provider: "cpu", reason: "asked for" });
});

for (const provider of ["webgpu", "cuda"] as const) {
  test(`${provider} is usable, or an error says what is missing and what to install`, async () => {
    const outcome = await resolveDevice(provider).catch((error: unknown) => error);
    if (!(outcome instanceof PenniError)) {
      assert.deepEqual(outcome, { provider, reason: "asked for" });
      return;
    }
    assert.equal(outcome.code, "unsupported");
    assert.match(outcome.message, new RegExp(`"${provider}" is not usable here: found .+--device cpu$`));
    assert.ok(outcome.message.includes(requirements[provider]));
  });
}

test("auto takes what is usable and says why not the others", async () => {
  const { provider, reason } = await resolveDevice("auto");
  assert.ok(providers.includes(provider));
  const passedOver: Readonly<Record<Provider, readonly string[]>> = {
    cuda: [],
    webgpu: ["no cuda: "],
    cpu: ["no cuda: ", "no webgpu: "],
  };
  for (const text of passedOver[provider]) assert.ok(reason.includes(text), reason);
});

test("auto leaves out adapters that compute on the CPU", () => {
  assert.equal(refusalOf({ usable: true, milliseconds: 5, cpuMilliseconds: 3 }), undefined);
  assert.match(`${refusalOf({ usable: true, milliseconds: 600, cpuMilliseconds: 3 })}`, /200 times as long/);
  assert.equal(refusalOf({ usable: false, reason: "no adapter" }), "no adapter");
});
