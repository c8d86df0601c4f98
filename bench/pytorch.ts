import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What to do where no Python with PyTorch is found. */
export const PYTORCH_ADVICE =
  "PyTorch is not installed: apt-get install python3-torch, or name a Python that has it in PENNI_PYTHON";

/** A Python interpreter that has PyTorch: the one in PENNI_PYTHON, or python3; undefined if none has. */
export function findPyTorch(): string | undefined {
  const named = process.env.PENNI_PYTHON;
  const candidates = named === undefined ? ["python3", "/usr/bin/python3"] : [named];
  return candidates.find(
    (program) => spawnSync(program, ["-c", "import torch"], { stdio: "ignore" }).status === 0,
  );
}

/** A script of `bench/pytorch`, which is not compiled and stays where it is. */
export function pytorchScript(name: string): string {
  return fileURLToPath(new URL(`../../bench/pytorch/${name}`, import.meta.url));
}
