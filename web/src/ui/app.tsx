import { useEffect, useState } from "preact/hooks";
import { openFiles } from "../actions/open.js";
import { dropPictures } from "../actions/pictures.js";
import { Downloads } from "./downloads.js";
import { Figures } from "./figures.js";
import { Kernels } from "./kernels.js";
import { Layers } from "./layers.js";
import { Opener } from "./opener.js";
import { PicturesSection } from "./pictures.js";
import { RaceSection } from "./race.js";
import { SettingsPanel } from "./settings.js";
import { Summary } from "./summary.js";

export function App() {
  const isOver = useDrops();
  return (
    <div class={isOver ? "page over" : "page"}>
      <header class="container">
        <h1>Penni playground</h1>
        <p>
          Makes a trained CNN small and fast. Everything happens in this page: no file and no picture leaves
          your browser.
        </p>
      </header>
      <main class="container">
        <Opener />
        <Summary />
        <PicturesSection />
        <div>
          <Figures />
          <SettingsPanel />
        </div>
        <RaceSection />
        <Downloads />
        <Layers />
        <Kernels />
      </main>
    </div>
  );
}

/** Files may be dropped anywhere: a network, or pictures for it. @returns whether some are held over the page */
function useDrops(): boolean {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent): void => {
      event.preventDefault();
      setOver(event.dataTransfer?.types.includes("Files") === true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      setOver(false);
      if (event.dataTransfer !== null) take([...event.dataTransfer.files]);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  return isOver;
}

/** Pictures by what the browser says of their type; what is none is a network, which tells what is wrong with it. */
function take(files: readonly File[]): void {
  const images = files.filter(({ type }) => type.startsWith("image/"));
  const others = files.filter(({ type }) => !type.startsWith("image/"));
  if (others.length > 0) void openFiles(others);
  else if (images.length > 0) void dropPictures(images);
}
