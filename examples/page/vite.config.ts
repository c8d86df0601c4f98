import penni from "penni/vite";
import { defineConfig } from "vite";

// Relative places: the page also works in a subfolder of its host.
export default defineConfig({ base: "./", plugins: [penni()] });
