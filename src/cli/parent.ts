/**
 * Ends this process with the one that started it, where that has opened a channel to it: a worker or a sweep that is
 * killed leaves no trial behind that nobody waits for.
 */
export function endWithParent(): void {
  const { channel } = process;
  if (channel === undefined || channel === null) return;
  process.on("disconnect", () => process.exit(1));
  // It is no reason not to end.
  channel.unref();
}
