/** Which claims a pod uses. Upstream: pkg/volume/util, pkg/controller/volume/common */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Informer } from "../../client/informer/informer.ts";

export const BY_CLAIM = "pod-pvc-index";

/** Names of the pod's claims, those of its ephemeral volumes included. */
export function claimNames({ metadata, spec }: Pod): readonly string[] {
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim !== undefined) return [persistentVolumeClaim.claimName];
    return ephemeral === undefined ? [] : [`${metadata.name}-${name}`];
  });
}

export function addClaimIndex(pods: Informer<Pod>): void {
  pods.addIndex(BY_CLAIM, (pod) => claimNames(pod).map((name) => `${pod.metadata.namespace}/${name}`));
}
