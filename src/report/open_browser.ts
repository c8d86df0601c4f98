import { spawn } from "node:child_process";

type Command = readonly [program: string, ...args: string[]];

/** What opens an address or a file with the program that the user has chosen for it. */
const openers: Readonly<Partial<Record<NodeJS.Platform, Command>>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};
const otherwise: Command = ["xdg-open"];

/** Opens an address in the user's browser. @returns whether that could be tried: not everywhere there is a screen */
export function openBrowser(address: string): Promise<boolean> {
  const [program, ...args] = openers[process.platform] ?? otherwise;
  return new Promise((resolve) => {
    const child = spawn(program, [...args, address], { stdio: "ignore", detached: true });
    child.once("error", () => resolve(false));
    child.once("spawn", () => {
      child.unref();
      resolve(true);
    });
  });
}
