/**
 * Automatic compaction: of everything older than a period, or of everything but a number of revisions. Every member records which revision was
 * current when, but only the leader compacts, so that a new leader can go on at once.
 * Upstream: server/etcdserver/api/v3compactor/periodic.go, revision.go
 */
import type { Logger } from "../observe/log.ts";
import { isEtcdError } from "../protocols/etcd/errors.ts";
import { pause } from "../world/time.ts";
import type { Clock } from "../world/world.ts";
import { duration } from "./duration.ts";

export type AutoCompaction =
  | { readonly mode: "periodic"; readonly periodMs: number }
  | { readonly mode: "revision"; readonly keep: number };

export interface AutoCompactionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** The present revision. */
  readonly revision: () => number;
  readonly isLeader: () => boolean;
  readonly compact: (revision: number) => Promise<unknown>;
}

const HOUR_MS = 3_600_000;
/** A period is watched in so many steps. */
const STEPS = 10;
const REVISION_INTERVAL_MS = 5 * 60_000;

/** What `--auto-compaction-retention` means: hours or a duration in periodic mode, a number of revisions otherwise. Undefined for never. */
export function parseAutoCompaction(
  mode: string,
  retention: string,
  parseDurationMs: (text: string) => number | undefined,
): AutoCompaction | undefined {
  if (mode !== "periodic" && mode !== "revision" && mode !== "")
    throw new Error(`undefined auto-compaction-mode: ${JSON.stringify(mode)}`);
  if (mode === "revision") {
    if (!/^\d+$/.test(retention))
      throw new Error(
        `error parsing CompactionRetention: strconv.ParseInt: parsing ${JSON.stringify(retention)}: invalid syntax`,
      );
    return Number(retention) === 0 ? undefined : { mode, keep: Number(retention) };
  }
  const periodMs = /^\d+$/.test(retention) ? Number(retention) * HOUR_MS : parseDurationMs(retention);
  if (periodMs === undefined)
    throw new Error(`error parsing CompactionRetention: time: invalid duration ${JSON.stringify(retention)}`);
  return periodMs === 0 ? undefined : { mode: "periodic", periodMs };
}

/** Runs until `signal` aborts. */
export function runAutoCompaction(
  settings: AutoCompaction,
  deps: AutoCompactionDeps,
  signal: AbortSignal,
): Promise<void> {
  return settings.mode === "periodic"
    ? periodic(settings.periodMs, deps, signal)
    : byRevision(settings.keep, deps, signal);
}

async function periodic(periodMs: number, deps: AutoCompactionDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  const intervalMs = Math.min(periodMs, HOUR_MS);
  const stepMs = intervalMs / STEPS;
  const kept = Math.floor(periodMs / stepMs) + 1;
  const revisions: number[] = [];
  let last = 0;
  let lastAt = clock.monotonic();
  let waitMs = periodMs;
  for (;;) {
    revisions.push(deps.revision());
    if (revisions.length > kept) revisions.shift();
    if (!(await pause(clock, stepMs, signal))) return;
    if (!deps.isLeader()) continue;
    // Of one period ago, once so long has passed.
    const revision = revisions[0]!;
    if (clock.monotonic() - lastAt < waitMs || revision === last) continue;
    waitMs = intervalMs;
    const fields = { revision, "compact-period": duration(periodMs) };
    log.info("starting auto periodic compaction", fields);
    const startedAt = clock.monotonic();
    try {
      await compactOnce(deps, revision);
      log.info("completed auto periodic compaction", { ...fields, took: duration(clock.monotonic() - startedAt) });
      last = revision;
      lastAt = clock.monotonic();
    } catch (error) {
      if (signal.aborted) return;
      log.warn("failed auto periodic compaction", { ...fields, "retry-interval": duration(stepMs), error });
    }
  }
}

async function byRevision(keep: number, deps: AutoCompactionDeps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  let last = 0;
  while (await pause(clock, REVISION_INTERVAL_MS, signal)) {
    const revision = deps.revision() - keep;
    if (!deps.isLeader() || revision <= 0 || revision === last) continue;
    const fields = { revision, "revision-compaction-retention": keep };
    log.info("starting auto revision compaction", fields);
    const startedAt = clock.monotonic();
    try {
      await compactOnce(deps, revision);
      last = revision;
      log.info("completed auto revision compaction", { ...fields, took: duration(clock.monotonic() - startedAt) });
    } catch (error) {
      if (signal.aborted) return;
      log.warn("failed auto revision compaction", {
        ...fields,
        "retry-interval": duration(REVISION_INTERVAL_MS),
        error,
      });
    }
  }
}

/** Someone else may have been there first. */
async function compactOnce({ compact }: AutoCompactionDeps, revision: number): Promise<void> {
  try {
    await compact(revision);
  } catch (error) {
    if (!isEtcdError(error, "compacted")) throw error;
  }
}
