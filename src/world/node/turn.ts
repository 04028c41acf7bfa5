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

/** Before the next look at the sockets, others may be given so much to send. */
const SLICE_MS = 3;
const slow: (() => void)[] = [];

/**
 * For those who have waited to send more, in their order and a slice at a time: a socket that takes all at once says so before the next poll, and again
 * after the next piece, for as long as there is anything to send.
 */
export function inSlices(run: () => void): void {
  if (slow.push(run) === 1) setImmediate(slice);
}

function slice(): void {
  const end = performance.now() + SLICE_MS;
  const { length } = slow;
  let at = 0;
  try {
    do slow[at++]!();
    while (at < length && performance.now() < end);
  } finally {
    slow.splice(0, at);
    if (slow.length > 0) setImmediate(slice);
  }
}
