/** The objects that the rows are made of. */
import type { AnyObject } from "../../admission/framework.ts";

export const named = (name: string, metadata: object = {}): AnyObject => ({ metadata: { name, ...metadata } });
export const pod = (spec: object = {}, metadata: object = {}, rest: object = {}): AnyObject => ({
  metadata: { name: "p", namespace: "default", ...metadata },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
  ...rest,
});
export const namespace = (metadata: object = {}, phase = "Active"): AnyObject => ({
  ...named("default", metadata),
  status: { phase },
});
export const only = (one: object): AnyObject => pod({ containers: [{ name: "c", image: "i", ...one }] });
export const resources = (requests: object, limits: object = {}): AnyObject =>
  only({ resources: { requests, limits } });
export const KUBELET = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };
export const NODE = named("n1", { uid: "u1" });
const MIRROR = { "kubernetes.io/config.mirror": "x" };
export const OWNER = { apiVersion: "v1", kind: "Node", name: "n1", uid: "u1", controller: true };
export const mirror = (spec: object = {}, metadata: object = {}): AnyObject =>
  pod({ nodeName: "n1", ...spec }, { annotations: MIRROR, ownerReferences: [OWNER], ...metadata });
