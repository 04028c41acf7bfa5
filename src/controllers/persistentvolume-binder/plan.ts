/** Which volume fits a claim. Pure. Upstream: pkg/controller/volume/persistentvolume/index.go, pv_controller.go */
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/generated/core.v1.ts";
import type { StorageClass } from "../../api/generated/storage.v1.ts";
import { compareQuantities, parseQuantity } from "../../machinery/meta/quantity.ts";
import { matchesSelector } from "../shared/selector.ts";

export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
export const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
export const PROVISIONER = "volume.kubernetes.io/storage-provisioner";
export const BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner";
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_CLASS = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

export const classOfClaim = ({ metadata, spec }: PersistentVolumeClaim) =>
  metadata.annotations?.[CLASS_ANNOTATION] ?? spec.storageClassName ?? "";
const classOfVolume = ({ metadata, spec }: PersistentVolume) =>
  metadata.annotations?.[CLASS_ANNOTATION] ?? spec.storageClassName ?? "";

/** Whether the volume's claimRef means this claim; one without a uid was set by hand, ahead of the claim. */
export function isClaimedFor({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const reference = spec.claimRef;
  return (
    reference !== undefined &&
    reference.name === metadata.name &&
    reference.namespace === metadata.namespace &&
    ((reference.uid ?? "") === "" || reference.uid === metadata.uid)
  );
}

/** Why the volume can't serve the claim, in upstream's words; undefined when it can. */
export function mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (volume.metadata.deletionTimestamp !== undefined) return "the volume is marked for deletion";
  if (compareQuantities(capacityOf(volume), requestOf(claim)) < 0) return "requested PV is too small";
  if (classOfVolume(volume) !== classOfClaim(claim)) return "storageClassName does not match";
  if ((volume.spec.volumeAttributesClassName ?? "") !== (claim.spec.volumeAttributesClassName ?? ""))
    return "volumeAttributesClassName does not match";
  if ((volume.spec.volumeMode ?? "Filesystem") !== (claim.spec.volumeMode ?? "Filesystem"))
    return "incompatible volumeMode";
  const modes = volume.spec.accessModes ?? [];
  if (!(claim.spec.accessModes ?? []).every((mode) => modes.includes(mode))) return "incompatible accessMode";
  return undefined;
}

/** The smallest volume that fits; one that was set aside for the claim comes before all. */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  delayed: boolean,
): PersistentVolume | undefined {
  const fitting = volumes.filter((volume) => mismatch(volume, claim) === undefined);
  const reserved = fitting.find((volume) => isClaimedFor(volume, claim));
  if (reserved !== undefined) return reserved;
  // Where the scheduler chooses the node it chooses the volume, too.
  if (delayed) return undefined;
  return fitting
    .filter(({ spec, status }) => spec.claimRef === undefined && status?.phase === "Available")
    .filter(
      ({ metadata }) => claim.spec.selector === undefined || matchesSelector(claim.spec.selector, metadata.labels),
    )
    .sort(
      (a, b) =>
        (a.spec.accessModes ?? []).length - (b.spec.accessModes ?? []).length ||
        compareQuantities(capacityOf(a), capacityOf(b)) ||
        (a.metadata.name < b.metadata.name ? -1 : 1),
    )[0];
}

/** The class of claims that name none. */
export function defaultClass(classes: readonly StorageClass[]): StorageClass | undefined {
  return classes
    .filter(({ metadata }) => DEFAULT_CLASS.some((name) => metadata.annotations?.[name] === "true"))
    .sort((a, b) =>
      a.metadata.creationTimestamp === b.metadata.creationTimestamp
        ? a.metadata.name < b.metadata.name
          ? -1
          : 1
        : a.metadata.creationTimestamp > b.metadata.creationTimestamp
          ? -1
          : 1,
    )[0];
}

const quantity = (text: string | undefined) => parseQuantity(text ?? "0") ?? parseQuantity("0")!;
const capacityOf = ({ spec }: PersistentVolume) => quantity(spec.capacity?.["storage"]);
const requestOf = ({ spec }: PersistentVolumeClaim) => quantity(spec.resources?.requests?.["storage"]);
