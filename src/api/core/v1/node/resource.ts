/** Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/node/strategy.go */
import { cidrWarnings } from "../../../../machinery/validation/ip.ts";
import { ageColumn, column, nameColumn, orNone, wide } from "../../../columns.ts";
import { roundResourceList } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { Node } from "../../../generated/core.v1.ts";
import { validateNode, validateNodeStatus, validateNodeUpdate } from "./validation.ts";

export const nodes = defineResource<Node>({
  group: "",
  version: "v1",
  kind: "Node",
  behaviour: {
    defaults({ spec, status }) {
      if (spec?.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR];
      else if (spec?.podCIDRs?.[0] !== undefined && !spec.podCIDR) spec.podCIDR = spec.podCIDRs[0];
      if (status === undefined) return;
      if (status.allocatable === undefined && status.capacity !== undefined)
        status.allocatable = { ...status.capacity };
      roundResourceList(status.capacity);
      roundResourceList(status.allocatable);
    },
    prepareForCreate(node) {
      if (node.spec !== undefined) delete node.spec.configSource;
      if (node.status !== undefined) delete node.status.config;
    },
    prepareForUpdate(node, old) {
      if (node.spec !== undefined && old.spec?.configSource === undefined) delete node.spec.configSource;
    },
    validate: validateNode,
    validateUpdate: validateNodeUpdate,
    warnings: nodeWarnings,
  },
  views: {
    status: {
      validateUpdate: validateNodeStatus,
      prepareForUpdate(node, old) {
        if (node.status !== undefined && old.status?.config === undefined) delete node.status.config;
      },
    },
  },
  selectableFields: { "spec.unschedulable": ({ spec }) => String(spec?.unschedulable === true) },
  columns: [
    nameColumn,
    column("Status", "string", nodeStatus),
    column("Roles", "string", ({ metadata }) => orNone(nodeRoles(metadata.labels ?? {}).join(","))),
    ageColumn,
    column("Version", "string", ({ status }) => status?.nodeInfo?.kubeletVersion ?? ""),
    wide("Internal-IP", "string", (node) => addressOf(node, "InternalIP")),
    wide("External-IP", "string", (node) => addressOf(node, "ExternalIP")),
    wide("OS-Image", "string", ({ status }) => status?.nodeInfo?.osImage || "<unknown>"),
    wide("Kernel-Version", "string", ({ status }) => {
      const { kernelVersion, architecture } = status?.nodeInfo ?? {};
      return `${kernelVersion || "<unknown>"}${architecture ? ` (${architecture})` : ""}`;
    }),
    wide("Container-Runtime", "string", ({ status }) => status?.nodeInfo?.containerRuntimeVersion || "<unknown>"),
  ],
});

function nodeWarnings({ spec }: Node): readonly string[] {
  return [
    ...(spec?.configSource === undefined ? [] : ["spec.configSource: the feature is removed"]),
    ...(spec?.externalID ? ["spec.externalID: this field is deprecated, and is unused by Kubernetes"] : []),
    ...(spec?.podCIDRs ?? []).flatMap((range, i) => cidrWarnings(range, `spec.podCIDRs[${i}]`)),
  ];
}

function nodeStatus({ spec, status }: Node): string {
  const ready = (status?.conditions ?? []).findLast(({ type }) => type === "Ready");
  const words = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
  if (spec?.unschedulable === true) words.push("SchedulingDisabled");
  return words.join(",");
}

const ROLE_PREFIX = "node-role.kubernetes.io/";

function nodeRoles(labels: Readonly<Record<string, string>>): readonly string[] {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(labels)) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) roles.add(key.slice(ROLE_PREFIX.length));
    if (key === "kubernetes.io/role" && value !== "") roles.add(value);
  }
  return [...roles].sort();
}

function addressOf({ status }: Node, type: string): string {
  return status?.addresses?.find((address) => address.type === type)?.address ?? "<none>";
}
