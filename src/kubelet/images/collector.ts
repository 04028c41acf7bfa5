/** Removes images that nobody uses when their disk fills up. Upstream: pkg/kubelet/images/image_gc_manager.go */
import type { EventRecorder, ObjectReferenceLike } from "../../client/events.ts";
import type { Logger } from "../../observe/log.ts";
import { every } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { imageDisk } from "../eviction/observe.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { bytesToFree, imagesToRemove } from "./gc.ts";
import type { ImageGcPolicy, ImageUse } from "./gc.ts";

const DETECT_MS = 300_000;
const COLLECT_MS = 300_000;
/** What sandboxes run: no container uses it, and without it no pod starts. */
const SANDBOX_IMAGE = /(^|\/)pause:/;

interface ImageRecord {
  readonly firstSeenMs: number;
  lastUsedMs: number;
}

export interface CollectorDeps {
  readonly world: Pick<World, "clock" | "fs">;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly cri: Runtime;
  readonly node: ObjectReferenceLike;
}

export class ImageCollector {
  readonly #policy: ImageGcPolicy;
  readonly #deps: CollectorDeps;
  readonly #records = new Map<string, ImageRecord>();

  constructor(policy: ImageGcPolicy, deps: CollectorDeps) {
    this.#policy = policy;
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { world, log, events, node } = this.#deps;
    const detect = () => this.#images().then(() => {}, (error: unknown) => log.error("Failed to monitor images", error)); // prettier-ignore
    let failedBefore = false;
    const collect = async () => {
      try {
        await this.collect();
        failedBefore = false;
      } catch (error) {
        if (signal.aborted) return;
        log.error("Image garbage collection failed", error);
        // Once may be chance: statistics weren't there yet.
        if (failedBefore)
          events.event(node, "Warning", "ImageGCFailed", error instanceof Error ? error.message : String(error));
        failedBefore = true;
      }
    };
    const collecting = this.#policy.highPercent === 100 ? [] : [every(world.clock, COLLECT_MS, signal, collect)];
    await Promise.all([every(world.clock, DETECT_MS, signal, detect), ...collecting]);
  }

  /** Down to the low mark where the disk is over the high one. */
  async collect(): Promise<void> {
    const { world, cri, events, node } = this.#deps;
    const disk = await imageDisk(world, cri);
    if (disk === undefined) return;
    if (disk.sizeBytes === 0) {
      const message = "invalid capacity 0 on image filesystem";
      events.event(node, "Warning", "InvalidDiskCapacity", message);
      throw new Error(message);
    }
    const state = { capacity: disk.sizeBytes, available: disk.freeBytes };
    const wanted = bytesToFree(state, this.#policy);
    if (wanted === 0) return;
    const freed = await this.#free(wanted, this.#policy);
    if (freed >= wanted) return;
    const usedPercent = 100 - Math.floor((disk.freeBytes * 100) / disk.sizeBytes);
    const message = `Insufficient free disk space on the node's image filesystem (${usedPercent}% of ${sizeText(disk.sizeBytes)} used). Failed to free sufficient space by deleting unused images (freed ${freed} bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.`;
    events.event(node, "Warning", "FreeDiskSpaceFailed", message);
    throw new Error(message);
  }

  /** All that no container uses, however new. */
  async removeUnused(): Promise<void> {
    await this.#free(Infinity, { ...this.#policy, minAgeMs: 0 });
  }

  async #free(wantedBytes: number, policy: ImageGcPolicy): Promise<number> {
    const { world, cri, log } = this.#deps;
    const images = await this.#images();
    let freed = 0;
    for (const id of imagesToRemove(images, wantedBytes, world.clock.now(), policy)) {
      const { sizeBytes } = images.find((image) => image.id === id)!;
      log.info("Removing image to free bytes", { imageID: id, size: sizeBytes });
      await cri.images.RemoveImage({ image: { image: id, annotations: {} } });
      this.#records.delete(id);
      freed += sizeBytes;
    }
    return freed;
  }

  async #images(): Promise<readonly ImageUse[]> {
    const { world, cri } = this.#deps;
    const [{ images }, { containers }] = await Promise.all([cri.images.ListImages({}), cri.runtime.ListContainers({})]);
    const used = new Set(containers.flatMap(({ image_id, image_ref }) => [image_id, image_ref]));
    const now = world.clock.now();
    for (const id of this.#records.keys()) if (!images.some((image) => image.id === id)) this.#records.delete(id);
    return images.map((image) => {
      const { id } = image;
      const inUse = used.has(id) || image.repo_digests.some((digest) => used.has(digest));
      const record = this.#records.get(id) ?? { firstSeenMs: now, lastUsedMs: 0 };
      if (inUse) record.lastUsedMs = now;
      this.#records.set(id, record);
      const pinned = image.pinned || image.repo_tags.some((tag) => SANDBOX_IMAGE.test(tag));
      return { id, sizeBytes: image.size, pinned, inUse, ...record };
    });
  }
}

/** As upstream writes it: one decimal, in powers of two. */
function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}
