import { useEffect, useRef } from "preact/hooks";
import type { Pixels } from "../worker/network_calls.js";

interface PixelImageProps {
  readonly pixels: Pixels;
  readonly label: string;
  readonly class: string;
  /** Pixels of the screen. */
  readonly widest?: number;
}

/** Pixels as an image. */
export function PixelImage({ pixels, label, class: className, widest }: PixelImageProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height, rgba } = pixels;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    context?.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  }, [rgba, width, height]);
  return (
    <canvas
      ref={canvas}
      class={className}
      style={widest === undefined ? {} : { maxWidth: `${widest}px` }}
      width={width}
      height={height}
      role="img"
      aria-label={label}
    />
  );
}
