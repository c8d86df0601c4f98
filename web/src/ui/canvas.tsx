import { useEffect, useRef } from "preact/hooks";
import type { Pixels } from "../worker/network_calls.js";

/** Pixels as an image. */
export function PixelImage({
  pixels,
  label,
  class: className,
}: {
  readonly pixels: Pixels;
  readonly label: string;
  readonly class?: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height, rgba } = pixels;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    context?.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  }, [rgba, width, height]);
  return (
    <canvas
      ref={canvas}
      class={className ?? ""}
      width={width}
      height={height}
      role="img"
      aria-label={label}
    />
  );
}
