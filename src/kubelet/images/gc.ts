/**
 * Which images to remove when the disk fills up: the longest unused first. Pure.
 * Upstream: pkg/kubelet/images/image_gc_manager.go
 */

export interface ImageUse {
  readonly id: string;
  readonly sizeBytes: number;
  readonly pinned: boolean;
  readonly inUse: boolean;
  /** Ms since the epoch. */
  readonly lastUsedMs: number;
  readonly firstSeenMs: number;
}

export interface ImageGcPolicy {
  readonly highPercent: number;
  readonly lowPercent: number;
  readonly minAgeMs: number;
}

export const DEFAULT_POLICY: ImageGcPolicy = { highPercent: 85, lowPercent: 80, minAgeMs: 120_000 };

export function bytesToFree(
  disk: { readonly capacity: number; readonly available: number },
  policy: ImageGcPolicy,
): number {
  if (disk.capacity === 0) return 0;
  const usedPercent = 100 - Math.floor((disk.available * 100) / disk.capacity);
  if (usedPercent < policy.highPercent) return 0;
  return Math.max(0, Math.floor((disk.capacity * (100 - policy.lowPercent)) / 100) - disk.available);
}

export function imagesToRemove(
  images: readonly ImageUse[],
  wantedBytes: number,
  nowMs: number,
  policy: ImageGcPolicy,
): readonly string[] {
  const candidates = images
    .filter((image) => !image.inUse && !image.pinned && nowMs - image.firstSeenMs >= policy.minAgeMs)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs || a.firstSeenMs - b.firstSeenMs);
  const chosen: string[] = [];
  let freed = 0;
  for (const { id, sizeBytes } of candidates) {
    if (freed >= wantedBytes) break;
    chosen.push(id);
    freed += sizeBytes;
  }
  return chosen;
}
