/** Manifests as pods of this node. Pure. Upstream: pkg/kubelet/config/common.go */
import { createHash } from "node:crypto";
import { parseAllDocuments } from "yaml";
import { defaultPod } from "../../api/core/v1/pod/defaults.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import { deepFreeze } from "../../base/mutable.ts";
import type { Mutable } from "../../base/mutable.ts";
import { CONFIG_HASH, CONFIG_SEEN, CONFIG_SOURCE } from "../keys.ts";

/** Pods of one file or answer: a Pod, or a PodList. Throws on anything else. */
export function parseManifest(text: string): readonly Partial<Pod>[] {
  const pods: Partial<Pod>[] = [];
  for (const document of parseAllDocuments(text)) {
    if (document.errors.length > 0) throw document.errors[0]!;
    const object = document.toJS() as { kind?: string; apiVersion?: string; items?: readonly Partial<Pod>[] } | null;
    if (object === null) continue;
    if (object.apiVersion === "v1" && object.kind === "Pod") pods.push(object as Partial<Pod>);
    else if (object.apiVersion === "v1" && object.kind === "PodList") pods.push(...(object.items ?? []));
    else throw new Error(`invalid pod: ${object.apiVersion ?? ""}/${object.kind ?? ""}`);
  }
  return pods;
}

export function staticPod(
  manifest: Partial<Pod>,
  source: { readonly kind: "file" | "http"; readonly place: string },
  nodeName: string,
  seen: string,
): Pod {
  const draft = structuredClone(manifest) as unknown as Mutable<Pod>;
  const metadata = (draft.metadata ??= {} as Mutable<Pod["metadata"]>);
  refuseReferences(draft);
  draft.apiVersion = "v1";
  draft.kind = "Pod";
  if ((metadata.uid ?? "") === "") {
    // Upstream dumps the Go struct into FNV-128a; any stable digest of the same length serves.
    const hash = createHash("md5").update(JSON.stringify(manifest));
    hash.update(source.kind === "file" ? `host:${nodeName}file:${source.place}` : `url:${source.place}`);
    metadata.uid = hash.digest("hex");
  }
  metadata.name = `${metadata.name}-${nodeName.toLowerCase()}`;
  metadata.namespace = (metadata.namespace ?? "") === "" ? "default" : metadata.namespace!;
  metadata.annotations = {
    ...metadata.annotations,
    [CONFIG_HASH]: metadata.uid,
    [CONFIG_SOURCE]: source.kind,
    [CONFIG_SEEN]: seen,
  };
  draft.spec.nodeName = nodeName;
  if (source.kind === "file")
    draft.spec.tolerations = [...(draft.spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }];
  defaultPod(draft);
  draft.status = { phase: "Pending" };
  return deepFreeze(draft) as Pod;
}

/** A static pod runs without the API server: nothing of it may be there. */
function refuseReferences({ spec }: Mutable<Pod>): void {
  const refuse = (resource: string) => {
    throw new Error(`static pods may not reference ${resource}`);
  };
  if ((spec.serviceAccountName ?? "") !== "") refuse("serviceaccounts");
  for (const volume of spec.volumes ?? []) {
    if (volume.secret) refuse("secrets");
    if (volume.configMap) refuse("configmaps");
    if (volume.persistentVolumeClaim) refuse("persistentvolumeclaims");
    if (volume.projected) refuse("projected volumes");
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.configMapKeyRef) refuse("configmaps");
      if (valueFrom?.secretKeyRef) refuse("secrets");
    }
    for (const from of container.envFrom ?? []) refuse(from.secretRef ? "secrets" : "configmaps");
  }
}
