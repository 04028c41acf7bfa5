/**
 * When a turn of work ends. Of what the poll found: when all of it has been handled. Of what `soon` has run: when that and all the promises that it
 * settled have been, in the same round of the event loop; another poll in between would only make the others wait.
 *
 * One event loop, so one turn: this is state of the process, as the loop itself is.
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
