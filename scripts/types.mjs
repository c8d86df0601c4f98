// Leaves of the declarations in dist/ those that somebody who imports the package can come across: of each file the statements
// that an entry's names lead to, and of files without any, nothing.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

/** Where a statement of the compiler's declarations begins; every other line goes on with the one before. */
const beginning = /^(?:import|export|declare|type|interface|enum|abstract|class) /;
const declaration =
  /^(?:export )?(?:default )?(?:declare )?(?:abstract )?(?:function|const|let|class|enum|interface|type|namespace) (\w+)/;
const listed = /^(import|export) (type )?\{([^}]*)\}(?: from "([^"]+)")?;$/s;
const starred = /^(import|export) (?:type )?\* (?:as (\w+) )?from "([^"]+)";$/;

/** @typedef {{ comment: string, code: string }} Statement its documentation, and it */

/** @returns {Statement[]} */
function statementsOf(text) {
  const statements = [];
  let comment = "";
  let within = false;
  for (const line of text.split("\n")) {
    if (within || line.startsWith("/*")) {
      comment += `${line}\n`;
      within = !line.includes("*/");
    } else if (beginning.test(line)) {
      statements.push({ comment, code: line });
      comment = "";
    } else if (line !== "") {
      const last = statements.at(-1);
      if (last === undefined) throw new Error(`a declaration begins with what is not known: ${line}`);
      last.code += `\n${comment}${line}`;
      comment = "";
    }
  }
  return statements;
}

/** `a as b, type c` as pairs of the name elsewhere and the name here. */
const pairs = (list) =>
  list
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [there, here = there] = entry.replace(/^type /, "").split(" as ");
      return { entry, there, here };
    });

const files = new Map();

/** A file's statements, and which of them declare or bring which name. */
function open(file) {
  const known = files.get(file);
  if (known !== undefined) return known;
  if (!existsSync(file)) throw new Error(`${path.relative(root, file)} is not there: run npm run build`);
  const statements = statementsOf(readFileSync(file, "utf8"));
  const declared = new Map();
  const brought = new Map();
  const everything = [];
  const target = (specifier) =>
    specifier.startsWith(".")
      ? path.join(path.dirname(file), specifier.replace(/\.js$/, ".d.ts"))
      : undefined;
  for (const statement of statements) {
    const list = listed.exec(statement.code);
    const star = starred.exec(statement.code);
    const name = declaration.exec(statement.code)?.[1];
    if (list !== null) {
      const [, , , names, specifier] = list;
      for (const { there, here } of pairs(names))
        brought.set(here, { there, file: specifier === undefined ? file : target(specifier) });
    } else if (star !== null) {
      const [, , name, specifier] = star;
      if (name === undefined) everything.push(target(specifier));
      else brought.set(name, { there: "*", file: target(specifier) });
    } else if (name !== undefined) declared.set(name, [...(declared.get(name) ?? []), statement]);
    else throw new Error(`${path.relative(root, file)}: a statement that is not known: ${statement.code}`);
  }
  const opened = { statements, declared, brought, everything, target, names: new Set(), kept: new Set() };
  files.set(file, opened);
  return opened;
}

const names = ({ declared, brought }) => [...declared.keys(), ...brought.keys()];

/** Whether the file has the name; what it leads to is reached then. */
function reach(file, name) {
  if (file === undefined) return true; // another package's
  const opened = open(file);
  if (name === "*") {
    for (const each of names(opened)) reach(file, each);
    for (const each of opened.everything) reach(each, "*");
    return true;
  }
  const { declared, brought, everything } = opened;
  if (!declared.has(name) && !brought.has(name))
    return everything.some((each) => has(each, name) && reach(each, name));
  if (opened.names.has(name)) return true;
  opened.names.add(name);
  for (const statement of declared.get(name) ?? []) reachFrom(file, statement);
  const from = brought.get(name);
  if (from !== undefined && !(from.file === file && from.there === name)) reach(from.file, from.there);
  return true;
}

const has = (file, name) =>
  file === undefined ||
  names(open(file)).includes(name) ||
  open(file).everything.some((each) => has(each, name));

/** Every word of a statement that is a name in its file may be meant by it. */
function reachFrom(file, statement) {
  const opened = open(file);
  opened.kept.add(statement);
  const code = statement.code.replaceAll(/\/\*.*?\*\//gs, "");
  for (const [, specifier, name] of code.matchAll(/import\("(\.[^"]+)"\)(?:\.(\w+))?/g))
    reach(opened.target(specifier), name ?? "*");
  for (const [word] of code.matchAll(/[\w$]+/g))
    if (opened.declared.has(word) || opened.brought.has(word)) reach(file, word);
}

/** What is left of a statement, or nothing. */
function rest({ names, kept }, statement) {
  const { comment, code } = statement;
  const about = comment.includes("@module") ? comment : "";
  const list = listed.exec(code);
  if (list !== null) {
    const [, keyword, type = "", entries, specifier] = list;
    const left = pairs(entries).filter(({ here }) => names.has(here));
    if (left.length === 0 && entries.trim() !== "") return about;
    const from = specifier === undefined ? "" : ` from "${specifier}"`;
    return `${about}${keyword} ${type}{ ${left.map(({ entry }) => entry).join(", ")} }${from};\n`;
  }
  if (starred.test(code)) return `${about}${code}\n`;
  return kept.has(statement) ? `${comment}${code}\n` : about;
}

// One entry is not the compiler's, and imports nothing of the package's own.
const compiled = Object.values(exports).filter(({ types }) => types.startsWith("./dist/"));
const entries = compiled.map(({ types }) => path.join(root, types));
for (const entry of entries) reach(entry, "*");
for (const entry of readdirSync(path.join(root, "dist/src"), { recursive: true })) {
  const file = path.join(root, "dist/src", entry);
  if (!file.endsWith(".d.ts")) continue;
  const opened = files.get(file);
  if (opened === undefined || (opened.names.size === 0 && opened.everything.length === 0)) rmSync(file);
  else writeFileSync(file, opened.statements.map((statement) => rest(opened, statement)).join(""));
}
