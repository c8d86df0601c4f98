/** Of --queue, wherever it is an option. */
export const QUEUE_DESCRIPTION =
  "redis://HOST:PORT/DB, or rediss://USER:PASSWORD@HOST:PORT/DB for TLS (default: PENNI_QUEUE in the environment, which keeps a password out of the list of processes)";
