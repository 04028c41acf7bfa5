/** The API resources that a kubelet reads and writes. */
import type { ConfigMap, Node, Pod, Secret, Service } from "../api/generated/core.v1.ts";
import type { Lease } from "../api/generated/coordination.v1.ts";
import type { RuntimeClass } from "../api/generated/node.v1.ts";
import type { ResourceOf } from "../machinery/resource.ts";

const core = { group: "", version: "v1" } as const;
export const pods: ResourceOf<Pod> = { ...core, kind: "Pod", plural: "pods", scope: "Namespaced" };
export const nodes: ResourceOf<Node> = { ...core, kind: "Node", plural: "nodes", scope: "Cluster" };
export const services: ResourceOf<Service> = { ...core, kind: "Service", plural: "services", scope: "Namespaced" };
export const configMaps: ResourceOf<ConfigMap> = {
  ...core,
  kind: "ConfigMap",
  plural: "configmaps",
  scope: "Namespaced",
};
export const secrets: ResourceOf<Secret> = { ...core, kind: "Secret", plural: "secrets", scope: "Namespaced" };
export const serviceAccounts = {
  ...core,
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  scope: "Namespaced",
} as const;
export const leases: ResourceOf<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  scope: "Namespaced",
};
export const runtimeClasses: ResourceOf<RuntimeClass> = {
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  plural: "runtimeclasses",
  scope: "Cluster",
};
