/** What of the host is used: browsers have neither. */
interface Host {
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> };
  readonly Deno?: unknown;
}

/** The variable of the environment that turns self-checks on, for this process and those that it starts. */
export const SELF_CHECK = "PENNI_VERIFY";

/**
 * Whether Penni checks its own work while it goes on, which `--debug` and PENNI_VERIFY=1 ask for: graphs after every pass
 * and stage, programs before they are printed.
 */
export function isSelfChecking(): boolean {
  const { process, Deno } = globalThis as Host;
  // Deno asks its user before it shows the environment.
  return Deno === undefined && process?.env?.[SELF_CHECK] === "1";
}
