/** Words that volumes and claims share. Upstream: pkg/apis/core/helper/helpers.go */
import type { KubeObject } from "../../../../machinery/meta/object.ts";

const SHORT: readonly (readonly [string, string])[] = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
];

export function accessModesText(modes: readonly string[] | undefined): string {
  return SHORT.filter(([mode]) => modes?.includes(mode) === true)
    .map(([, short]) => short)
    .join(",");
}

/** The annotation came before the field, and still goes first. */
export function storageClassOf({
  metadata,
  spec,
}: KubeObject & { readonly spec: { readonly storageClassName?: string } }): string {
  return metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec.storageClassName ?? "";
}
