/** The old health list. What is asked here is asked of etcd; the others stand for themselves. Upstream: pkg/registry/core/componentstatus. */
import { notFound } from "../../../machinery/status.ts";
import { object } from "../../request.ts";
import type { VirtualResource } from "./index.ts";

const NAMES = ["scheduler", "controller-manager", "etcd-0"];

export const componentStatuses: VirtualResource = async (_services, request, resource) => {
  const { name, verb } = request.info;
  const items = NAMES.map((component) => ({
    kind: "ComponentStatus",
    apiVersion: "v1",
    metadata: { name: component },
    conditions: [{ type: "Healthy", status: "True", message: "ok" }],
  }));
  if (verb === "list") return object(200, { kind: "ComponentStatusList", apiVersion: "v1", metadata: {}, items });
  const found = items.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw notFound(resource, name);
  return { kind: "object", status: 200, object: found, resource };
};
