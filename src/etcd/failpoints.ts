/**
 * Failpoints: named places in the code where a test may have something happen, under the names that upstream's tests use. A `Failpoints` is a value,
 * and a point that is off is an undefined property of it:
 *
 * ```
 * if (failpoints.walBeforeSync !== undefined) failpoints.walBeforeSync.strike();
 * ```
 *
 * What happens is told in gofail's terms: `panic`, `sleep("1s")`, `return("text")`, `print`, `off`; with a count (`2*panic`), a chance
 * (`5.0%sleep(100)`), one after the other (`1*sleep(50)->panic`).
 *
 * Upstream: go.etcd.io/gofail/runtime
 */
import { parseDuration } from "../machinery/meta/time.ts";
import type { Random } from "../world/world.ts";

export const FAILPOINTS = [
  "afterCommit",
  "afterIsMemberExist",
  "afterStartDBTxn",
  "afterWritebackBuf",
  "applyAfterOpenSnapshot",
  "applyBeforeOpenSnapshot",
  "beforeApplyOneConfChange",
  "beforeApplyOneEntryNormal",
  "beforeCheckpointInLeaseRenew",
  "beforeCommit",
  "beforeLookupWhenForwardLeaseTimeToLive",
  "beforeLookupWhenLeaseTimeToLive",
  "beforeMoveVictims",
  "beforeProgressIfSync",
  "beforePublishing",
  "beforeRangeStreamChunk",
  "beforeSendWatchResponse",
  "beforeServeHTTPLeaseRenew",
  "beforeStartDBTxn",
  "beforeSyncWatchers",
  "beforeWritebackBuf",
  "commitAfterPreCommitHook",
  "commitBeforePreCommitHook",
  "compactAfterAcquiredBatchTxLock",
  "compactAfterCommitBatch",
  "compactAfterCommitScheduledCompact",
  "compactAfterSetFinishedCompact",
  "compactBeforeCommitBatch",
  "compactBeforeCommitScheduledCompact",
  "compactBeforeSetFinishedCompact",
  "defragBeforeCopy",
  "defragBeforeRename",
  "defragOpenFileError",
  "defragdbFail",
  "raftAfterApplySnap",
  "raftAfterSave",
  "raftAfterSaveSnap",
  "raftAfterWALRelease",
  "raftBeforeAdvance",
  "raftBeforeApplySnap",
  "raftBeforeFollowerSend",
  "raftBeforeLeaderSend",
  "raftBeforeSave",
  "raftBeforeSaveSnap",
  "raftBeforeWALSaveSnaphot",
  "raftDropHeartbeat",
  "walAfterSync",
  "walBeforeSync",
] as const;
export type FailpointName = (typeof FAILPOINTS)[number];

/** The points that are on. */
export type Failpoints = { readonly [K in FailpointName]: Failpoint | undefined };

/** What a point's terms need of the process around it. */
export interface FailpointActs {
  readonly random: Random;
  /** Ends the process, or the simulated machine, as a crash does. */
  panic(message: string): never;
  /** Holds everything up: a point stands where nobody waits. */
  block(ms: number): void;
  print(text: string): void;
}

/** All off. */
function failpointsOff(): Failpoints {
  return Object.fromEntries(FAILPOINTS.map((name) => [name, undefined])) as Failpoints;
}

/** For whoever was given none. */
export const NO_FAILPOINTS: Failpoints = Object.freeze(failpointsOff());

/** One point that is on. */
export class Failpoint {
  readonly name: string;
  /** As it was set. */
  readonly text: string;
  /** How often it did something. */
  strikes = 0;
  readonly #terms: readonly Term[];
  readonly #left: number[];
  readonly #acts: FailpointActs;

  constructor(name: string, text: string, acts: FailpointActs) {
    this.name = name;
    this.text = text;
    this.#acts = acts;
    this.#terms = parseTerms(text);
    this.#left = this.#terms.map(({ count }) => count ?? Infinity);
  }

