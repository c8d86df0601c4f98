import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { milliseconds } from "../../../src/report/format.js";
import { look } from "../actions/compile.js";
import type { Look } from "../worker/runtime_calls.js";
import { Answers, Boxes, isAnswer } from "./answers.js";

/** Both networks on what the camera sees. */
export function Camera() {
  const [stream, setStream] = useState<MediaStream>();
  const [failure, setFailure] = useState<string>();
  const video = useRef<HTMLVideoElement>(null);
  const found = useLooks(stream, video, setFailure);
  useEffect(() => {
    if (video.current !== null && stream !== undefined) video.current.srcObject = stream;
    return () => {
      stream?.getTracks().forEach((track) => {
        track.stop();
      });
    };
  }, [stream]);
  const start = async (): Promise<void> => {
    try {
      setFailure(undefined);
      setStream(await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }));
    } catch (error) {
      setFailure(`The camera cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  return (
    <div class="camera">
      <button
        type="button"
        class="secondary"
        onClick={() => (stream === undefined ? void start() : setStream(undefined))}
      >
        {stream === undefined ? "Look through the camera" : "Camera off"}
      </button>
      {failure !== undefined && (
        <div class="failure" role="alert">
          {failure}
        </div>
      )}
      {stream !== undefined && (
        <figure>
          <div class="framed">
            <video ref={video} autoPlay muted playsInline aria-label="What the camera sees" />
            {found !== undefined && (
              <Boxes
                original={found.original.seen}
                compiled={found.compiled.seen}
                width={found.width}
                height={found.height}
              />
            )}
          </div>
          {found !== undefined && (
            <figcaption>
              {isAnswer(found.original.seen) && (
                <Answers original={found.original.seen} compiled={found.compiled.seen} />
              )}
              <small>{`${milliseconds(found.original.ms)} and ${milliseconds(found.compiled.ms)}`}</small>
            </figcaption>
          )}
        </figure>
      )}
    </div>
  );
}

/** Not more often, so that answers can be read. */
const PAUSE_MS = 150;

/** What both see, again and again as long as there is a stream. */
function useLooks(
  stream: MediaStream | undefined,
  video: RefObject<HTMLVideoElement | null>,
  fail: (text: string) => void,
): Look | undefined {
  const [found, setFound] = useState<Look>();
  useEffect(() => {
    if (stream === undefined) return;
    let isOn = true;
    const again = async (): Promise<void> => {
      while (isOn) {
        const { current } = video;
        if (current !== null && current.videoWidth > 0)
          setFound(await look(await createImageBitmap(current)));
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    };
    again().catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
    return () => {
      isOn = false;
    };
  }, [stream, video, fail]);
  return found;
}
