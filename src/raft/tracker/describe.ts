/** A configuration and a member's progress as text, in upstream's format. */
import type { NodeId } from "../types.ts";
import type { Progress } from "./progress.ts";
import type { ProgressMap, TrackerConfig } from "./tracker.ts";
import { byId } from "../quorum/ids.ts";

export function describeIds(ids: readonly NodeId[]): string {
  return `(${ids.map((id) => id.toString(16)).join(" ")})`;
}

export function describeConfig({ voters, learners, learnersNext, autoLeave }: TrackerConfig): string {
  let text = `voters=${describeIds(voters.incoming)}`;
  if (voters.outgoing.length > 0) text += `&&${describeIds(voters.outgoing)}`;
  if (learners.length > 0) text += ` learners=${describeIds(learners)}`;
  if (learnersNext.length > 0) text += ` learners_next=${describeIds(learnersNext)}`;
  if (autoLeave) text += " autoleave";
  return text;
}

export function describeProgress(progress: Progress): string {
  const { state, match, next, isLearner, paused, pendingSnapshot, recentActive, inflights } = progress;
  let text = `${state} match=${match} next=${next}`;
  if (isLearner) text += " learner";
  if (paused) text += " paused";
  if (pendingSnapshot > 0) text += ` pendingSnap=${pendingSnapshot}`;
  if (!recentActive) text += " inactive";
  if (inflights.count > 0) text += ` inflight=${inflights.count}${inflights.full ? "[full]" : ""}`;
  return text;
}

export function describeProgressMap(progress: ProgressMap): string {
  const ids = [...progress.keys()].sort(byId);
  return ids.map((id) => `${id}: ${describeProgress(progress.get(id)!)}\n`).join("");
}
