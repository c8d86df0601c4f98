// Runs when the package is installed, before the scripts of what it depends on: npm runs every package's "preinstall" before
// any "postinstall". That of onnxruntime-node on linux/x64 would download 300 MB of CUDA libraries from another server than
// the registry, which many networks do not allow, and an installation without them would fail. It looks first whether its
// files are there, so empty ones stand in for them; whoever asks for them by its own flag gets the real ones. Whatever
// goes wrong here must not end an installation.
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const flags = ["ONNXRUNTIME_NODE_INSTALL", "ONNXRUNTIME_NODE_INSTALL_CUDA"];
const isAsked = flags.some((flag) => process.env[flag] ?? process.env[`npm_config_${flag.toLowerCase()}`]);

try {
  const runtime = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  const binaries = path.join(path.dirname(runtime), "bin/napi-v6/linux/x64");
  const names = ["cuda", "shared", "tensorrt"].map((name) => `libonnxruntime_providers_${name}.so`);
  if (!isAsked && process.platform === "linux" && process.arch === "x64" && existsSync(binaries))
    for (const name of names) {
      const file = path.join(binaries, name);
      if (!existsSync(file)) writeFileSync(file, "");
    }
} catch {
  // Without onnxruntime-node the commands that need it say how to install it.
}
