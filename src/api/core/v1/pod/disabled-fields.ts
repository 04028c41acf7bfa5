/**
 * Fields of features that are disabled by default: they are dropped unless the gate is on or the stored pod has them.
 * Upstream: pkg/api/pod/util.go (DropDisabledPodFields)
 */
import type { Mutable } from "../../../../base/mutable.ts";
import type { Container, PodSpec, PodStatus, VolumeProjection } from "../../../generated/core.v1.ts";

type Gates = ReadonlyMap<string, boolean>;

export function dropDisabledFields(spec: Mutable<PodSpec> | undefined, old: PodSpec | undefined, gates: Gates): void {
  if (spec === undefined) return;
  const off = (gate: string) => gates.get(gate) !== true;
  if (gates.get("EnvFiles") === false) dropFileKeys(spec, old);
  if (gates.get("ContainerRestartRules") === false) dropRestartRules(spec, old);
  if (off("ClusterTrustBundleProjection")) dropProjection(spec, old, "clusterTrustBundle");
  if (off("PodCertificateRequest")) dropProjection(spec, old, "podCertificate");
  if (off("GenericWorkload") && old?.schedulingGroup === undefined) delete spec.schedulingGroup;
  if (off("ContainerStopSignals") && !allContainers(old).some(({ lifecycle }) => lifecycle?.stopSignal !== undefined))
    for (const container of allContainers(spec) as Mutable<Container>[]) {
      if (container.lifecycle?.stopSignal === undefined) continue;
      delete container.lifecycle.stopSignal;
      if (Object.keys(container.lifecycle).length === 0) delete container.lifecycle;
    }
}

const LISTS = ["initContainers", "containers", "ephemeralContainers"] as const;

function dropFileKeys(spec: Mutable<PodSpec>, old: PodSpec | undefined): void {
  const inUse = LISTS.some((list) =>
    old?.[list]?.some(({ env }) => env?.some(({ valueFrom }) => valueFrom?.fileKeyRef !== undefined)),
  );
  if (inUse) return;
  for (const list of LISTS)
    for (const { env } of spec[list] ?? []) for (const { valueFrom } of env ?? []) delete valueFrom?.fileKeyRef;
}

function dropRestartRules(spec: Mutable<PodSpec>, old: PodSpec | undefined): void {
  const inUse =
    old?.initContainers?.some(
      ({ restartPolicy, restartPolicyRules = [] }) =>
        (restartPolicy !== undefined && restartPolicy !== "Always") || restartPolicyRules.length > 0,
    ) === true || old?.containers?.some(({ restartPolicy }) => restartPolicy !== undefined) === true;
  if (inUse) return;
  for (const list of LISTS)
    for (const container of spec[list] ?? []) {
      delete container.restartPolicyRules;
      if (list !== "initContainers" || container.restartPolicy !== "Always") delete container.restartPolicy;
    }
}

export function dropDisabledStatus(
  status: Mutable<PodStatus> | undefined,
  old: PodStatus | undefined,
  gates: Gates,
): void {
  if (status === undefined) return;
  const off = (gate: string) => gates.get(gate) !== true;
  if (off("DRANodeAllocatableResources") && (old?.nodeAllocatableResourceClaimStatuses ?? []).length === 0)
    delete status.nodeAllocatableResourceClaimStatuses;
  if (
    gates.get("InPlacePodLevelResourcesVerticalScaling") === false &&
    old?.resources === undefined &&
    old?.allocatedResources === undefined
  ) {
    delete status.resources;
    delete status.allocatedResources;
  }
  if (off("ImageVolumeWithDigest")) dropVolumeStatuses(status, old);
}

const STATUSES = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] as const;

function dropVolumeStatuses(status: Mutable<PodStatus>, old: PodStatus | undefined): void {
  const inUse = STATUSES.some((list) =>
    old?.[list]?.some(({ volumeMounts }) => volumeMounts?.some(({ volumeStatus }) => volumeStatus !== undefined)),
  );
  if (inUse) return;
  for (const list of STATUSES)
    for (const { volumeMounts } of status[list] ?? [])
      for (const mount of volumeMounts ?? []) delete mount.volumeStatus;
}

function dropProjection(spec: Mutable<PodSpec>, old: PodSpec | undefined, kind: keyof VolumeProjection): void {
  const has = (source: VolumeProjection) => source[kind] !== undefined;
  if (old?.volumes?.some(({ projected }) => projected?.sources?.some(has)) === true) return;
  for (const { projected } of spec.volumes ?? []) for (const source of projected?.sources ?? []) delete source[kind];
}

const allContainers = (spec: PodSpec | undefined): readonly Pick<Container, "lifecycle">[] => [
  ...(spec?.initContainers ?? []),
  ...(spec?.containers ?? []),
  ...(spec?.ephemeralContainers ?? []),
];
