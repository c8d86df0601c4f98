/** What executes a graph: ONNX Runtime's execution providers that Penni uses. */
export const providers = ["cpu", "webgpu", "cuda"] as const;
export type Provider = (typeof providers)[number];

/** What a user asks for; "auto" is the first usable one of CUDA, WebGPU and the CPU. */
export const devices = [...providers, "auto"] as const;
export type Device = (typeof devices)[number];

/**
 * Whether a session's outputs can stay on the device and be fed to the next run. CUDA could, but
 * onnxruntime-node 1.30 hands over no buffers but WebGPU's (`OrtValueToNapiValue` in js/node/src/tensor_helper.cc
 * asks for the allocator "WebGPU_Buf"), so with CUDA the state goes through the host's memory in every step.
 */
export const keepsOutputs: Readonly<Record<Provider, boolean>> = { cpu: false, webgpu: true, cuda: false };

/** What a provider needs before it works, as advice after the reason why it does not. */
export const requirements: Readonly<Record<Provider, string>> = {
  cpu: "Install Penni's dependencies again (npm ci)",
  webgpu:
    "WebGPU needs a graphics card and its driver: Vulkan on Linux x64 (Debian: libvulkan1 and " +
    "mesa-vulkan-drivers or NVIDIA's driver), Direct3D 12 on Windows, Metal on macOS; onnxruntime-node has " +
    "none for Linux arm64",
  cuda:
    "CUDA needs Linux x64, an NVIDIA driver, CUDA 12 and cuDNN 9 on the library path, and the provider " +
    "itself: ONNXRUNTIME_NODE_INSTALL=true npm rebuild --ignore-scripts=false onnxruntime-node",
};
