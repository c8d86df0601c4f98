import { load } from "penni/runtime";
import compiled from "../compiled/model.wasm";

const loading = load(compiled);
const LARGEST_SIDE = 4096;

export default {
  async fetch(request) {
    if (request.method !== "POST") return new Response("POST the pixels of an ImageData", { status: 405 });
    const { searchParams } = new URL(request.url);
    const [width, height] = ["width", "height"].map((name) => Number(searchParams.get(name)));
    if (![width, height].every((side) => Number.isInteger(side) && side > 0 && side <= LARGEST_SIDE))
      return new Response(`width and height: whole numbers up to ${LARGEST_SIDE}`, { status: 400 });
    const data = new Uint8Array(await request.arrayBuffer());
    if (data.length !== 4 * width * height)
      return new Response(`expected ${4 * width * height} bytes, found ${data.length}`, { status: 400 });
    const model = await loading;
    return Response.json(model.classify({ width, height, data }).slice(0, 5));
  },
};
