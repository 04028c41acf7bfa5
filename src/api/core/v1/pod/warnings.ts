/**
 * What is allowed and probably not meant: deprecated labels, volumes that can't be mounted any more, definitions that hide each other.
 * Upstream: pkg/api/pod/warnings.go
 */
import { parseQuantity } from "../../../../machinery/meta/quantity.ts";
import { isDns1123Label } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { Container, Pod, PodSpec, PodTemplateSpec } from "../../../generated/core.v1.ts";

const GONE_LABELS: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  "app.kubernetes.io/created-by": "deprecated since v1.9",
  "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
  "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
};

const GONE_VOLUMES: Readonly<Record<string, string>> = {
  photonPersistentDisk: "deprecated in v1.11, non-functional in v1.16+",
  gitRepo: "deprecated in v1.11, and disabled by default in v1.33+",
  scaleIO: "deprecated in v1.16, non-functional in v1.22+",
  flocker: "deprecated in v1.22, non-functional in v1.25+",
  storageos: "deprecated in v1.22, non-functional in v1.25+",
  quobyte: "deprecated in v1.22, non-functional in v1.25+",
  glusterfs: "deprecated in v1.25, non-functional in v1.26+",
  cephfs: "deprecated in v1.28, non-functional in v1.31+",
  rbd: "deprecated in v1.28, non-functional in v1.31+",
};

export function podWarnings(pod: Pod): readonly string[] {
  const messages = isDns1123Label(pod.metadata.name);
  return [
    ...(messages.length > 0
      ? [
          `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${messages.join(" ")}]`,
        ]
      : []),
    ...specWarnings(pod.spec, pod.metadata.annotations, ""),
  ];
}

/** `path` ends in a dot: `spec.template.`. */
export function templateWarnings(template: PodTemplateSpec | undefined, path: string): readonly string[] {
  return template?.spec === undefined ? [] : specWarnings(template.spec, template.metadata?.annotations, path);
}

const LISTS = ["initContainers", "containers"] as const;

function specWarnings(
  spec: PodSpec,
  annotations: Readonly<Record<string, string>> | undefined,
  prefix: string,
): readonly string[] {
  const warnings: string[] = [];
  const path = `${prefix}spec`;
  for (const [key] of sortedEntries(spec.nodeSelector))
    if (key in GONE_LABELS) warnings.push(`${path}.nodeSelector[${key}]: ${GONE_LABELS[key]}`);
  for (const [i, { topologyKey, labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${path}.topologySpreadConstraints[${i}]`;
    if (topologyKey in GONE_LABELS) warnings.push(`${at}.topologyKey: ${topologyKey} is ${GONE_LABELS[topologyKey]}`);
    if (labelSelector === undefined)
      warnings.push(`${at}.labelSelector: a null labelSelector results in matching no pod`);
  }
  for (const key of ["scheduler.alpha.kubernetes.io/critical-pod"])
    if (annotations?.[key] !== undefined)
      warnings.push(
        `${prefix}metadata.annotations[${key}]: non-functional in v1.16+; use the "priorityClassName" field instead`,
      );
  for (const [i, volume] of (spec.volumes ?? []).entries())
    for (const [type, words] of Object.entries(GONE_VOLUMES))
      if (volume[type as keyof typeof volume] !== undefined)
        warnings.push(`${path}.volumes[${i}].${type === "storageos" ? "storageOS" : type}: ${words}`);
  const ips = new Set<string>();
  for (const [i, { ip }] of (spec.hostAliases ?? []).entries()) {
    if (ips.has(ip)) warnings.push(`${path}.hostAliases[${i}].ip: duplicate ip "${ip}"`);
    ips.add(ip);
  }
  const secrets = new Set<string>();
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (!name) warnings.push(`${path}.imagePullSecrets[${i}].name: invalid empty name ""`);
    else if (secrets.has(name)) warnings.push(`${path}.imagePullSecrets[${i}].name: duplicate name "${name}"`);
    secrets.add(name ?? "");
  }
  warnings.push(...fractionWarnings(spec.overhead, `${path}.overhead`));
  for (const list of LISTS)
    for (const [i, container] of (spec[list] ?? []).entries())
      warnings.push(...containerWarnings(container, `${path}.${list}[${i}]`));
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    warnings.push(
      `${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  return warnings;
}

function containerWarnings(container: Container, path: string): readonly string[] {
  const warnings = [
    ...fractionWarnings(container.resources?.limits, `${path}.resources.limits`),
    ...fractionWarnings(container.resources?.requests, `${path}.resources.requests`),
  ];
  const seen = new Set<string>();
  for (const [i, { name, value = "" }] of (container.env ?? []).entries()) {
    // A value that builds on the one before is meant.
    const builds = value.includes(`$(${name})`) && value !== `$(${name})`;
    if (seen.has(name) && !builds)
      warnings.push(`${path}.env[${i}]: hides previous definition of "${name}", which may be dropped when using apply`);
    seen.add(name);
  }
  return warnings;
}

/** Half a byte is nothing that anyone can have. */
export function fractionWarnings(
  list: Readonly<Record<string, string>> | undefined,
  path: string,
  names: readonly string[] = ["memory", "ephemeral-storage"],
): readonly string[] {
  return names
    .filter((name) => (parseQuantity(list?.[name] ?? "0")?.nano ?? 0n) % 1_000_000_000n !== 0n)
    .map((name) => `${path}[${name}]: fractional byte value "${list![name]}" is invalid, must be an integer`);
}
