/** What the scheduler reads besides pods and nodes: from informers in a cluster, from lists in tests. */
import type { ReplicaSet, StatefulSet } from "../api/generated/apps.v1.ts";
import type { Namespace, ReplicationController, Service } from "../api/generated/core.v1.ts";
import type { PodDisruptionBudget } from "../api/generated/policy.v1.ts";
import {
  namespaces,
  podDisruptionBudgets,
  replicaSets,
  replicationControllers,
  services,
  statefulSets,
} from "../client/resources.ts";
import type { Informers } from "../client/informer/informer.ts";

export interface Listers {
  namespace(name: string): Namespace | undefined;
  services(namespace: string): readonly Service[];
  replicaSet(namespace: string, name: string): ReplicaSet | undefined;
  statefulSet(namespace: string, name: string): StatefulSet | undefined;
  replicationController(namespace: string, name: string): ReplicationController | undefined;
  disruptionBudgets(namespace: string): readonly PodDisruptionBudget[];
}

/** Nothing but pods and nodes. */
export const NO_LISTERS: Listers = {
  namespace: () => undefined,
  services: () => [],
  replicaSet: () => undefined,
  statefulSet: () => undefined,
  replicationController: () => undefined,
  disruptionBudgets: () => [],
};

/** Call it before the informers run. */
export function listersOf(informers: Informers): Listers & { waitForSync(signal: AbortSignal): Promise<void> } {
  const of = {
    namespaces: informers.of(namespaces),
    services: informers.of(services),
    replicaSets: informers.of(replicaSets),
    statefulSets: informers.of(statefulSets),
    replicationControllers: informers.of(replicationControllers),
    disruptionBudgets: informers.of(podDisruptionBudgets),
  };
  return {
    async waitForSync(signal) {
      await Promise.all(Object.values(of).map((informer) => informer.waitForSync(signal)));
    },
    namespace: (name) => of.namespaces.get(name),
    services: (namespace) => of.services.list(namespace),
    replicaSet: (namespace, name) => of.replicaSets.get(`${namespace}/${name}`),
    statefulSet: (namespace, name) => of.statefulSets.get(`${namespace}/${name}`),
    replicationController: (namespace, name) => of.replicationControllers.get(`${namespace}/${name}`),
    disruptionBudgets: (namespace) => of.disruptionBudgets.list(namespace),
  };
}
