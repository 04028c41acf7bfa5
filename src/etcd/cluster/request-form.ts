/** Decides in which form requests about the cluster itself must be proposed, given the versions of the members. */
import { sleep } from "../../world/time.ts";
import type { Clock } from "../../world/world.ts";
import type { Remotes } from "./remote.ts";
import { membersVersions, type ClusterSelf } from "./self.ts";
import { compareVersions, requestForm } from "./versions.ts";

/** So long those who aren't up yet are waited for. After it they are taken for members of today. */
const PATIENCE_MS = 5000;
const POLL_MS = 100;

export async function findRequestForm(
  self: ClusterSelf,
  remotes: Remotes,
  clock: Clock,
  signal: AbortSignal,
): Promise<"v2" | "v3"> {
  const { membership } = self;
  // As good as always: no need to ask anyone.
  if (membership.members.length === 1 || isModern(membership.version)) return "v3";
  const until = clock.monotonic() + PATIENCE_MS;
  for (;;) {
    const form = requestForm(membership.version, await membersVersions(self, remotes));
    if (form !== undefined) return form;
    if (clock.monotonic() >= until) return "v3";
    await sleep(clock, POLL_MS, signal);
  }
}

function isModern(version: string | undefined): boolean {
  return version !== undefined && compareVersions(version, "3.5.0") >= 0;
}
