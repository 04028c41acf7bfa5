/** Whether a pod fills more of the node's disk than it may. Pure. Upstream: pkg/kubelet/eviction/eviction_manager.go localStorageEviction */
import type { Pod } from "../../api/generated/core.v1.ts";
import { valueOf } from "../quantity.ts";
import { podLimits } from "../runtime/pod-resources.ts";
import type { PodUse } from "./rank.ts";

const STORAGE = "ephemeral-storage";

export interface Overrun {
  /** As the metric names it. */
  readonly signal: "emptydirfs.limit" | "ephemeralpodfs.limit" | "ephemeralcontainerfs.limit";
  readonly message: string;
}

/** Only such pods are looked at: to count files takes time. */
export function hasStorageLimits(pod: Pod): boolean {
  return (
    (pod.spec.volumes ?? []).some(({ emptyDir }) => valueOf(emptyDir?.sizeLimit) > 0) ||
    pod.spec.containers.some(({ resources }) => resources?.limits?.[STORAGE] !== undefined)
  );
}

export function storageOverrun(pod: Pod, use: PodUse): Overrun | undefined {
  for (const { name, emptyDir } of pod.spec.volumes ?? []) {
    const limit = emptyDir?.sizeLimit;
    if (valueOf(limit) > 0 && (use.volumes.get(name) ?? 0) > valueOf(limit)) {
      const message = `Usage of EmptyDir volume ${JSON.stringify(name)} exceeds the limit ${JSON.stringify(limit)}. `;
      return { signal: "emptydirfs.limit", message };
    }
  }
  const whole = podLimits(pod)[STORAGE];
  if (whole !== undefined && use.disk > whole) {
    const texts = pod.spec.containers.flatMap(({ resources }) => resources?.limits?.[STORAGE] ?? []);
    const shown = texts.length === 1 ? texts[0]! : String(whole);
    const message = `Pod ephemeral local storage usage exceeds the total limit of containers ${shown}. `;
    return { signal: "ephemeralpodfs.limit", message };
  }
  for (const { name, resources } of pod.spec.containers) {
    const limit = resources?.limits?.[STORAGE];
    const used = use.containers.find((container) => container.name === name)?.disk ?? 0;
    if (valueOf(limit) > 0 && used > valueOf(limit)) {
      const message = `Container ${name} exceeded its local ephemeral storage limit ${JSON.stringify(limit)}. `;
      return { signal: "ephemeralcontainerfs.limit", message };
    }
  }
  return undefined;
}
