/**
 * Why a pod fits on no node: the reasons as they were found, and the message in upstream's words.
 * Upstream: pkg/scheduler/framework/types.go (FitError, Diagnosis)
 */
import type { NodeInfo } from "./cache/node-info.ts";
import type { Verdict } from "./framework.ts";

export interface FitFailure {
  /** All nodes there are. */
  readonly total: number;
  /** Nodes that were refused one by one, and why, in like order. */
  readonly nodes: readonly NodeInfo[];
  readonly verdicts: readonly Verdict[];
  /** The verdict on all nodes that were not looked at. */
  readonly absent: Verdict | undefined;
  /** The pod was refused before any node was looked at. */
  readonly refused: Verdict | undefined;
  /** The plugins that refused. */
  readonly rejectors: ReadonlySet<string>;
}

export const NO_NODES = "no nodes available to schedule pods";

export function fitErrorText(failure: FitFailure, postFilterMessage: string): string {
  const { total, refused } = failure;
  const why = refused === undefined ? histogram(failure) : refused.reasons.join(", ");
  return `0/${total} nodes are available:${why === "" ? "" : ` ${why}.`}${postFilterMessage === "" ? "" : ` ${postFilterMessage}`}`;
}

/** Each reason with the number of nodes that have it, in the order of the texts: "10 x" comes before "2 x". */
export function histogram({ total, verdicts, absent }: Pick<FitFailure, "total" | "verdicts" | "absent">): string {
  const byVerdict = new Map<Verdict, number>();
  for (const verdict of verdicts) byVerdict.set(verdict, (byVerdict.get(verdict) ?? 0) + 1);
  const rest = total - verdicts.length;
  if (absent !== undefined && rest > 0) byVerdict.set(absent, (byVerdict.get(absent) ?? 0) + rest);
  const byReason = new Map<string, number>();
  for (const [{ reasons }, count] of byVerdict) {
    for (const reason of reasons) byReason.set(reason, (byReason.get(reason) ?? 0) + count);
  }
  return [...byReason]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(", ");
}
