/**
 * Mounts a pod's volumes before its containers start, refreshes them while they run, and unmounts them afterwards.
 * Upstream: pkg/kubelet/volumemanager
 */
import type { Pod, Volume } from "../../api/generated/core.v1.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Paths } from "../paths.ts";
import { allContainers } from "../pod.ts";
import { RetryLater } from "../pod-workers/worker.ts";
import { errorText, podReference } from "../runtime/context.ts";
import { volumeKinds } from "./index.ts";
import { unmountUnder } from "./tmpfs.ts";
import type { VolumeContext, VolumeKind } from "./volume.ts";

const RETRY_MS = 500;
const RETRY_MAX_MS = 122_000;
const REFRESH_MS = 50_000;

interface Mounted {
  path: string;
  atMs: number;
  /** What it was set up for: a changed pod may show something else. */
  pod: Pod;
}
interface PodVolumes {
  readonly mounted: Map<string, Mounted>;
  failures: number;
}

export class VolumeManager {
  readonly #context: VolumeContext;
  readonly #events: EventRecorder;
  readonly #paths: Paths;
  readonly #pods = new Map<string, PodVolumes>();

  constructor(context: VolumeContext, events: EventRecorder, paths: Paths) {
    this.#context = context;
    this.#events = events;
    this.#paths = paths;
  }

  /** All volumes of the pod that a container uses are there, and as new as they should be. Throws `RetryLater` otherwise. */
  async ensure(pod: Pod): Promise<void> {
    const { uid, namespace = "" } = pod.metadata;
    let volumes = this.#pods.get(uid);
    if (volumes === undefined) {
      volumes = { mounted: new Map(), failures: 0 };
      this.#pods.set(uid, volumes);
      if (this.#context.writesFiles) this.#context.references.invalidate(namespace);
    }
    const used = new Set<string>();
    for (const { container } of allContainers(pod)) for (const { name } of container.volumeMounts ?? []) used.add(name);
    const failed: unknown[] = [];
    for (const volume of pod.spec.volumes ?? []) {
      if (!used.has(volume.name)) continue;
      const known = volumes.mounted.get(volume.name);
      const now = this.#context.world.clock.monotonic();
      try {
        const kind = kindOf(volume);
        const outdated = known !== undefined && (known.pod !== pod || now - known.atMs > REFRESH_MS);
        if (known !== undefined && !(kind.refreshes && this.#context.writesFiles && outdated)) continue;
        const dir = this.#paths.volume(uid, kind.plugin, volume.name);
        const path = await kind.setUp(this.#context, pod, volume, dir);
        volumes.mounted.set(volume.name, { path, atMs: now, pod });
      } catch (error) {
        const message = `MountVolume.SetUp failed for volume "${volume.name}" : ${errorText(error)}`;
        this.#events.event(podReference(pod), "Warning", "FailedMount", message);
        // A running pod keeps the content it has; only what was never mounted holds it back.
        if (known === undefined) failed.push(message);
        else volumes.mounted.set(volume.name, { ...known, atMs: now, pod });
      }
    }
    if (failed.length === 0) {
      volumes.failures = 0;
      return;
    }
    const afterMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** volumes.failures++);
    throw new RetryLater(failed.join("; "), afterMs);
  }

  pathOf(uid: string, volume: string): string | undefined {
    return this.#pods.get(uid)?.mounted.get(volume)?.path;
  }

  /** Takes all of a pod's volumes away, also those an earlier kubelet mounted. */
  async tearDown(uid: string): Promise<void> {
    this.#pods.delete(uid);
    this.#context.tokens.forget(uid);
    if (!this.#context.writesFiles) return;
    if (this.#context.mayMount) await unmountUnder(this.#context, this.#paths.pod(uid));
    await this.#context.world.fs.remove(`${this.#paths.pod(uid)}/volumes`);
  }
}

function kindOf(volume: Volume): VolumeKind {
  const kind = volumeKinds.find(({ field }) => volume[field] !== undefined);
  if (kind === undefined) throw new Error("no volume plugin matched");
  return kind;
}
