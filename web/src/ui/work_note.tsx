import type { Work } from "../state.js";

/** How far something is, or why it failed. Takes no room while nothing happens. */
export function WorkNote({ work: { progress, failure } }: { readonly work: Work }) {
  if (failure !== undefined)
    return (
      <div class="failure" role="alert">
        {failure}
      </div>
    );
  if (progress === undefined) return null;
  const { text, share, secondsLeft } = progress;
  const left = secondsLeft === undefined ? "" : `, ${duration(secondsLeft)} left`;
  return (
    <p class="work">
      <progress aria-label={text} {...(share === undefined ? {} : { value: share, max: 1 })} />
      <small role="status">{`${text}${left}`}</small>
    </p>
  );
}

function duration(seconds: number): string {
  return seconds < 90
    ? `about ${Math.max(1, Math.round(seconds))} s`
    : `about ${Math.round(seconds / 60)} min`;
}
