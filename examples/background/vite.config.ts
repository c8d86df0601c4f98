import penni from "penni/vite";
import { defineConfig } from "vite";

// A worker is bundled apart, with plug-ins of its own.
export default defineConfig({
  base: "./",
  plugins: [penni()],
  worker: { format: "es", plugins: () => [penni()] },
});
