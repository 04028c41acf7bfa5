/** The deprecated ComponentStatus list. Every component is reported as healthy; none is probed. Upstream: pkg/registry/core/componentstatus. */
import type { KubeObject } from "../../../machinery/meta/object.ts";
import { notFound } from "../../../machinery/status.ts";
import { deepFreeze } from "../../../base/mutable.ts";
import { Entry } from "../../storage/entry.ts";
import { notSupported } from "../../routing.ts";
import { listOptions, matcher, selectionOf } from "../read.ts";
import type { VirtualResource } from "./index.ts";

const NAMES = ["scheduler", "controller-manager", "etcd-0"];

export const componentStatuses: VirtualResource = async (_services, request, resource) => {
  const { name, verb } = request.info;
  if (verb === "watch") throw notSupported(resource, verb);
  const items = NAMES.map((component) => ({
    kind: "ComponentStatus",
    apiVersion: "v1",
    metadata: { name: component },
    conditions: [{ type: "Healthy", status: "True", message: "ok" }],
  }));
  if (verb === "list") {
    const { labelSelector, fieldSelector } = listOptions(request.query);
    const matches = matcher(resource, selectionOf(resource, "", { labelSelector, fieldSelector }));
    const entries = items.map((item) => new Entry("", 0, deepFreeze(item as unknown as KubeObject)));
    return {
      kind: "list",
      resource,
      entries: matches === undefined ? entries : entries.filter(matches),
      metadata: {},
    };
  }
  const found = items.find(({ metadata }) => metadata.name === name);
  // Upstream has the singular here.
  if (found === undefined) throw notFound({ group: "", plural: "componentstatus" }, name);
  return { kind: "object", status: 200, object: found, resource };
};
