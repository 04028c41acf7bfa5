/**
 * Warnings about what is allowed and probably a mistake: deprecated labels, volumes that can no longer be mounted, definitions that hide each other.
 * Upstream: pkg/api/pod/warnings.go, pkg/api/node/util.go
 */
import { parseQuantity } from "../../../../machinery/meta/quantity.ts";
import { ipWarnings } from "../../../../machinery/validation/ip.ts";
import { isDns1123Label, isLabelValue } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type {
  Affinity,
  Container,
  NodeSelectorTerm,
  Pod,
  PodAffinity,
  PodSpec,
  PodTemplateSpec,
  Volume,
} from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { overlapWarnings } from "./overlapping-paths.ts";
import { portWarnings } from "./port-warnings.ts";
import { appArmorProfileOf } from "./strategy.ts";
import { APPARMOR_CONTAINER, SECCOMP_CONTAINER, SECCOMP_POD } from "./validation/annotations.ts";
import { containersOf } from "./validation/containers-of.ts";

/** Labels of nodes that nobody sets any more. */
export const GONE_LABELS: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  "app.kubernetes.io/created-by": "deprecated since v1.9",
  "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
  "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
};

const GONE_ANNOTATIONS: Readonly<Record<string, string>> = {
  "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
  "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
  "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
};

const GONE_VOLUMES: readonly (readonly [type: keyof Volume, words: string])[] = [
  ["photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"],
  ["gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["flocker", "deprecated in v1.22, non-functional in v1.25+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+"],
  ["quobyte", "deprecated in v1.22, non-functional in v1.25+"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
];

type Annotations = Readonly<Record<string, string>>;

export function podWarnings(pod: Pod): readonly string[] {
  const messages = isDns1123Label(pod.metadata.name);
  return [
    ...(messages.length > 0
      ? [
          `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${messages.join(" ")}]`,
        ]
      : []),
    ...specWarnings(pod.spec, pod.metadata.annotations ?? {}, ""),
  ];
}

/** Of a name that pods will have theirs from. */
export function ownerNameWarnings(name: string): readonly string[] {
  const messages = isDns1123Label(name);
  if (messages.length === 0) return [];
  return [
    `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${messages.join(" ")}]`,
  ];
}

/** `path` ends in a dot: `spec.template.`. */
export function templateWarnings(template: PodTemplateSpec | undefined, path: string): readonly string[] {
  return template?.spec === undefined ? [] : specWarnings(template.spec, template.metadata?.annotations ?? {}, path);
}

/** Of a pod's status: addresses in odd spellings. */
export function podStatusWarnings({ status }: Pod): readonly string[] {
  return (["podIPs", "hostIPs"] as const).flatMap((list) =>
    (status?.[list] ?? []).flatMap(({ ip = "" }, i) => ipWarnings(ip, `status.${list}[${i}].ip`)),
  );
}

function specWarnings(spec: PodSpec, annotations: Annotations, prefix: string): readonly string[] {
  const path = `${prefix}spec`;
  const at = (key: string) => `${prefix}metadata.annotations[${key}]`;
  return [
    ...sortedEntries(spec.nodeSelector).flatMap(([key]) => labelWarning(key, `${path}.nodeSelector[${key}]`)),
    ...nodeAffinityWarnings(spec.affinity, `${path}.affinity.nodeAffinity`),
    ...spreadWarnings(spec, path),
    ...Object.entries(GONE_ANNOTATIONS)
      .filter(([key]) => key in annotations)
      .map(([key, words]) => `${at(key)}: ${words}`),
    ...(spec.volumes ?? []).flatMap((volume, i) => volumeWarnings(volume, `${path}.volumes[${i}]`)),
    ...overlapWarnings(spec.volumes ?? []),
    ...duplicateWarnings(
      (spec.hostAliases ?? []).map(({ ip = "" }) => ip),
      `${path}.hostAliases`,
      "ip",
    ),
    ...duplicateWarnings(
      (spec.imagePullSecrets ?? []).map(({ name = "" }) => name),
      `${path}.imagePullSecrets`,
      "name",
    ),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name }, i) =>
      name ? [] : [`${path}.imagePullSecrets[${i}].name: invalid empty name ""`],
    ),
    ...fractionWarnings(spec.overhead, `${path}.overhead`),
    ...(spec.securityContext?.seccompProfile === undefined && SECCOMP_POD in annotations
      ? [`${at(SECCOMP_POD)}: ${SECCOMP_WORDS}`]
      : []),
    ...containersOf(spec, path).flatMap(({ container, path: place }) => [
      ...profileWarnings(container, spec, annotations, prefix),
      ...containerWarnings(container, place),
    ]),
    ...portWarnings(containersOf(spec, path)),
    ...((spec.terminationGracePeriodSeconds ?? 0) < 0
      ? [`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`]
      : []),
    ...podAffinityWarnings(spec.affinity?.podAffinity, `${path}.affinity.podAffinity`),
    ...podAffinityWarnings(spec.affinity?.podAntiAffinity, `${path}.affinity.podAntiAffinity`),
    ...(spec.dnsConfig?.nameservers ?? []).flatMap((ip, i) => ipWarnings(ip, `${path}.dnsConfig.nameservers[${i}]`)),
    ...(spec.hostAliases ?? []).flatMap(({ ip = "" }, i) => ipWarnings(ip, `${path}.hostAliases[${i}].ip`)),
  ];
}

function labelWarning(key: string, path: string): readonly string[] {
  return key in GONE_LABELS ? [`${path}: ${GONE_LABELS[key]}`] : [];
}

