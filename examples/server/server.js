import { createServer } from "node:http";
import { availableParallelism } from "node:os";
import sharp from "sharp";
import { Pool } from "./pool.js";

const [model, port = "8080"] = process.argv.slice(2);
if (model === undefined) throw new Error("usage: node server.js MODEL.wasm [PORT]");

const LARGEST_BODY = 20 * 2 ** 20;
const pool = new Pool(model, availableParallelism());

const server = createServer(async (request, response) => {
  const answer = (status, value) =>
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
  try {
    const picture = await bodyOf(request);
    if (picture === undefined) return answer(413, { problem: `at most ${LARGEST_BODY} bytes` });
    answer(200, await pool.classify(await pixelsOf(picture)));
  } catch (error) {
    answer(400, { problem: String(error) });
  }
});
server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));

for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, async () => {
    server.close();
    await pool.close();
  });

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A picture's pixels, upright, as `classify` takes them. */
async function pixelsOf(picture) {
  const { data, info } = await sharp(picture)
    .rotate()
    .toColourspace("srgb")
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: new Uint8Array(data) };
}