  /** Does what is due here. What comes back is the value of `return(value)`; most points have no use for one. */
  strike(): FailpointValue | undefined {
    const i = this.#terms.findIndex(({ chance }, i) => {
      if (chance !== undefined && this.#acts.random.next() * 100 >= chance) return false;
      return this.#left[i]! > 0;
    });
    const term = this.#terms[i];
    if (term === undefined) return undefined;
    this.#left[i]!--;
    this.strikes++;
    switch (term.act) {
      case "off":
        return undefined;
      case "panic":
        return this.#acts.panic(`failpoint panic: ${term.value === undefined ? "{}" : String(term.value)}`);
      case "sleep":
        this.#acts.block(sleepMs(term.value));
        return undefined;
      case "print":
        this.#acts.print(`failpoint print: ${this.name}\n`);
        return undefined;
      case "return":
        return term.value ?? true;
    }
  }
}

export type FailpointValue = string | number | boolean;

interface Term {
  readonly act: "off" | "panic" | "sleep" | "return" | "print";
  readonly value: FailpointValue | undefined;
  /** In percent. */
  readonly chance: number | undefined;
  readonly count: number | undefined;
}

/** A term is `[CHANCE%][COUNT*]act[(value)]`; terms are joined by `->`. */
export function parseTerms(text: string): readonly Term[] {
  const bad = () => new Error(`failpoint: could not parse terms`);
  if (text.trim() === "") throw bad();
  return text
    .trim()
    .split("->")
    .map((part): Term => {
      const match = /^(?:(\d+(?:\.\d+)?)%)?(?:(\d+)\*)?(off|panic|sleep|return|print)(?:\((.*)\))?$/s.exec(part.trim());
      if (match === null) throw bad();
      const [, chance, count, act, value] = match;
      const term: Term = {
        act: act as Term["act"],
        value: value === undefined || value === "" ? undefined : parseValue(value, bad),
        chance: chance === undefined ? undefined : Number(chance),
        count: count === undefined ? undefined : Number(count),
      };
      if (term.act === "sleep" && Number.isNaN(sleepMs(term.value))) throw bad();
      return term;
    });
}

function parseValue(text: string, bad: () => Error): FailpointValue {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?\d+$/.test(text)) return Number(text);
  if (!/^".*"$/s.test(text)) throw bad();
  try {
    return JSON.parse(text) as string;
  } catch (cause) {
    throw new Error(bad().message, { cause });
  }
}

/** A number is milliseconds, a text a duration. */
function sleepMs(value: FailpointValue | undefined): number {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return NaN;
  try {
    return parseDuration(value) / 1e6;
  } catch {
    return NaN; // Its caller refuses it.
  }
}

/** Turns points on and off, for a control server and the environment. */
export class FailpointSwitch {
  readonly points: Failpoints;
  readonly #acts: FailpointActs;

  constructor(acts: FailpointActs) {
    this.#acts = acts;
    this.points = failpointsOff();
  }

  set(name: string, terms: string): void {
    this.#put(name, new Failpoint(name, terms, this.#acts));
  }

  clear(name: string): void {
    if (this.get(name) === undefined) throw new Error("failpoint: failpoint is disabled");
    this.#put(name, undefined);
  }

  get(name: string): Failpoint | undefined {
    if (!(FAILPOINTS as readonly string[]).includes(name)) throw new Error("failpoint: failpoint does not exist");
    return this.points[name as FailpointName];
  }

  /** `a=panic;b=sleep(100)`, as in `GOFAIL_FAILPOINTS`. */
  setAll(text: string): void {
    for (const pair of text.split(";")) {
      if (pair.trim() === "") continue;
      const equals = pair.indexOf("=");
      if (equals < 0) throw new Error(`bad failpoint ${JSON.stringify(pair)}`);
      this.set(pair.slice(0, equals).trim(), pair.slice(equals + 1));
    }
  }

  #put(name: string, point: Failpoint | undefined): void {
    this.get(name); // Throws at a name that there is not.
    (this.points as Record<string, Failpoint | undefined>)[name] = point;
  }
}
