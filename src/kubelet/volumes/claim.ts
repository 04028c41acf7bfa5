/**
 * What a claim is bound to: a path of the node, or of one of its disks that is mounted already. Drivers of other storage are not called.
 * Upstream: pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go, pkg/volume/local
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod, Volume } from "../../api/generated/core.v1.ts";
import { hostPath } from "./host-path.ts";
import type { VolumeContext, VolumeKind } from "./volume.ts";

const kind = (field: VolumeKind["field"], nameOf: (pod: Pod, volume: Volume) => string): VolumeKind => ({
  field,
  plugin: "kubernetes.io~local-volume",
  refreshes: false,
  async setUp(context, pod, volume, dir) {
    const name = nameOf(pod, volume);
    const { namespace = "" } = pod.metadata;
    const claim = await context.references.claim(namespace, name);
    const why = whyUnusable(claim, pod, field === "ephemeral");
    if (why !== undefined) throw new Error(`error processing PVC ${namespace}/${name}: ${why}`);
    const bound = await context.references.volume(claim!.spec.volumeName!);
    if (bound === undefined)
      throw new Error(`failed to fetch PV ${claim!.spec.volumeName} from API server: it does not exist`);
    return setUpBound(context, pod, volume.name, bound, dir);
  },
});

export const persistentVolumeClaim = kind(
  "persistentVolumeClaim",
  (_, { persistentVolumeClaim: source }) => source!.claimName,
);
export const ephemeral = kind("ephemeral", ({ metadata }, { name }) => `${metadata.name}-${name}`);

/** What keeps a pod from using a claim; undefined when nothing does. */
export function whyUnusable(claim: PersistentVolumeClaim | undefined, pod: Pod, isOwn: boolean): string | undefined {
  if (claim === undefined) return "failed to fetch PVC from API server: it does not exist";
  const { metadata, spec, status } = claim;
  const isOwned = metadata.ownerReferences?.some(
    ({ uid, controller }) => controller === true && uid === pod.metadata.uid,
  );
  if (isOwn && isOwned !== true)
    return `PVC ${metadata.namespace}/${metadata.name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`;
  if (metadata.deletionTimestamp !== undefined && !isInUse(pod)) return "PVC is being deleted";
  return status?.phase === "Bound" && (spec.volumeName ?? "") !== "" ? undefined : "PVC is not bound";
}

/** A pod that runs already keeps what it has. */
const isInUse = ({ status }: Pod) => status?.phase === "Running";

async function setUpBound(
  context: VolumeContext,
  pod: Pod,
  name: string,
  { spec }: PersistentVolume,
  dir: string,
): Promise<string> {
  if (spec.hostPath !== undefined) return hostPath.setUp(context, pod, { name, hostPath: spec.hostPath }, dir);
  if (spec.local !== undefined) {
    const { path } = spec.local;
    if (context.writesFiles && (await context.world.fs.stat(path)) === undefined)
      throw new Error(`path ${JSON.stringify(path)} does not exist`);
    return path;
  }
  if (!context.writesFiles) return dir;
  throw new Error("no volume plugin matched");
}
