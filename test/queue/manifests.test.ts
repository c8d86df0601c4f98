import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { createProgram } from "../../src/cli/program.js";
import { Output } from "../../src/cli/terminal.js";
import { manifestKinds } from "../../src/queue/manifest_kinds.js";
import { manifest } from "../../src/queue/manifests.js";
import { penni } from "../../support/command_line.js";

const folder = mkdtempSync(path.join(tmpdir(), "penni-manifests-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const labels = z.record(z.string(), z.string());

/** What Kubernetes documents of these objects, as far as the manifest uses them; anything else is a mistake. */
const container = z.strictObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()),
  env: z.array(
    z.strictObject({
      name: z.string(),
      valueFrom: z.strictObject({ secretKeyRef: z.strictObject({ name: z.string(), key: z.string() }) }),
    }),
  ),
  ports: z.array(z.strictObject({ containerPort: z.int() })).optional(),
  resources: z.strictObject({ requests: labels, limits: labels }).optional(),
  volumeMounts: z.array(z.strictObject({ name: z.string(), mountPath: z.string() })),
});
const volume = z.union([
  z.strictObject({ name: z.string(), persistentVolumeClaim: z.strictObject({ claimName: z.string() }) }),
  z.strictObject({ name: z.string(), emptyDir: z.strictObject({}) }),
]);
const template = z.strictObject({
  metadata: z.strictObject({ labels }),
  spec: z.strictObject({
    terminationGracePeriodSeconds: z.int().optional(),
    containers: z.array(container),
    volumes: z.array(volume),
  }),
});
const metadata = z.strictObject({ name: z.string() });
const selector = z.strictObject({ matchLabels: labels });
const workload = { replicas: z.int(), selector, template };
const object = z.discriminatedUnion("kind", [
  z.strictObject({
    apiVersion: z.literal("v1"),
    kind: z.literal("Service"),
    metadata,
    spec: z.strictObject({
      selector: labels,
      ports: z.array(z.strictObject({ port: z.int(), targetPort: z.int() })),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal("v1"),
    kind: z.literal("PersistentVolumeClaim"),
    metadata,
    spec: z.strictObject({
      accessModes: z.array(z.enum(["ReadWriteOnce", "ReadWriteMany"])),
      resources: z.strictObject({ requests: labels }),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal("apps/v1"),
    kind: z.literal("StatefulSet"),
    metadata,
    spec: z.strictObject({ ...workload, serviceName: z.string() }),
  }),
  z.strictObject({
    apiVersion: z.literal("apps/v1"),
    kind: z.literal("Deployment"),
    metadata,
    spec: z.strictObject(workload),
  }),
]);

const slurmJob = { SLURM_JOB_ID: "7", SLURM_CPUS_PER_TASK: "2" };

/** The words of the call of `penni worker` in a manifest, lines that a shell continues joined. */
function workerCalls(text: string): readonly (readonly string[])[] {
  return [...text.replaceAll("\\\n", " ").matchAll(/^(?!#).*\bpenni"? (worker .*)$/gm)].map(
    ([, words = ""]) => words.replace(/ &$/, "").trim().split(/\s+/),
  );
}

describe("penni worker --print", () => {
  test("prints each, with calls of penni worker that parse", async () => {
    const output = new Output(process.stdout, "nowhere");
    for (const kind of manifestKinds) {
      const { status, stdout } = await penni(["worker", "--print", kind]);
      assert.deepEqual([status, stdout], [0, manifest(kind)]);
      const calls = workerCalls(stdout);
      assert.equal(calls.length, 1, kind);
      for (const words of calls) {
        const program = await createProgram({ stdout: output, stderr: output }, words);
        for (const command of program.commands) command.action(() => undefined);
        // Variables of shells and of systemd stand for names, but for one.
        const plain = words.map((word) =>
          word
            .replace(/\$SLURM_CPUS_PER_TASK/, "2")
            .replace(/\$\{?[\w:/-]+\}?|%./g, "x")
            .replaceAll('"', ""),
        );
        await program.parseAsync(plain, { from: "user" });
        assert.ok(plain.includes("--store"));
      }
    }
  });

  test("the worker gets the signal that asks it to end, from whatever runs it", async (context) => {
    const bin = path.join(folder, "node_modules/.bin");
    mkdirSync(bin, { recursive: true });
    // Stand for npm, which has nothing to install here, and for a worker.
    writeFileSync(path.join(bin, "npm"), "#!/bin/sh\nexit 0\n");
    writeFileSync(
      path.join(bin, "penni"),
      `#!${process.execPath}
       process.on("SIGTERM", () => setTimeout(() => { console.log("given back"); process.exit(143); }, 300));
       setInterval(() => undefined, 1000);
       console.log("begun");`,
    );
    for (const name of ["npm", "penni"]) chmodSync(path.join(bin, name), 0o755);
    writeFileSync(path.join(folder, ".penni-queue"), "redis://:x@head:6379/0");
    const [, , , deployment] = parseAllDocuments(manifest("k8s")).map((each) => object.parse(each.toJSON()));
    const composed = z
      .object({ services: z.object({ worker: z.object({ command: z.array(z.string()) }) }) })
      .parse(parse(manifest("compose")));
    const script = path.join(folder, "fleet.sh");
    writeFileSync(script, manifest("slurm"));
    const calls = [
      deployment?.kind === "Deployment" ? deployment.spec.template.spec.containers[0]?.command : undefined,
      composed.services.worker.command,
      ["bash", script],
    ];
    for (const [program = "", ...words] of calls.map((call) => call ?? [])) {
      const child = spawn(program, words, {
        stdio: ["ignore", "pipe", "inherit"],
        env: { PATH: `${bin}:${process.env.PATH}`, HOME: folder, PENNI_STORE: folder, ...slurmJob },
      });
      let said = "";
      child.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said === "begun\n") child.kill("SIGTERM");
      });
      const status = await new Promise((resolve) => {
        child.on("error", () => resolve(undefined));
        child.on("close", resolve);
      });
      if (status === undefined) return context.skip(`needs ${program}`);
      assert.equal(said, "begun\ngiven back\n");
      assert.ok(status === 143 || status === 0, `${status}`);
    }
  });

  test("k8s: objects as Kubernetes has them, whose names fit together", () => {
    const documents = parseAllDocuments(manifest("k8s"));
    const objects = documents.map((document) => {
      assert.deepEqual(document.errors, []);
      return object.parse(document.toJSON());
    });
    assert.deepEqual(
      objects.map(({ kind }) => kind),
      ["Service", "PersistentVolumeClaim", "StatefulSet", "Deployment"],
    );
    for (const each of objects) {
      if (each.kind !== "StatefulSet" && each.kind !== "Deployment") continue;
      const { template: pods, selector: selected } = each.spec;
      assert.deepEqual(pods.metadata.labels, selected.matchLabels);
      const names = pods.spec.volumes.map(({ name }) => name);
      for (const { volumeMounts } of pods.spec.containers)
        assert.deepEqual(
          volumeMounts.map(({ name }) => name),
          names,
        );
    }
    assert.match(manifest("k8s"), /--requirepass "\$PASSWORD" --appendonly yes/);
  });

  test("compose: Redis with a password and persistence, workers that wait for it", () => {
    const service = {
      image: z.string(),
      command: z.array(z.string()),
      environment: labels,
      volumes: z.array(z.string()),
      restart: z.literal("unless-stopped"),
    };
    const file = z
      .strictObject({
        services: z.strictObject({
          redis: z.strictObject({
            ...service,
            ports: z.array(z.string()),
            healthcheck: z.strictObject({
              test: z.array(z.string()),
              interval: z.string(),
              timeout: z.string(),
              retries: z.int(),
            }),
          }),
          worker: z.strictObject({
            ...service,
            depends_on: z.strictObject({
              redis: z.strictObject({ condition: z.literal("service_healthy") }),
            }),
            stop_grace_period: z.string(),
          }),
        }),
        volumes: z.strictObject({ redis: z.strictObject({}) }),
      })
      .parse(parse(manifest("compose")));
    const { redis, worker } = file.services;
    assert.match(redis.command.join(" "), /--requirepass "\$\$REDIS_PASSWORD" --appendonly yes/);
    assert.ok(redis.volumes.includes("redis:/data"));
    assert.match(
      worker.environment.PENNI_QUEUE ?? "",
      /^redis:\/\/:\$\{REDIS_PASSWORD:\?.*\}@redis:6379\/0$/,
    );
  });

  test("slurm: a script that bash takes, whose directives come first", (context) => {
    const file = path.join(folder, "workers.sh");
    writeFileSync(file, manifest("slurm"));
    const lines = manifest("slurm").split("\n");
    const directives = lines.filter((line) => line.startsWith("#SBATCH"));
    assert.ok(directives.length > 5);
    const firstCommand = lines.findIndex((line) => line !== "" && !line.startsWith("#"));
    assert.ok(lines.findLastIndex((line) => line.startsWith("#SBATCH")) < firstCommand);
    for (const line of directives) assert.match(line, /^#SBATCH --[a-z-]+(?:=\S+)?$/);
    const checked = spawnSync("bash", ["-n", file], { encoding: "utf8" });
    if (checked.error !== undefined) return context.skip("needs bash");
    assert.deepEqual([checked.status, checked.stderr], [0, ""]);
  });

  test("systemd: a unit that systemd takes", (context) => {
    const file = path.join(folder, "penni-worker@.service");
    const text = manifest("systemd");
    writeFileSync(file, text);
    assert.match(text, /^EnvironmentFile=/m);
    assert.doesNotMatch(text, /^Environment=.*PENNI_QUEUE/m);
    const checked = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
    if (checked.error !== undefined) return context.skip("needs systemd-analyze");
    // It also looks for the program, the user and the mounts of a machine that this is not.
    const complaints = checked.stderr
      .split("\n")
      .filter(
        (line) =>
          line.includes("penni-worker@.service") && /Unknown|Failed to parse|Invalid|ignoring/.test(line),
      );
    assert.deepEqual(complaints, [], checked.stderr);
  });
});
