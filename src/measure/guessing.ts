import { shareInterval } from "./interval.js";

/** What guessing gets right at best, of as many images of each class, is 1 / classes: a network near that knows nothing. */
const NEAR = 1.5;

/** Whether so few answers are right that guessing among so many classes may have given them. */
export function mayBeGuessing(
  { correct, total }: { readonly correct: number; readonly total: number },
  classes: number,
): boolean {
  const chance = 1 / classes;
  return correct <= NEAR * chance * total && shareInterval(correct, total).low <= chance;
}

/** What makes a trained network look as if it guessed. */
export const GUESSING_CAUSES =
  "the classes may be in another order than the network's outputs (--classes FILE), the pictures not as it takes them " +
  "(--mean, --std, --scale, --color), or the network is not trained";
