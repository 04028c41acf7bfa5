/**
 * When a turn of work ends. Work found by a poll of the event loop ends when all of it has been handled. Work run by `soon` ends when it, and all
 * promises that it settled, are done in the same round of the event loop; waiting for another poll would only delay the others.
 *
 * There is one event loop and thus one turn, so this is state of the process, as the loop itself is.
 */
let ending: (() => void)[] | undefined;

/** Runs work that `soon` was given. */
export function inTurn(work: () => void): void {
  if (ending === undefined) {
    ending = [];
    // Behind the microtasks to come, however many follow from each other: a tick that is asked for among them runs after the last one.
    queueMicrotask(endLater);
  }
  work();
}

export function atTurnsEnd(run: () => void): void {
  if (ending === undefined) setImmediate(run);
  else ending.push(run);
}

function endLater(): void {
  process.nextTick(end);
}

function end(): void {
  const runs = ending!;
  ending = undefined;
  for (let i = 0; i < runs.length; i++) runs[i]!();
}
