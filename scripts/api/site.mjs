// The API reference as a part of the documentation's site: every page leads back to it.
import { JSX } from "typedoc";

/** @param {import("typedoc").Application} application */
export function load({ renderer }) {
  renderer.hooks.on("content.begin", (context) =>
    JSX.createElement(
      "p",
      null,
      JSX.createElement("a", { href: context.relativeURL("../index.html") }, "← Penni's documentation"),
    ),
  );
}
