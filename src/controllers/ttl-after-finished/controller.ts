/** Deletes Jobs some time after they ended. Upstream: pkg/controller/ttlafterfinished */
import type { Job } from "../../api/generated/batch.v1.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { jobs } from "../../client/resources.ts";
import { splitKey } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";

/** Ms until the Job may go; undefined when that is not to be. Pure. */
export function msUntilExpiry({ metadata, spec, status }: Job, now: number): number | undefined {
  if (metadata.deletionTimestamp !== undefined || spec.ttlSecondsAfterFinished === undefined) return undefined;
  const end = status?.conditions?.find(
    (condition) => (condition.type === "Complete" || condition.type === "Failed") && condition.status === "True",
  );
  if (end?.lastTransitionTime === undefined) return undefined;
  return Math.max(0, Date.parse(end.lastTransitionTime) + spec.ttlSecondsAfterFinished * 1000 - now);
}

export const ttlAfterFinishedController = defineController({
  name: "ttl-after-finished-controller",
  aliases: ["ttl-after-finished"],
  workers: { flag: "concurrent-ttl-after-finished-syncs", default: 5 },
  triggers: [itself(jobs)],
  create: ({ informers, clock }) => ({
    async reconcile(key, signal, client) {
      const job = informers.of(jobs).get(key);
      const wait = job && msUntilExpiry(job, clock.now());
      if (wait === undefined) return done;
      if (wait > 0) return again(wait);
      try {
        // The time to live may have been raised since: ask before the deed.
        const live = await client.get(jobs, splitKey(key), { signal });
        const left = msUntilExpiry(live, clock.now());
        if (left === undefined) return done;
        if (left > 0) return again(left);
        await client.delete(jobs, splitKey(key), {
          propagationPolicy: "Foreground",
          preconditions: { uid: live.metadata.uid },
          signal,
        });
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
      return done;
    },
  }),
});
