import { API } from "./pages.js";

/** What stands above the README on the first page. */
export const home = {
  layout: "home",
  hero: {
    name: "Penni",
    text: "Small, fast convolutional networks",
    tagline:
      "Takes a trained network as ONNX, finds what its kernels share, removes what it does not need, and gives ONNX, WebAssembly or C back. No Python, no GPU.",
    actions: [
      { theme: "brand", text: "From your model to a page", link: "/start" },
      { theme: "alt", text: "How it works", link: "/method" },
    ],
  },
  features: [
    {
      title: "Few kernels, shared",
      details:
        "Thousands of kernels become combinations of five: a layer of ResNet-18 keeps 87.4 % of its energy.",
      link: "/method",
      linkText: "The method",
    },
    {
      title: "No labels needed",
      details: "Some hundred pictures in a folder and some minutes; classifiers, detectors and U-Nets alike.",
      link: "/no-labels",
      linkText: "No labels",
    },
    {
      title: "Zeros become speed",
      details:
        "Compiled to WebAssembly, C or a Node addon, only what is left is computed: by a loader without dependencies.",
      link: "/compile",
      linkText: "Browsers, Node, C",
    },
    {
      title: "Measured, and said",
      details:
        "Accuracy before and after with its interval, in a report of pictures; every figure here has its command.",
      link: "/benchmarks",
      linkText: "Benchmarks",
    },
    {
      title: "As small as you ask",
      details:
        "A size in kilobytes, a latency in milliseconds, a loss in points: or a whole curve of trade-offs.",
      link: "/choosing",
      linkText: "Choosing",
    },
    {
      title: "A library, too",
      details: "Every step is a typed function from graph to graph; what needs no file runs in the browser.",
      link: API,
      target: "_self",
      linkText: "API reference",
    },
  ],
} as const;
