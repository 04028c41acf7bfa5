/** Recalculates the usage of each quota, because admission only ever adds to it. Upstream: pkg/controller/resourcequota */
import type { PersistentVolumeClaim, Pod, ResourceQuota, Service } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { type Trigger, again, defineController, done } from "../../client/controller.ts";
import { discover } from "../../client/discovery.ts";
import type { Informers } from "../../client/informer/informer.ts";
import {
  configMaps,
  cronJobs,
  daemonSets,
  deployments,
  jobs,
  persistentVolumeClaims,
  pods,
  replicaSets,
  replicationControllers,
  resourceQuotas,
  secrets,
  services,
  statefulSets,
  resourceClaims,
} from "../../client/resources.ts";
import { type KubeObject, keyOf } from "../../machinery/meta/object.ts";
import type { ResourceName } from "../../machinery/resource.ts";
import { semanticallyEqual } from "../shared/equality.ts";
import {
  DEVICES_OF_CLASS,
  type Usage,
  attributesClassesOf,
  countName,
  inScope,
  isCharged,
  masked,
  sum,
  usageOf,
} from "../../api/core/v1/resourcequota/usage.ts";

/** Resources whose disappearance is seen at once; others are counted again after a while. */
const FOLLOWED: readonly ResourceName[] = [
  pods,
  services,
  persistentVolumeClaims,
  configMaps,
  secrets,
  replicationControllers,
  resourceQuotas,
  deployments,
  replicaSets,
  statefulSets,
  daemonSets,
  jobs,
  cronJobs,
  resourceClaims,
];
const RESYNC_MS = 5 * 60_000;
const UNFOLLOWED_MS = 30_000;

const quotasOf = (object: KubeObject, informers: Informers) =>
  informers.of(resourceQuotas).list(object.metadata.namespace).map(keyOf);
/** Additions were charged by admission; only what goes away concerns us. */
const whenGone = (resource: ResourceName): Trigger => ({ resource, on: ["delete"], keys: quotasOf });

export const resourceQuotaController = defineController({
  name: "resourcequota-controller",
  aliases: ["resourcequota"],
  workers: { flag: "concurrent-resource-quota-syncs", default: 5 },
  triggers: [
    {
      resource: resourceQuotas,
      on: ["add", "update"],
      changed: (old: ResourceQuota, quota: ResourceQuota) => !semanticallyEqual(old.spec?.hard, quota.spec?.hard),
      keys: (quota: ResourceQuota) => [keyOf(quota)],
    },
    ...FOLLOWED.map(whenGone),
    {
      resource: pods,
      on: ["update"],
      changed: (old: Pod, pod: Pod) =>
        old.status.phase !== pod.status.phase ||
        old.metadata.deletionTimestamp !== pod.metadata.deletionTimestamp ||
        old.spec.activeDeadlineSeconds !== pod.spec.activeDeadlineSeconds,
      keys: quotasOf,
    },
    {
      resource: services,
      on: ["update"],
      changed: (old: Service, service: Service) => old.spec.type !== service.spec.type,
      keys: quotasOf,
    },
    {
      resource: persistentVolumeClaims,
      on: ["update"],
      changed: (old: PersistentVolumeClaim, claim: PersistentVolumeClaim) =>
        !semanticallyEqual(old.spec.resources, claim.spec.resources) ||
        !semanticallyEqual(old.status?.allocatedResources, claim.status?.allocatedResources) ||
        !semanticallyEqual(attributesClassesOf(old), attributesClassesOf(claim)),
      keys: quotasOf,
    },
  ],
  create({ informers, clock, options }) {
    const set = options["resource-quota-sync-period"];
    const resyncMs = typeof set === "number" ? set : RESYNC_MS;
    return {
      async reconcile(key, signal, client) {
        const quota = informers.of(resourceQuotas).get(key);
        if (quota === undefined) return done;
        const hard = quota.spec?.hard ?? {};
        const now = clock.now();
        const counted = await countedResources(client, Object.keys(hard), signal);
        const usages: Usage[] = [];
        let releaseMs: number | undefined;
        for (const { resource, followed } of counted) {
          const { namespace = "" } = quota.metadata;
          const objects = followed
            ? informers.of<KubeObject>(resource).list(namespace)
            : (await client.list<KubeObject>(resource, { namespace, signal })).items;
          for (const object of objects) {
            if (!inScope(quota, resource, object)) continue;
            const pod = resource.group === "" && resource.plural === "pods" ? (object as unknown as Pod) : undefined;
            usages.push(usageOf(resource, object, now));
            if (pod?.metadata.deletionTimestamp === undefined || !isCharged(pod, now)) continue;
            const end =
              Date.parse(pod.metadata.deletionTimestamp) + (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000 + 1;
            releaseMs = Math.min(releaseMs ?? Number.POSITIVE_INFINITY, Math.max(1, end - now));
          }
        }
        const status = { hard, used: masked(hard, sum(usages)) };
        if (!semanticallyEqual(status, quota.status))
          await client.updateStatus(resourceQuotas, { ...quota, status }, { signal });
        const unfollowed = counted.some(({ followed }) => !followed);
        return again(Math.min(releaseMs ?? resyncMs, unfollowed ? UNFOLLOWED_MS : resyncMs));
      },
    };
  },
});

/** The resources that a quota's names speak of. */
async function countedResources(client: Client, names: readonly string[], signal: AbortSignal) {
  const counts = new Set(names.filter((name) => name.startsWith("count/")));
  const plain = names.filter((name) => !name.startsWith("count/"));
  const speaksOf = (resource: ResourceName): boolean => {
    if (counts.has(countName(resource))) return true;
    if (countName(resource) === countName(resourceClaims)) return plain.some((name) => name.endsWith(DEVICES_OF_CLASS));
    if (resource.group !== "") return false;
    if (resource.plural === "services")
      return plain.some((name) => name === "services" || name.startsWith("services."));
    if (resource.plural === "persistentvolumeclaims")
      return plain.some(
        (name) =>
          name === "persistentvolumeclaims" ||
          name === "requests.storage" ||
          name.includes(".storageclass.storage.k8s.io/"),
      );
    if (resource.plural === "pods")
      return plain.some(
        (name) => name === "pods" || /^(requests\.|limits\.|cpu$|memory$|ephemeral-storage$|hugepages-)/.test(name),
      );
    return plain.includes(resource.plural);
  };
  const found: { resource: ResourceName; followed: boolean }[] = FOLLOWED.filter(speaksOf).map((resource) => ({
    resource,
    followed: true,
  }));
  const known = new Set(FOLLOWED.map(countName));
  const others = [...counts].filter((name) => !known.has(name));
  if (others.length > 0) {
    const { resources } = await discover(client, signal);
    for (const resource of resources)
      if (resource.scope === "Namespaced" && others.includes(countName(resource)))
        found.push({ resource, followed: false });
  }
  return found;
}