function nodeAffinityWarnings(affinity: Affinity | undefined, path: string): readonly string[] {
  const node = affinity?.nodeAffinity;
  const [required, preferred] = [
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
  ] as const;
  return [
    ...(node?.[required]?.nodeSelectorTerms ?? []).flatMap((term, i) =>
      nodeTermWarnings(term, `${path}.${required}.nodeSelectorTerms[${i}]`, false),
    ),
    ...(node?.[preferred] ?? []).flatMap(({ preference }, i) =>
      nodeTermWarnings(preference ?? {}, `${path}.${preferred}[${i}].preference`, true),
    ),
  ];
}

/** Values that no label can have are let pass where a node is only preferred. */
export function nodeTermWarnings(
  { matchExpressions = [] }: NodeSelectorTerm,
  path: string,
  checkValues: boolean,
): readonly string[] {
  return matchExpressions.flatMap(({ key, values = [] }, i) => {
    const at = `${path}.matchExpressions[${i}]`;
    return [
      ...(key in GONE_LABELS ? [`${at}.key: ${key} is ${GONE_LABELS[key]}`] : []),
      ...(checkValues
        ? values.flatMap((value, j) => {
            return isLabelValue(value).map((message) => `${at}.values[${j}]: ${value} is invalid, ${message}`);
          })
        : []),
    ];
  });
}

function spreadWarnings({ topologySpreadConstraints = [] }: PodSpec, path: string): readonly string[] {
  return topologySpreadConstraints.flatMap(({ topologyKey, labelSelector }, i) => {
    const at = `${path}.topologySpreadConstraints[${i}]`;
    return [
      ...(topologyKey in GONE_LABELS ? [`${at}.topologyKey: ${topologyKey} is ${GONE_LABELS[topologyKey]}`] : []),
      ...(labelSelector === undefined ? [`${at}.labelSelector: ${MATCHES_NOTHING}`] : []),
    ];
  });
}

const MATCHES_NOTHING = "a null labelSelector results in matching no pod";

function podAffinityWarnings(affinity: PodAffinity | undefined, path: string): readonly string[] {
  const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const preferred = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return [
    ...required.map(({ labelSelector }, i) => ({
      labelSelector,
      at: `${path}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`,
    })),
    ...preferred.map(({ podAffinityTerm }, i) => ({
      labelSelector: podAffinityTerm?.labelSelector,
      at: `${path}.preferredDuringSchedulingIgnoredDuringExecution[${i}].podAffinityTerm`,
    })),
  ]
    .filter(({ labelSelector }) => labelSelector === undefined)
    .map(({ at }) => `${at}.labelSelector: ${MATCHES_NOTHING}`);
}

function volumeWarnings(volume: Volume, path: string): readonly string[] {
  const claim = volume.ephemeral?.volumeClaimTemplate?.spec?.resources;
  const place = `${path}.ephemeral.volumeClaimTemplate.spec.resources`;
  const gone = (types: typeof GONE_VOLUMES) =>
    types
      .filter(([type]) => volume[type] !== undefined)
      .map(([type, words]) => `${path}.${type === "storageos" ? "storageOS" : type}: ${words}`);
  return [
    ...gone(GONE_VOLUMES.slice(0, -2)),
    ...fractionWarnings(claim?.requests, `${place}.requests`, ["storage"]),
    ...fractionWarnings(claim?.limits, `${place}.limits`, ["storage"]),
    ...gone(GONE_VOLUMES.slice(-2)),
  ];
}

function duplicateWarnings(values: readonly string[], path: string, field: string): readonly string[] {
  return values.flatMap((value, i) =>
    values.indexOf(value) < i ? [`${path}[${i}].${field}: duplicate ${field} ${JSON.stringify(value)}`] : [],
  );
}

const SECCOMP_WORDS = 'non-functional in v1.27+; use the "seccompProfile" field instead';

/** Of a pod's own annotations for AppArmor it is told when they are turned into fields. */
function profileWarnings(
  { name, securityContext }: Container,
  spec: PodSpec,
  annotations: Annotations,
  prefix: string,
): readonly string[] {
  const warnings: string[] = [];
  const seccomp = SECCOMP_CONTAINER + name;
  if (securityContext?.seccompProfile === undefined && seccomp in annotations)
    warnings.push(`${prefix}metadata.annotations[${seccomp}]: ${SECCOMP_WORDS}`);
  const key = APPARMOR_CONTAINER + name;
  const text = annotations[key];
  if (prefix === "" || text === undefined || securityContext?.appArmorProfile !== undefined) return warnings;
  const ofPod = spec.securityContext?.appArmorProfile;
  if (ofPod === undefined || !semanticEqual(ofPod, appArmorProfileOf(text)))
    warnings.push(
      `${prefix}metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`,
    );
  return warnings;
}

function containerWarnings(container: Container, path: string): readonly string[] {
  const { limits, requests } = container.resources ?? {};
  const warnings = ["memory", "ephemeral-storage"].flatMap((name) => [
    ...fractionWarnings(limits, `${path}.resources.limits`, [name]),
    ...fractionWarnings(requests, `${path}.resources.requests`, [name]),
  ]);
  const seen = new Set<string>();
  for (const [i, { name, value = "", valueFrom }] of (container.env ?? []).entries()) {
    // A value that builds on the one before is meant.
    const builds = valueFrom === undefined && value.includes(`$(${name})`) && value !== `$(${name})`;
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
