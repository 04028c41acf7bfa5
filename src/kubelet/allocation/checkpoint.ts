/**
 * Resources by pod, kept over restarts in a file of upstream's format: `allocated_pods_state` for what was granted, `actuated_pods_state` for
 * what the runtime was told. Upstream: pkg/kubelet/allocation/state
 */
import type { ResourceRequirements } from "../../api/generated/core.v1.ts";
import { fnv1a } from "../../machinery/meta/hash.ts";
import type { World } from "../../world/world.ts";
import type { PodResourceInfo } from "./resources.ts";

const NOTHING: PodResourceInfo = { ContainerResources: {}, PodLevelResources: null };

export class ResourceCheckpoint {
  readonly #fs: World["fs"];
  /** Undefined keeps nothing. */
  readonly #path: string | undefined;
  readonly #pods = new Map<string, PodResourceInfo>();
  #stored = "";
  #writing: Promise<void> = Promise.resolve();

  constructor(fs: World["fs"], path: string | undefined) {
    this.#fs = fs;
    this.#path = path;
  }

  async load(): Promise<void> {
    if (this.#path === undefined || (await this.#fs.stat(this.#path)) === undefined) return;
    const text = Buffer.from(await this.#fs.readFile(this.#path)).toString("utf8");
    try {
      for (const [uid, info] of Object.entries(readCheckpoint(text))) this.#pods.set(uid, info);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(
        `could not restore state from checkpoint: ${why}, please drain this node and delete pod resource information checkpoint file ${JSON.stringify(this.#path)} before restarting Kubelet`,
        { cause: error },
      );
    }
    this.#stored = text;
  }

  get(uid: string): PodResourceInfo | undefined {
    return this.#pods.get(uid);
  }
  set(uid: string, info: PodResourceInfo): void {
    this.#pods.set(uid, info);
  }
  setContainer(uid: string, name: string, resources: ResourceRequirements): void {
    const info = this.#pods.get(uid) ?? NOTHING;
    this.#pods.set(uid, { ...info, ContainerResources: { ...info.ContainerResources, [name]: resources } });
  }
  setPod(uid: string, resources: ResourceRequirements): void {
    this.#pods.set(uid, { ...(this.#pods.get(uid) ?? NOTHING), PodLevelResources: resources });
  }
  /** Stored with the next change: a pod too many does no harm. */
  remove(uid: string): void {
    this.#pods.delete(uid);
  }
  retain(isKnown: (uid: string) => boolean): void {
    for (const uid of this.#pods.keys()) if (!isKnown(uid)) this.#pods.delete(uid);
  }

  /** Resolves when all that was set is in the file: nothing may be acted on before. */
  flush(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return Promise.resolve();
    this.#writing = this.#writing
      .catch(() => {}) // Told to whoever waited for it.
      .then(async () => {
        const text = writeCheckpoint(Object.fromEntries([...this.#pods].sort(([a], [b]) => (a < b ? -1 : 1))));
        if (text === this.#stored) return;
        await this.#fs.writeFile(path, text, { mode: 0o600, atomic: true });
        this.#stored = text;
      });
    return this.#writing;
  }
}

export function writeCheckpoint(entries: Readonly<Record<string, PodResourceInfo>>): string {
  const data = JSON.stringify(Object.keys(entries).length === 0 ? {} : { entries });
  return JSON.stringify({ data, checksum: checksumOf(data) });
}

export function readCheckpoint(text: string): Readonly<Record<string, PodResourceInfo>> {
  const { data, checksum } = JSON.parse(text) as { data: string; checksum: number };
  if (checksumOf(data) !== checksum) throw new Error("checkpoint is corrupted");
  return (JSON.parse(data) as { entries?: Record<string, PodResourceInfo> }).entries ?? {};
}

/** Upstream hashes the text as its debug printer shows it, with the type before. */
const checksumOf = (data: string): number => fnv1a(Buffer.from(`(string)${data}`));
