import type { CIdentifier } from "../../text/destinations.js";
import type { EmittedFile } from "../backend.js";

/** Of a module by its ending: a server's folder may have no package.json that says so. */
const RUNTIME = "penni-runtime.mjs";

/**
 * A server that answers what an addon computes of the float32 numbers that it gets, and the loader.
 * @param loader the text of penni/runtime
 */
export function addonExample(name: CIdentifier, loader: string): readonly EmittedFile[] {
  const runtime = loader.replace(/^\/\/# sourceMappingURL=.*\n?/m, "");
  return [
    { name: RUNTIME, content: runtime },
    { name: "server.mjs", content: server(name) },
  ];
}

const server = (name: CIdentifier): string => `/*
 * Computes ${name} for whoever posts its inputs: float32 numbers, one input after the other. Computing is done on
 * threads, so the server goes on answering. Start it with "node server.mjs"; then, for zeros:
 *   head -c $(curl -s localhost:8080) /dev/zero | curl -s --data-binary @- localhost:8080
 */
import { createServer } from "http";
import { buffer } from "stream/consumers";
import { load } from "./${RUNTIME}"; // or "penni/runtime"

const model = await load(new URL("${name}.node", import.meta.url));
const sizeOf = ({ dims }) => dims.reduce((size, dim) => size * dim, 1);
const bytes = model.inputs.reduce((sum, input) => sum + 4 * sizeOf(input), 0);

async function outputsOf(body) {
  let at = 0;
  const inputs = model.inputs.map((input) => {
    const from = at;
    at += 4 * sizeOf(input);
    return [input.name, new Float32Array(new Uint8Array(body.subarray(from, at)).buffer)];
  });
  const found = await model.runAsync(Object.fromEntries(inputs));
  const outputs = ArrayBuffer.isView(found) ? { [model.outputs[0].name]: found } : found;
  return Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, Array.from(data)]));
}

const server = createServer(async (request, response) => {
  const refuse = (why) => response.writeHead(400, { connection: "close" }).end(why);
  if (request.method !== "POST") return response.end(String(bytes));
  if (Number(request.headers["content-length"]) !== bytes)
    return refuse(\`expected \${bytes} bytes, found \${request.headers["content-length"]}\`);
  try {
    response.end(JSON.stringify(await outputsOf(await buffer(request))));
  } catch (error) {
    refuse(error.message);
  }
});
server.listen(Number(process.env.PORT || 8080), "127.0.0.1", () => {
  console.log(\`http://127.0.0.1:\${server.address().port} (\${model.isa})\`);
});
`;
