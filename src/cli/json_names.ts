/** A string, or what JSON is made of between strings. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]/gs;

/**
 * Where an object of a JSON text has a name for the second time: JSON takes the last value, and says nothing of the others.
 * @param text JSON that can be parsed
 */
export function nameGivenTwice(text: string): { readonly name: string; readonly line: number } | undefined {
  // Of each object that is open the names that it has, of each list nothing.
  const open: (Set<string> | undefined)[] = [];
  let isName = false;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (isName && token !== ",") {
      const names = open.at(-1);
      // Names are compared as they are meant: "\u0061" is "a".
      const name = String(JSON.parse(token));
      if (names?.has(name) === true) return { name: token, line: text.slice(0, index).split("\n").length };
      names?.add(name);
    }
    isName = token === "{" || (token === "," && open.at(-1) !== undefined);
  }
  return undefined;
}
