/** Names, labels, volumes and claims of a StatefulSet's pods. Pure. Upstream: pkg/controller/statefulset/stateful_set_utils.go */
import type { StatefulSet } from "../../api/generated/apps.v1.ts";
import type { PersistentVolumeClaim, Pod, PodTemplateSpec } from "../../api/generated/core.v1.ts";
import { type Draft, controllerOf, type KubeObject } from "../../machinery/meta/object.ts";
import type { OwnerReference } from "../../machinery/meta/types.ts";
import { controllerReference } from "../shared/claim.ts";
import { semanticallyEqual } from "../shared/equality.ts";

const REVISION_LABEL = "controller-revision-hash";
const NAME_LABEL = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL = "apps.kubernetes.io/pod-index";

export const replicasOf = ({ spec }: StatefulSet) => spec.replicas ?? 1;
export const startOf = ({ spec }: StatefulSet) => spec.ordinals?.start ?? 0;
export const podName = (set: StatefulSet, ordinal: number) => `${set.metadata.name}-${ordinal}`;
export const revisionOf = ({ metadata }: Pod) => metadata.labels?.[REVISION_LABEL] ?? "";

/** The set's name and the ordinal in a pod's name. */
function parsePodName(name: string): { readonly parent: string; readonly ordinal: number } | undefined {
  const match = /^(.*)-(\d+)$/.exec(name);
  return match === null ? undefined : { parent: match[1]!, ordinal: Number(match[2]) };
}

export function isMember(set: StatefulSet, { metadata }: Pod): boolean {
  return parsePodName(metadata.name)?.parent === set.metadata.name;
}

export const ordinalOf = ({ metadata }: Pod) => parsePodName(metadata.name)?.ordinal ?? -1;

function claimName(set: StatefulSet, template: PersistentVolumeClaim, ordinal: number): string {
  return `${template.metadata.name}-${set.metadata.name}-${ordinal}`;
}

export function newPod(set: StatefulSet, template: PodTemplateSpec, revision: string, ordinal: number): Draft<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const name = podName(set, ordinal);
  return {
    metadata: {
      name,
      namespace: set.metadata.namespace,
      labels: { ...labels, [NAME_LABEL]: name, [INDEX_LABEL]: String(ordinal), [REVISION_LABEL]: revision },
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [controllerReference(set)],
    },
    spec: {
      ...template.spec!,
      hostname: name,
      subdomain: set.spec.serviceName,
      volumes: volumesFor(set, template.spec?.volumes ?? [], ordinal),
    },
  };
}

type Volumes = NonNullable<Pod["spec"]["volumes"]>;

/** The claims' volumes first; they take the place of the template's of the same name. */
function volumesFor(set: StatefulSet, volumes: Volumes, ordinal: number): Volumes {
  const templates = set.spec.volumeClaimTemplates ?? [];
  const claims = templates.map((template) => ({
    name: template.metadata.name,
    persistentVolumeClaim: { claimName: claimName(set, template, ordinal), readOnly: false },
  }));
  return [...claims, ...volumes.filter(({ name }) => !templates.some((template) => template.metadata.name === name))];
}

export function newClaims(set: StatefulSet, ordinal: number): readonly Draft<PersistentVolumeClaim>[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    metadata: {
      ...(template.metadata.annotations && { annotations: template.metadata.annotations }),
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace,
      labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
    },
    spec: template.spec as PersistentVolumeClaim["spec"],
  }));
}

/** The pod with its name label and volumes put right; itself when they are. */
export function withIdentity(set: StatefulSet, pod: Pod): Pod {
  const ordinal = ordinalOf(pod);
  const labelled = pod.metadata.labels?.[NAME_LABEL] === pod.metadata.name;
  const volumes = volumesFor(set, pod.spec.volumes ?? [], ordinal);
  const claims = (set.spec.volumeClaimTemplates ?? []).every((template) =>
    (pod.spec.volumes ?? []).some(
      ({ name, persistentVolumeClaim }) =>
        name === template.metadata.name && persistentVolumeClaim?.claimName === claimName(set, template, ordinal),
    ),
  );
  if (labelled && claims) return pod;
  const labels = { ...pod.metadata.labels, [NAME_LABEL]: pod.metadata.name, [INDEX_LABEL]: String(ordinal) };
  return { ...pod, metadata: { ...pod.metadata, labels }, spec: claims ? pod.spec : { ...pod.spec, volumes } };
}

/** Who owns a claim, by the set's retention policy: nobody, the set, or the pod that is on its way out. */
export function claimOwners(
  set: StatefulSet,
  pod: KubeObject & Pod,
  claim: PersistentVolumeClaim,
): readonly OwnerReference[] | "conflict" {
  const { whenDeleted = "Retain", whenScaled = "Retain" } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const current = claim.metadata.ownerReferences ?? [];
  const isOurs = ({ uid }: OwnerReference) => uid === set.metadata.uid || uid === pod.metadata.uid;
  const foreign = current.filter((owner) => !isOurs(owner));
  const controller = controllerOf(claim);
  if (controller !== undefined && !isOurs(controller) && controller.name !== pod.metadata.name) return "conflict";
  const ordinal = ordinalOf(pod);
  const inRange = ordinal >= startOf(set) && ordinal < startOf(set) + replicasOf(set);
  const wanted =
    whenScaled === "Delete" && !inRange
      ? [{ ...controllerReference(pod), apiVersion: "v1", kind: "Pod" }]
      : whenDeleted === "Delete" && (inRange || whenScaled !== "Delete")
        ? [controllerReference(set)]
        : [];
  const next = [...foreign, ...wanted];
  return semanticallyEqual(next, current) ? current : next;
}
