import { PenniError } from "../graph/errors.js";

/** Where a queue is. */
export interface QueueAddress {
  readonly host: string;
  readonly port: number;
  /** Number of the database. */
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly isTls: boolean;
}

/** Takes the place of --queue, so that a password is not in the list of processes. */
export const QUEUE_VARIABLE = "PENNI_QUEUE";

const DEFAULT_PORT = 6379;
const EXPECTED = "redis://HOST:PORT/DB or rediss://USER:PASSWORD@HOST:PORT/DB";
const NO_ADDRESS = "not the address of a queue";
const GIVE = `Give it with --queue, or in the environment as ${QUEUE_VARIABLE}, which other users do not see`;
/** Characters that end a host in front of the sign that ends a password. */
const CUT_CREDENTIALS = /^[a-z]+:\/\/[^/?#]*[/?#].*@/i;
const ENCODE =
  "Percent-encode what user and password have of such characters: # as %23, / as %2F, ? as %3F, % as %25";

/**
 * The address in --queue, or in the environment. Errors never repeat it: it may hold a password.
 * @throws PenniError "bad-option"
 */
export function queueAddress(given: string | undefined): QueueAddress {
  const text = given ?? process.env[QUEUE_VARIABLE];
  if (text === undefined || text === "") throw bad("where the queue is, is not given", "nothing");
  if (CUT_CREDENTIALS.test(text))
    throw bad(`${NO_ADDRESS}: it is cut off before its host`, "a #, / or ? in front of the @", ENCODE);
  const url = parsed(text);
  if (url === undefined) throw bad(NO_ADDRESS, "something else");
  const { protocol, hostname, port, pathname, search, hash } = url;
  if (protocol !== "redis:" && protocol !== "rediss:") throw bad(NO_ADDRESS, `"${protocol}//..."`);
  const [, db = "0"] = /^\/(\d{1,4})?$/.exec(pathname === "" ? "/" : pathname) ?? [undefined, "none"];
  if (hostname === "" || db === "none" || search !== "" || hash !== "")
    throw bad(NO_ADDRESS, "a part that it does not have, or no host");
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? DEFAULT_PORT : Number(port),
    db: Number(db),
    ...(url.username === "" ? {} : { username: decoded(url.username) }),
    ...(url.password === "" ? {} : { password: decoded(url.password) }),
    isTls: protocol === "rediss:",
  };
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function bad(problem: string, found: string, advice = GIVE): PenniError {
  return new PenniError("bad-option", problem, {
    expected: EXPECTED,
    found,
    advice,
  });
}

/** The address as it may be shown: without user and password. */
export function shownAddress({ isTls, host, port, db }: QueueAddress): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return `${isTls ? "rediss" : "redis"}://${name}:${port}/${db}`;
}

/** A text of others (an error, a log) without the password of this address, in any spelling. */
export function withoutPassword(text: string, { password, username }: QueueAddress): string {
  const secrets = password === undefined ? [] : [password, encodeURIComponent(password)];
  const users = username === undefined ? [] : [`${username}:`, `${encodeURIComponent(username)}:`];
  return [...secrets, ...users]
    .filter((secret) => secret !== "" && secret !== ":")
    .reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
}
